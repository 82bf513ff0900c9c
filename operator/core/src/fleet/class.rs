//! What a FleetClass allows a fleet to use. A fleet either fits its class, and takes defaults from it, or is refused with the field,
//! the value, the class and the way out. Pure.

use std::collections::BTreeSet;

use fleetmesh_api::tags::TAG_PREFIX;
use fleetmesh_crds::fleet::{
    Capacity, DEFAULT_SSM_PARAMETER, DEFAULT_SSM_PARAMETER_ARM64, Fleet, Image, Network, Proxy,
};
use fleetmesh_crds::fleet_class::{
    ClassImages, ClassLimits, ClassVolume, DEFAULT_CLASS_ANNOTATION, DEFAULT_MIN_PROXY_UID, UserDataPolicy,
};
use fleetmesh_crds::{FleetClassSpec, Reason};
use fleetmesh_model::tag::Tags;

mod values;

use super::cloud_map;
use crate::object::Object;
pub use values::is_ami_id;
use values::{is_below, is_reserved, matches, short, shown};

/// The FleetClass of a fleet, as the cluster has it.
#[derive(Clone, Copy, Debug)]
pub enum ClassLookup<'a> {
    /// The fleet names none, and none is the default.
    NoDefault,
    /// There is none of the name that the fleet gives.
    Missing,
    /// It does not allow the fleet's namespace.
    NotAllowed {
        /// Its name.
        name: &'a str,
    },
    /// It counts.
    Found {
        /// Its name.
        name: &'a str,
        /// What it says.
        spec: &'a FleetClassSpec,
    },
}

/// Why a fleet is not let.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassRefusal {
    /// The reason of the condition.
    pub reason: Reason,
    /// Field, value, class and the way out, for a person.
    pub message: String,
}

/// A fleet as its class makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// The name of the class.
    pub class: String,
    /// The fleet. Of one with replicas, capacity and image are set, and a network that is not set is the default one.
    pub fleet: Fleet,
    /// Whose the AMI has to be; anybody's when empty.
    pub image_owners: Vec<String>,
    /// Whether neither fleet nor class names an AMI: then the one that `fleet` has is that of x86-64.
    pub default_image: bool,
    /// How many instances there may be in the class.
    pub limits: ClassLimits,
    /// The volume that instances start from; as the AMI says when `None`.
    pub volume: Option<ClassVolume>,
}

/// The fleet of `object`, if `class` lets it be as it is.
///
/// # Errors
/// There is no such class, it does not allow the namespace, or a value is not within it.
pub fn admit(object: &Object, fleet: &Fleet, class: ClassLookup<'_>) -> Result<Admitted, ClassRefusal> {
    let (name, spec) = found(object, fleet, class)?;
    policies(object, name, spec)?;
    let judge = Judge { object, name, spec };
    let of_fleet = fleet.image.as_ref();
    let admitted = |fleet| Admitted {
        class: name.to_owned(),
        fleet,
        image_owners: spec.images.clone().unwrap_or_default().owners,
        default_image: spec.images.is_none() && of_fleet.is_none(),
        limits: spec.limits,
        volume: spec.volume.clone(),
    };
    if let Some(enroll) = &fleet.enroll {
        judge.enrollment(&enroll.tags)?;
        return Ok(admitted(fleet.clone()));
    }
    judge.tags()?;
    judge.user_data(fleet)?;
    judge.metadata(fleet)?;
    judge.proxy(fleet)?;
    judge.cloud_map()?;
    let effective = Fleet {
        capacity: Some(judge.capacity(fleet)?),
        image: Some(judge.image(fleet)?),
        network: judge.network(fleet)?,
        ..fleet.clone()
    };
    Ok(admitted(effective))
}

/// Whether the class lets the identity of a node with a fleet have the managed policies that it names: it has to let the whole
/// fleet, so that nobody has the policies of one class and what only another one lets run. A node that names none has only what
/// the operator attaches by itself, for which no class is needed.
///
/// # Errors
/// As [`admit`].
pub fn admit_policies(object: &Object, fleet: &Fleet, class: ClassLookup<'_>) -> Result<(), ClassRefusal> {
    if named_policies(object).is_empty() {
        return Ok(());
    }
    admit(object, fleet, class).map(drop)
}

