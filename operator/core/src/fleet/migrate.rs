//! FleetClasses for fleets from before there were classes: what `fleetmesh migrate fleet-classes` prints for an admin to review.
//! Each class is as narrow as its fleets allow, and changes nothing about them. Everybody who may write in a namespace writes
//! fleets, and a class allows many: fleets that never launched, and values that would match more than themselves in a class, are
//! left out and listed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use fleetmesh_crds::fleet::{DEFAULT_SSM_PARAMETER, Fleet, Image, Network, Proxy};
use fleetmesh_crds::fleet_class::{
    ClassImages, ClassLimits, CloudMapService, DEFAULT_MIN_PROXY_UID, UserDataPolicy,
};
use fleetmesh_crds::namespaces::NamespacesFrom;
use fleetmesh_crds::{AllowedNamespaces, FleetClassSpec};
use fleetmesh_model::tag::Tags;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::class::{ClassLookup, admit};
use super::cloud_map;
use crate::object::{Object, ObjectKey};

/// The label that every namespace has, with its own name.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

/// A class, and the nodes whose fleets need it.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// The name of the class.
    pub name: String,
    /// Whether it is to be the default: of all it has the most fleets.
    pub is_default: bool,
    /// What it says.
    pub spec: FleetClassSpec,
    /// The nodes, in order.
    pub nodes: Vec<ObjectKey>,
}

/// What is proposed for the fleets that name no class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// The classes.
    pub proposals: Vec<Proposal>,
    /// The nodes that no class is proposed for, in order, and why, in words.
    pub left_out: Vec<(ObjectKey, String)>,
}

/// The classes for the fleets among `objects` that name none.
pub fn survey(objects: &[Object]) -> Survey {
    let needs = |object: &&Object| object.fleet().is_some_and(|fleet| fleet.class_name.is_none());
    let mut objects: Vec<&Object> = objects.iter().filter(needs).collect();
    objects.sort_by(|one, other| one.key.cmp(&other.key));
    let why = objects.iter().filter_map(|object| Some((object.key.clone(), left_out(object)?)));
    let why: Vec<(ObjectKey, String)> = why.collect();
    objects.retain(|object| left_out(object).is_none());
    Survey { proposals: proposals(objects), left_out: why }
}

/// Why no class is proposed for a fleet, in words.
fn left_out(object: &Object) -> Option<String> {
    let launched = object.status.fleet().is_some_and(|fleet| {
        fleet.launches > 0 || fleet.launch_template_id.is_some() || !fleet.instances.is_empty()
    });
    if !launched {
        return Some("its status shows no instance, so nothing has to go on".to_owned());
    }
    let (field, value, stands) = wide(object)?;
    let value: String = value.escape_debug().take(100).collect();
    Some(format!(
        "{field} is \"{value}\", which in a class would stand for {stands}. Its instances stay as they are; change it, or write what the fleet may have into a class yourself"
    ))
}

/// The value of a fleet that is itself, and that a class would take for more: its field, it, and what that would be.
fn wide(object: &Object) -> Option<(&'static str, String, &'static str)> {
    let beginning = "whatever begins so";
    let star = |text: &&String| text.ends_with('*');
    let fleet = object.fleet().filter(|fleet| fleet.enroll.is_none())?;
    let types = fleet.capacity.iter().flat_map(|capacity| &capacity.instance_types);
    let image = fleet.proxy.as_ref().map(|proxy| &proxy.image);
    let found = [
        ("a key of tags", object.management.tags.keys().find(star)),
        ("fleet.capacity.instanceTypes", types.into_iter().find(star)),
        ("fleet.proxy.image", image.filter(star)),
        (
            "serviceDiscovery.awsCloudMap.serviceName",
            cloud_map::discovery(object).map(|found| &found.service_name).filter(star),
        ),
    ];
    let found = found.into_iter().find_map(|(field, value)| Some((field, value?.clone(), beginning)));
    let parameter = fleet.image.as_ref().and_then(|image| image.ssm_parameter.clone());
    let parameter = parameter.filter(|parameter| parameter.ends_with('/'));
    found.or_else(|| Some(("fleet.image.ssmParameter", parameter?, "all parameters below it")))
}

fn proposals(objects: Vec<&Object>) -> Vec<Proposal> {
    let mut groups: Vec<MigrationGroup<'_>> = Vec::new();
    for object in objects {
        let alone = MigrationGroup { choice: ClassChoice::of(object), objects: vec![object] };
        match groups.iter_mut().find_map(|group| Some((group.joined(&alone)?, group))) {
            Some((joined, group)) => *group = joined,
            None => groups.push(alone),
        }
    }
    // What is the same for several namespaces is one class.
    let mut classes: Vec<MigrationGroup<'_>> = Vec::new();
    for group in groups {
        match classes.iter_mut().find(|class| class.choice == group.choice) {
            Some(class) => class.objects.extend(group.objects),
            None => classes.push(group),
        }
    }
    named(classes)
}

