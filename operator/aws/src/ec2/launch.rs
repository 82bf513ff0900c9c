//! Launch templates, and launching from them.

use aws_sdk_ec2::Config;
use aws_sdk_ec2::types::{
    CreateFleetError, DefaultTargetCapacityType, FleetLaunchTemplateConfigRequest,
    FleetLaunchTemplateOverridesRequest, FleetLaunchTemplateSpecificationRequest,
    FleetOnDemandAllocationStrategy, FleetType, InstanceType, LaunchTemplateBlockDeviceMappingRequest,
    LaunchTemplateEbsBlockDeviceRequest, LaunchTemplateHttpTokensState,
    LaunchTemplateIamInstanceProfileSpecificationRequest, LaunchTemplateInstanceMetadataOptionsRequest,
    LaunchTemplateTagSpecificationRequest, LaunchTemplateVersion, OnDemandOptionsRequest,
    RequestLaunchTemplateData, ResourceType, SpotAllocationStrategy, SpotOptionsRequest,
    TargetCapacitySpecificationRequest,
};
use fleetmesh_core::Failure;
use fleetmesh_core::fleet::{LaunchError, Template, TemplateContent, Version};
use fleetmesh_crds::fleet::Purchase;
use fleetmesh_crds::fleet_class::ClassVolume;
use fleetmesh_model::tag::Tags;

use super::{Ec2, is_absent, read_tags, specification, tags};
use crate::connection::call;
use crate::error::class_of;
use crate::transport::launch_timeouts;

/// The launch that `CreateFleet` was asked for.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// The template's id.
    pub template: &'a str,
    /// Its version.
    pub version: i64,
    /// How many instances.
    pub count: i32,
    /// The types that will do.
    pub instance_types: &'a [String],
    /// How they are paid for.
    pub purchase: Purchase,
    /// The subnet; one of the default VPC's when `None`.
    pub subnet: Option<&'a str>,
    /// The tags of the instances and of EC2's record of the launch.
    pub tags: &'a Tags,
    /// The client token.
    pub token: &'a str,
}

/// What came of a launch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launched {
    /// The instances.
    pub instances: Vec<String>,
    /// What EC2 could not do meanwhile, each pool and reason once. There may be some although all instances are there.
    pub errors: Vec<LaunchError>,
}