/// Why the managed policies that the node names are not attached yet, in words; `None` when they may be. `launched` are the
/// classes in which the instances were launched that it has, `None` when nobody looked yet: what they run was let by those.
pub fn withheld(
    object: &Object,
    class: ClassLookup<'_>,
    launched: Option<&BTreeSet<String>>,
) -> Option<String> {
    let (false, ClassLookup::Found { name, .. }) = (named_policies(object).is_empty(), class) else {
        return None;
    };
    let Some(launched) = launched else {
        return Some(
            "the policies of iam.managedPolicyArns are attached once EC2 has listed the instances that run"
                .to_owned(),
        );
    };
    let other = launched.iter().find(|class| *class != name)?;
    let of = match other.as_str() {
        "" => "without a FleetClass".to_owned(),
        other => format!("in FleetClass {other}"),
    };
    Some(format!(
        "the policies of iam.managedPolicyArns are attached when no instance is left that was launched {of}: FleetClass {name} did not judge what these run. A rollout replaces them; terminate what it leaves"
    ))
}

fn named_policies(object: &Object) -> &[String] {
    object.iam().and_then(|iam| iam.managed_policy_arns.as_deref()).unwrap_or_default()
}

fn found<'a>(
    object: &Object,
    fleet: &Fleet,
    class: ClassLookup<'a>,
) -> Result<(&'a str, &'a FleetClassSpec), ClassRefusal> {
    let refused = |reason, message| Err(ClassRefusal { reason, message });
    let existing = "instances stay as they are and nothing is launched";
    match class {
        ClassLookup::Found { name, spec } => Ok((name, spec)),
        ClassLookup::NoDefault => {
            let message = format!(
                "fleet.className is not set and no FleetClass is the default; {existing}. Name a class, or mark one with the annotation {DEFAULT_CLASS_ANNOTATION}: \"true\"; `fleetmesh migrate fleet-classes` prints classes for the fleets that there are, for an admin to apply"
            );
            refused(Reason::ClassRequired, message)
        }
        ClassLookup::Missing => {
            let name = fleet.class_name.as_deref().unwrap_or_default();
            let message = format!(
                "fleet.className is {name} and there is no FleetClass of that name; {existing}. Create it, or name another (`kubectl get fleetclasses`)"
            );
            refused(Reason::ClassRequired, message)
        }
        ClassLookup::NotAllowed { name } => {
            let namespace = object.key.namespace.as_deref().unwrap_or_default();
            let message = format!(
                "FleetClass {name} does not allow fleets of the namespace {namespace} (allowedNamespaces); {existing}. Set fleet.className to a class that does, or ask for this one"
            );
            refused(Reason::ClassNotAllowed, message)
        }
    }
}

/// The parameters of the AMIs of a class that names none.
fn default_parameters() -> Vec<String> {
    [DEFAULT_SSM_PARAMETER, DEFAULT_SSM_PARAMETER_ARM64].map(ToOwned::to_owned).to_vec()
}

fn policies(object: &Object, name: &str, spec: &FleetClassSpec) -> Result<(), ClassRefusal> {
    let Some(allowed) = &spec.managed_policy_arns else { return Ok(()) };
    let outside = named_policies(object).iter().enumerate().find(|(_, arn)| !allowed.contains(arn));
    match outside {
        Some((index, arn)) => Err(outside_of(
            name,
            &format!("iam.managedPolicyArns[{index}]"),
            arn,
            "managedPolicyArns",
            allowed,
        )),
        None => Ok(()),
    }
}

/// A class, and the node whose fleet it judges.
struct Judge<'a> {
    object: &'a Object,
    name: &'a str,
    spec: &'a FleetClassSpec,
}