fn named(mut classes: Vec<MigrationGroup<'_>>) -> Vec<Proposal> {
    classes.sort_by_key(|class| std::cmp::Reverse(class.objects.len()));
    let mut names = BTreeSet::new();
    let proposal = |(index, class): (usize, MigrationGroup<'_>)| {
        let namespaces = class.namespaces();
        let base = match namespaces.iter().next().filter(|_| namespaces.len() == 1) {
            Some(namespace) => format!("fleets-{namespace}"),
            None => "fleets".to_owned(),
        };
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let name = std::iter::once(base.clone()).chain(numbered).find(|name| !names.contains(name));
        let name = name.unwrap_or(base);
        names.insert(name.clone());
        let nodes = class.objects.iter().map(|object| object.key.clone()).collect();
        Proposal { name, is_default: index == 0, spec: class.spec(), nodes }
    };
    classes.into_iter().enumerate().map(proposal).collect()
}

/// What a class lets its fleets choose, beside how many instances there may be.
#[derive(Clone, Debug, Default, PartialEq)]
struct ClassChoice {
    allow_metadata: bool,
    cloud_map_services: BTreeSet<(String, String)>,
    enroll_tags: Option<Tags>,
    /// Ids and parameters in the order in which they were met; none where only the default image is used.
    ids: Vec<String>,
    ssm_parameters: Vec<String>,
    instance_types: Vec<String>,
    managed_policy_arns: BTreeSet<String>,
    min_proxy_uid: Option<i32>,
    proxy_images: BTreeSet<String>,
    security_groups: Vec<String>,
    subnets: Vec<String>,
    tag_keys: BTreeSet<String>,
    user_data: UserDataPolicy,
}

impl ClassChoice {
    /// The choice that lets one fleet be what it is, and nothing else.
    fn of(object: &Object) -> Self {
        let fleet = object.fleet().cloned().unwrap_or_default();
        let policies = object.iam().into_iter().flat_map(|iam| iam.managed_policy_arns.iter().flatten());
        let mut choice = Self { managed_policy_arns: policies.cloned().collect(), ..Self::default() };
        if let Some(enroll) = fleet.enroll {
            return Self { enroll_tags: Some(enroll.tags), ..choice };
        }
        let Network { security_group_ids, subnet_ids } = fleet.network.unwrap_or_default();
        let image =
            fleet.image.unwrap_or(Image { id: None, ssm_parameter: Some(DEFAULT_SSM_PARAMETER.to_owned()) });
        let services = cloud_map::discovery(object).into_iter();
        choice.cloud_map_services =
            services.map(|found| (found.namespace_name.clone(), found.service_name.clone())).collect();
        choice.ids = image.id.into_iter().collect();
        choice.ssm_parameters = image.ssm_parameter.into_iter().collect();
        choice.instance_types = fleet.capacity.unwrap_or_default().instance_types;
        choice.security_groups = security_group_ids;
        choice.subnets = subnet_ids;
        choice.tag_keys = object.management.tags.keys().cloned().collect();
        let Proxy { image, uid, .. } = fleet.proxy.unwrap_or_default();
        choice.proxy_images = BTreeSet::from([image]);
        choice.min_proxy_uid = Some(uid).filter(|uid| *uid < DEFAULT_MIN_PROXY_UID);
        choice.allow_metadata = fleet.app.as_ref().is_some_and(|app| app.metadata);
        if fleet.app.is_some_and(|app| app.user_data.is_some()) {
            choice.user_data = UserDataPolicy::Allowed;
        }
        choice
    }

    fn and(&self, other: &Self) -> Self {
        fn both<T: Clone + PartialEq>(one: &[T], other: &[T]) -> Vec<T> {
            let more = other.iter().filter(|value| !one.contains(value));
            one.iter().chain(more).cloned().collect()
        }
        let user_data = [self.user_data, other.user_data];
        Self {
            allow_metadata: self.allow_metadata || other.allow_metadata,
            cloud_map_services: &self.cloud_map_services | &other.cloud_map_services,
            enroll_tags: self.enroll_tags.clone().or_else(|| other.enroll_tags.clone()),
            ids: both(&self.ids, &other.ids),
            ssm_parameters: both(&self.ssm_parameters, &other.ssm_parameters),
            instance_types: both(&self.instance_types, &other.instance_types),
            managed_policy_arns: &self.managed_policy_arns | &other.managed_policy_arns,
            min_proxy_uid: self.min_proxy_uid.into_iter().chain(other.min_proxy_uid).min(),
            proxy_images: &self.proxy_images | &other.proxy_images,
            security_groups: both(&self.security_groups, &other.security_groups),
            subnets: both(&self.subnets, &other.subnets),
            tag_keys: &self.tag_keys | &other.tag_keys,
            user_data: if user_data.contains(&UserDataPolicy::Allowed) {
                UserDataPolicy::Allowed
            } else {
                UserDataPolicy::Forbidden
            },
        }
    }
}