impl Ec2 {
    /// The launch template `name` with its newest version and, if it has that, the version `known`; `None` when there is
    /// no such template.
    ///
    /// # Errors
    /// Every failure but that it does not exist.
    pub async fn template(&self, name: &str, known: Option<i64>) -> Result<Option<Template>, Failure> {
        let client = self.client().await;
        let request = client.describe_launch_templates().launch_template_names(name);
        let templates = match call!(self.0, read, "DescribeLaunchTemplates", request) {
            Ok(answer) => answer.launch_templates.unwrap_or_default(),
            Err(failure) if is_absent(&failure) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let Some(template) = templates.into_iter().next() else { return Ok(None) };
        let id = template.launch_template_id().unwrap_or_default();
        let newest = template.latest_version_number().unwrap_or_default();
        let mut versions = self.versions(id, &[newest]).await?;
        if let Some(known) = known.filter(|known| *known != newest) {
            // EC2 has no answer about some of the versions that a request names.
            match self.versions(id, &[known]).await {
                Ok(more) => versions.extend(more),
                Err(failure) if is_absent(&failure) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(Some(Template {
            id: id.to_owned(),
            versions,
            default_version: template.default_version_number().unwrap_or_default(),
            tags: read_tags(template.tags()),
        }))
    }

    async fn versions(&self, id: &str, numbers: &[i64]) -> Result<Vec<Version>, Failure> {
        let client = self.client().await;
        let numbers = numbers.iter().map(ToString::to_string).collect();
        let request =
            client.describe_launch_template_versions().launch_template_id(id).set_versions(Some(numbers));
        let answer = call!(self.0, read, "DescribeLaunchTemplateVersions", request)?;
        let version = |version: &LaunchTemplateVersion| Version {
            number: version.version_number().unwrap_or_default(),
            description: version.version_description().map(ToOwned::to_owned),
        };
        Ok(answer.launch_template_versions().iter().map(version).collect())
    }

    /// Makes a launch template; gives its id and the number of its version.
    ///
    /// # Errors
    /// `Unsettled` when there is one of that name.
    pub async fn create_template(
        &self,
        name: &str,
        (content, user_data): (&TemplateContent, &str),
        with: &Tags,
        token: &str,
    ) -> Result<(String, i64), Failure> {
        let client = self.client().await;
        let request = client
            .create_launch_template()
            .launch_template_name(name)
            .client_token(token)
            .version_description(content.description())
            .launch_template_data(data(content, user_data))
            .tag_specifications(specification(ResourceType::LaunchTemplate, with));
        let answer = call!(self.0, write, "CreateLaunchTemplate", request)?;
        let template = answer.launch_template();
        let id = template.and_then(|template| template.launch_template_id()).unwrap_or_default().to_owned();
        Ok((id, template.and_then(|template| template.latest_version_number()).unwrap_or(1)))
    }

    /// Makes a new version of a launch template; gives its number.
    ///
    /// # Errors
    /// `Unsettled` when the template does not exist.
    pub async fn create_version(
        &self,
        id: &str,
        (content, user_data): (&TemplateContent, &str),
        token: &str,
    ) -> Result<i64, Failure> {
        let client = self.client().await;
        let request = client
            .create_launch_template_version()
            .launch_template_id(id)
            .client_token(token)
            .version_description(content.description())
            .launch_template_data(data(content, user_data));
        let answer = call!(self.0, write, "CreateLaunchTemplateVersion", request)?;
        let version = answer.launch_template_version();
        Ok(version.and_then(|version| version.version_number()).unwrap_or_default())
    }

    /// Makes a version the one that those get who name none.
    ///
    /// # Errors
    /// Every failure.
    pub async fn set_default_version(&self, id: &str, version: i64) -> Result<(), Failure> {
        let client = self.client().await;
        let request =
            client.modify_launch_template().launch_template_id(id).default_version(version.to_string());
        call!(self.0, write, "ModifyLaunchTemplate", request).map(|_| ())
    }

    /// Deletes a launch template with its versions; one that does not exist is deleted already.
    ///
    /// # Errors
    /// Every failure but that it does not exist.
    pub async fn delete_template(&self, id: &str) -> Result<(), Failure> {
        let client = self.client().await;
        let request = client.delete_launch_template().launch_template_id(id);
        match call!(self.0, write, "DeleteLaunchTemplate", request) {
            Err(failure) if !is_absent(&failure) => Err(failure),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Launches instances. The same `token` twice launches once.
    ///
    /// # Errors
    /// `Conflict` when the token was spent on another launch. Instances that EC2 does not have are no error.
    pub async fn launch(&self, launch: &Launch<'_>) -> Result<Launched, Failure> {
        let client = self.client().await;
        let (capacity, spot) = match launch.purchase {
            Purchase::OnDemand => (DefaultTargetCapacityType::OnDemand, None),
            Purchase::Spot => {
                let strategy = SpotAllocationStrategy::PriceCapacityOptimized;
                let options = SpotOptionsRequest::builder().allocation_strategy(strategy).build();
                (DefaultTargetCapacityType::Spot, Some(options))
            }
        };
        let target = TargetCapacitySpecificationRequest::builder()
            .total_target_capacity(launch.count)
            .default_target_capacity_type(capacity)
            .build();
        let on_demand = OnDemandOptionsRequest::builder()
            .allocation_strategy(FleetOnDemandAllocationStrategy::LowestPrice)
            .build();
        let request = client
            .create_fleet()
            .r#type(FleetType::Instant)
            .client_token(launch.token)
            .launch_template_configs(config(launch))
            .target_capacity_specification(target)
            .set_spot_options(spot)
            .on_demand_options(on_demand)
            .tag_specifications(specification(ResourceType::Instance, launch.tags))
            // The record of the launch, too: our policy allows to make none without our cluster's tag.
            .tag_specifications(specification(ResourceType::Fleet, launch.tags));
        let patient = Config::builder().timeout_config(launch_timeouts(launch.count));
        let answer = call!(self.0, write, "CreateFleet", request, patient)?;
        let instances = answer.instances().iter().flat_map(|fleet| fleet.instance_ids().to_vec()).collect();
        Ok(Launched { instances, errors: errors(answer.errors()) })
    }
}

/// The errors of a launch, each once.
fn errors(errors: &[CreateFleetError]) -> Vec<LaunchError> {
    let read = |error: &CreateFleetError| {
        let (code, message) = (error.error_code()?, error.error_message().unwrap_or_default());
        let pool = error.launch_template_and_overrides().and_then(|pool| pool.overrides());
        let instance_type = pool.and_then(|pool| pool.instance_type()).map(|name| name.as_str().to_owned());
        Some(LaunchError {
            class: class_of(code, message, 400),
            code: code.to_owned(),
            message: message.to_owned(),
            instance_type,
        })
    };
    let mut errors: Vec<LaunchError> = errors.iter().filter_map(read).collect();
    errors.sort();
    errors.dedup();
    errors
}

/// Any of the types in the subnet.
fn config(launch: &Launch<'_>) -> FleetLaunchTemplateConfigRequest {
    let template = FleetLaunchTemplateSpecificationRequest::builder()
        .launch_template_id(launch.template)
        .version(launch.version.to_string())
        .build();
    let overrides = launch.instance_types.iter().map(|instance_type| {
        FleetLaunchTemplateOverridesRequest::builder()
            .instance_type(InstanceType::from(instance_type.as_str()))
            .set_subnet_id(launch.subnet.map(ToOwned::to_owned))
            .build()
    });
    FleetLaunchTemplateConfigRequest::builder()
        .launch_template_specification(template)
        .set_overrides(Some(overrides.collect()))
        .build()
}

fn data(content: &TemplateContent, user_data: &str) -> RequestLaunchTemplateData {
    let TemplateContent { image, profile_arn, security_groups, recipe: _, tags: with, volume } = content;
    let profile = LaunchTemplateIamInstanceProfileSpecificationRequest::builder().arn(profile_arn).build();
    // All that user data starts is on the instance's own network: what is not is a hop away, and gets no answer.
    let metadata = LaunchTemplateInstanceMetadataOptionsRequest::builder()
        .http_tokens(LaunchTemplateHttpTokensState::Required)
        .http_put_response_hop_limit(1)
        .build();
    let specification = |of: ResourceType| {
        let with = Some(tags(with));
        LaunchTemplateTagSpecificationRequest::builder().resource_type(of).set_tags(with).build()
    };
    RequestLaunchTemplateData::builder()
        .image_id(image)
        .user_data(aws_smithy_types::base64::encode(user_data))
        .iam_instance_profile(profile)
        .set_security_group_ids((!security_groups.is_empty()).then(|| security_groups.clone()))
        .metadata_options(metadata)
        .set_block_device_mappings(volume.as_ref().map(|volume| vec![mapping(volume)]))
        .tag_specifications(specification(ResourceType::Instance))
        .tag_specifications(specification(ResourceType::Volume))
        .build()
}

/// The volume that an instance starts from, encrypted.
fn mapping(volume: &ClassVolume) -> LaunchTemplateBlockDeviceMappingRequest {
    let ClassVolume { device_name, kms_key_id } = volume;
    let ebs = LaunchTemplateEbsBlockDeviceRequest::builder()
        .encrypted(true)
        .set_kms_key_id(kms_key_id.clone())
        .build();
    LaunchTemplateBlockDeviceMappingRequest::builder().device_name(device_name).ebs(ebs).build()
}