impl Judge<'_> {
    fn outside(&self, field: &str, value: &str, list: &str, allowed: &[String]) -> ClassRefusal {
        outside_of(self.name, field, value, list, allowed)
    }

    /// The first of `values` that is not `allowed` refuses.
    fn each(
        &self,
        field: &str,
        values: &[String],
        (list, allowed): (&str, &[String]),
        allows: impl Fn(&str, &str) -> bool,
    ) -> Result<(), ClassRefusal> {
        let fits = |value: &String| allowed.iter().any(|entry| allows(entry, value));
        match values.iter().enumerate().find(|(_, value)| !fits(value)) {
            Some((index, value)) => Err(self.outside(&format!("{field}[{index}]"), value, list, allowed)),
            None => Ok(()),
        }
    }

    fn capacity(&self, fleet: &Fleet) -> Result<Capacity, ClassRefusal> {
        let allowed = &self.spec.instance_types;
        let mut capacity = fleet.capacity.clone().unwrap_or_default();
        if capacity.instance_types.is_empty() {
            capacity.instance_types = allowed.iter().filter(|entry| !entry.ends_with('*')).cloned().collect();
        }
        if capacity.instance_types.is_empty() {
            return Err(self.unsaid("fleet.capacity.instanceTypes", "instanceTypes", allowed));
        }
        let list = ("instanceTypes", allowed.as_slice());
        self.each("fleet.capacity.instanceTypes", &capacity.instance_types, list, matches)?;
        Ok(capacity)
    }

    fn network(&self, fleet: &Fleet) -> Result<Option<Network>, ClassRefusal> {
        let own = self.spec.network.clone().unwrap_or_default();
        let mut network = fleet.network.clone().unwrap_or_default();
        let exactly = |entry: &str, value: &str| entry == value;
        let (subnets, groups) = (&mut network.subnet_ids, &mut network.security_group_ids);
        let list = ("network.subnetIds", own.subnet_ids.as_slice());
        self.each("fleet.network.subnetIds", subnets, list, exactly)?;
        let list = ("network.securityGroupIds", own.security_group_ids.as_slice());
        self.each("fleet.network.securityGroupIds", groups, list, exactly)?;
        if subnets.is_empty() {
            *subnets = own.subnet_ids;
        }
        if groups.is_empty() {
            *groups = own.security_group_ids;
        }
        let set = network != Network::default();
        Ok(set.then_some(network))
    }

    fn image(&self, fleet: &Fleet) -> Result<Image, ClassRefusal> {
        let default = ClassImages { ssm_parameters: default_parameters(), ..ClassImages::default() };
        let ClassImages { ids, owners, ssm_parameters } = self.spec.images.as_ref().unwrap_or(&default);
        let named = fleet.image.as_ref();
        if let Some(id) = named.and_then(|image| image.id.as_ref()) {
            if !is_ami_id(id) {
                return Err(ClassRefusal {
                    reason: Reason::InvalidSpec,
                    message: format!(
                        "fleet.image.id is {}: an AMI's id is ami- and 8 to 17 hexadecimal digits",
                        short(id)
                    ),
                });
            }
            // The owner is looked at when the AMI is.
            let any = ids.is_empty() && !owners.is_empty();
            if !any && !ids.contains(id) {
                return Err(self.outside("fleet.image.id", id, "images.ids", ids));
            }
            return Ok(Image { id: Some(id.clone()), ssm_parameter: None });
        }
        if let Some(parameter) = named.and_then(|image| image.ssm_parameter.as_ref()) {
            if !ssm_parameters.iter().any(|entry| is_below(entry, parameter)) {
                return Err(self.outside(
                    "fleet.image.ssmParameter",
                    parameter,
                    "images.ssmParameters",
                    ssm_parameters,
                ));
            }
            return Ok(Image { id: None, ssm_parameter: Some(parameter.clone()) });
        }
        let parameter = ssm_parameters.iter().find(|entry| !entry.ends_with('/'));
        match (ids.first(), parameter) {
            (Some(id), _) => Ok(Image { id: Some(id.clone()), ssm_parameter: None }),
            (None, Some(parameter)) => Ok(Image { id: None, ssm_parameter: Some(parameter.clone()) }),
            (None, None) => Err(self.unsaid("fleet.image", "images.ssmParameters", ssm_parameters)),
        }
    }

    fn user_data(&self, fleet: &Fleet) -> Result<(), ClassRefusal> {
        let brings = fleet.app.as_ref().is_some_and(|app| app.user_data.is_some());
        if !brings || self.spec.user_data == UserDataPolicy::Allowed {
            return Ok(());
        }
        let message = format!(
            "fleet.app.userData is set, and FleetClass {} forbids user data of one's own. Use fleet.app.container, or ask for userData: Allowed in the class",
            self.name
        );
        Err(ClassRefusal { reason: Reason::ValueNotInClass, message })
    }

    fn metadata(&self, fleet: &Fleet) -> Result<(), ClassRefusal> {
        let wanted = fleet.app.as_ref().is_some_and(|app| app.metadata);
        if !wanted || self.spec.allow_metadata {
            return Ok(());
        }
        let message = format!(
            "fleet.app.metadata is true, and FleetClass {} does not give applications the credentials of the instance's role. Set it to false, or ask for allowMetadata: true in the class",
            self.name
        );
        Err(ClassRefusal { reason: Reason::ValueNotInClass, message })
    }

    /// The proxy's user reaches the credentials of the instance's role, and with them a certificate of the node.
    fn proxy(&self, fleet: &Fleet) -> Result<(), ClassRefusal> {
        let Proxy { image, uid, .. } = fleet.proxy.clone().unwrap_or_default();
        let default = [Proxy::DEFAULT_IMAGE.to_owned()];
        let named = &self.spec.proxy_images;
        let allowed = if named.is_empty() { default.as_slice() } else { named.as_slice() };
        if !allowed.iter().any(|entry| matches(entry, &image)) {
            return Err(self.outside("fleet.proxy.image", &image, "proxyImages", allowed));
        }
        let lowest = self.spec.min_proxy_uid.unwrap_or(DEFAULT_MIN_PROXY_UID);
        if uid >= lowest {
            return Ok(());
        }
        let message = format!(
            "fleet.proxy.uid is {uid}, which FleetClass {} does not allow (minProxyUid: {lowest}). Take one that is not lower, 1337 for example, or ask whoever owns the class for it",
            self.name
        );
        Err(ClassRefusal { reason: Reason::ValueNotInClass, message })
    }

    fn tags(&self) -> Result<(), ClassRefusal> {
        let allowed = &self.spec.tag_keys;
        let fits = |key: &&String| allowed.iter().any(|entry| matches(entry, key)) && !is_reserved(key);
        match self.object.management.tags.keys().find(|key| !fits(key)) {
            Some(key) => Err(self.outside("tags: the key", key, "tagKeys", allowed)),
            None => Ok(()),
        }
    }

    fn cloud_map(&self) -> Result<(), ClassRefusal> {
        let Some(discovery) = cloud_map::discovery(self.object) else { return Ok(()) };
        if let Some((index, key)) = cloud_map::reserved(discovery) {
            let message = format!(
                "serviceDiscovery.awsCloudMap.attributes[{index}].key is {}: attributes of a node with replicas must not begin with AWS_ or {TAG_PREFIX}, which are set for each instance. Remove it",
                short(key)
            );
            return Err(ClassRefusal { reason: Reason::InvalidSpec, message });
        }
        let services = &self.spec.cloud_map_services;
        let fits = services.iter().any(|service| {
            service.namespace_name == discovery.namespace_name
                && (service.service_name == "*" || service.service_name == discovery.service_name)
        });
        if fits {
            return Ok(());
        }
        let text = |namespace: &str, service: &str| format!("{service} in {namespace}");
        let allowed: Vec<String> =
            services.iter().map(|service| text(&service.namespace_name, &service.service_name)).collect();
        let value = text(&discovery.namespace_name, &discovery.service_name);
        Err(self.outside("serviceDiscovery.awsCloudMap", &value, "cloudMapServices", &allowed))
    }

    fn enrollment(&self, tags: &Tags) -> Result<(), ClassRefusal> {
        let Some(needed) = &self.spec.enroll_tags else {
            let message = format!(
                "fleet.enroll is set, and FleetClass {} lets no instances be enrolled. Launch them (fleet.replicas), or ask for enrollTags in the class",
                self.name
            );
            return Err(ClassRefusal { reason: Reason::ValueNotInClass, message });
        };
        match needed.iter().find(|(key, value)| tags.get(*key) != Some(*value)) {
            Some((key, value)) => {
                let message = format!(
                    "fleet.enroll.tags does not have {key}: {value}, which FleetClass {} demands (enrollTags). Add it, or name another class",
                    self.name
                );
                Err(ClassRefusal { reason: Reason::ValueNotInClass, message })
            }
            None => Ok(()),
        }
    }

    /// A value that the fleet does not give and the class cannot.
    fn unsaid(&self, field: &str, list: &str, allowed: &[String]) -> ClassRefusal {
        let message = format!(
            "{field} is not set, and FleetClass {} has no value of its own for it ({list}: {}). Set it to one that these stand for",
            self.name,
            shown(allowed)
        );
        ClassRefusal { reason: Reason::ValueNotInClass, message }
    }
}

/// A value that is not in a list of the class.
fn outside_of(class: &str, field: &str, value: &str, list: &str, allowed: &[String]) -> ClassRefusal {
    let message = format!(
        "{field} is {}, which FleetClass {class} does not allow ({list}: {}). Take one that it does, or ask whoever owns the class for it",
        short(value),
        shown(allowed)
    );
    ClassRefusal { reason: Reason::ValueNotInClass, message }
}

#[cfg(test)]
pub(super) mod tests;