/// Fleets that have a class together.
#[derive(Clone, Debug)]
struct MigrationGroup<'a> {
    choice: ClassChoice,
    objects: Vec<&'a Object>,
}

impl<'a> MigrationGroup<'a> {
    /// Both together, if they are of one namespace, and every fleet of them stays what it is under what both need.
    fn joined(&self, other: &Self) -> Option<Self> {
        let enrolls = |group: &Self| group.choice.enroll_tags.clone();
        if self.namespaces() != other.namespaces() || enrolls(self) != enrolls(other) {
            return None;
        }
        let objects: Vec<&Object> = self.objects.iter().chain(&other.objects).copied().collect();
        let joined = MigrationGroup { choice: self.choice.and(&other.choice), objects };
        let spec = joined.spec();
        joined.objects.iter().all(|object| stays(object, &spec)).then_some(joined)
    }

    fn namespaces(&self) -> BTreeSet<String> {
        self.objects.iter().filter_map(|object| object.key.namespace.clone()).collect()
    }

    fn spec(&self) -> FleetClassSpec {
        let ClassChoice { cloud_map_services, enroll_tags, ids, ssm_parameters, .. } = self.choice.clone();
        let ClassChoice {
            instance_types,
            managed_policy_arns,
            security_groups,
            subnets,
            tag_keys,
            user_data,
            ..
        } = self.choice.clone();
        let ClassChoice { allow_metadata, min_proxy_uid, proxy_images, .. } = self.choice.clone();
        let usual = |image: &String| image == Proxy::DEFAULT_IMAGE;
        let proxy_images = match proxy_images.iter().all(usual) {
            true => Vec::new(),
            false => proxy_images.into_iter().collect(),
        };
        let network = Network { security_group_ids: security_groups, subnet_ids: subnets };
        let images = ClassImages { ids, owners: Vec::new(), ssm_parameters };
        let default =
            ClassImages { ssm_parameters: vec![DEFAULT_SSM_PARAMETER.to_owned()], ..ClassImages::default() };
        let service = |(namespace_name, service_name)| CloudMapService { namespace_name, service_name };
        FleetClassSpec {
            allow_metadata,
            allowed_namespaces: Some(only(self.namespaces())),
            cloud_map_services: cloud_map_services.into_iter().map(service).collect(),
            enroll_tags,
            images: Some(images).filter(|images| *images != default && *images != ClassImages::default()),
            instance_types,
            limits: self.limits(),
            managed_policy_arns: Some(managed_policy_arns.into_iter().collect()),
            min_proxy_uid,
            proxy_images,
            network: Some(network).filter(|network| *network != Network::default()),
            tag_keys: tag_keys.into_iter().collect(),
            user_data,
            volume: None,
        }
    }

    /// As many as there are to be, and what a rollout takes meanwhile.
    fn limits(&self) -> ClassLimits {
        let mut of_namespaces: BTreeMap<Option<&String>, i32> = BTreeMap::new();
        for object in &self.objects {
            let Fleet { replicas, rollout, .. } = object.fleet().cloned().unwrap_or_default();
            let most =
                replicas.map_or(0, |replicas| replicas.saturating_add(rollout.unwrap_or_default().max_surge));
            let sum = of_namespaces.entry(object.key.namespace.as_ref()).or_default();
            *sum = sum.saturating_add(most);
        }
        let instances = of_namespaces.values().fold(0, |sum: i32, count| sum.saturating_add(*count));
        ClassLimits { instances, instances_per_namespace: of_namespaces.values().max().copied() }
    }
}

fn only(namespaces: BTreeSet<String>) -> AllowedNamespaces {
    let requirement = LabelSelectorRequirement {
        key: NAMESPACE_LABEL.to_owned(),
        operator: "In".to_owned(),
        values: Some(namespaces.into_iter().collect()),
    };
    let selector = LabelSelector { match_expressions: Some(vec![requirement]), match_labels: None };
    AllowedNamespaces { from: NamespacesFrom::Selector, selector: Some(selector) }
}

/// Whether the class makes of the fleet what it is today.
fn stays(object: &Object, spec: &FleetClassSpec) -> bool {
    let Some(fleet) = object.fleet() else { return true };
    let Ok(admitted) = admit(object, fleet, ClassLookup::Found { name: "", spec }) else { return false };
    let network = |fleet: &Fleet| fleet.network.clone().unwrap_or_default();
    let image = |fleet: &Fleet| {
        let image = fleet.image.clone().unwrap_or(Image { id: None, ssm_parameter: None });
        (
            image.id.clone(),
            image.ssm_parameter.or_else(|| image.id.is_none().then(|| DEFAULT_SSM_PARAMETER.to_owned())),
        )
    };
    let made = admitted.fleet;
    fleet.enroll.is_some()
        || (made.capacity == fleet.capacity
            && network(&made) == network(fleet)
            && image(&made) == image(fleet))
}

#[cfg(test)]
mod tests;
