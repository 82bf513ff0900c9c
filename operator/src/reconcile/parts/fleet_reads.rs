//! What a fleet needs to know of AWS beside its instances: its AMI, and what Cloud Map has of it. Reads only.

use fleetmesh_api::tags::OWNER_UID_TAG;
use fleetmesh_core::fleet::architecture::{self, Architecture, ImageFacts, KnownTypes};
use fleetmesh_core::fleet::{self, Admitted, Registered, Subnet, cloud_map};
use fleetmesh_core::{Failure, FailureClass, Object};

use jiff::Timestamp;

use super::Reconcile;
use super::fleet::Services;
use crate::cache::FleetMemory;
use crate::queue::Trigger;

/// The id of the AMI that the fleet has by its class; `None` for one that only enrols. A parameter is read again when
/// everything is compared.
pub async fn image(
    reconcile: &Reconcile<'_>,
    services: &Services,
    memory: &mut FleetMemory,
    admitted: &Admitted,
    architecture: Option<Architecture>,
) -> Result<Option<String>, Failure> {
    let Some(image) = architecture::image(admitted, architecture) else { return Ok(None) };
    if let Some(id) = &image.id {
        return Ok(Some(id.clone()));
    }
    let Some(parameter) = &image.ssm_parameter else { return Ok(None) };
    let known = memory.observed.as_ref().and_then(|observed| observed.image.clone());
    let same = reconcile.object.reported() && memory.parameter.as_ref() == Some(parameter);
    if let Some(known) = known.filter(|_| same && reconcile.trigger != Trigger::Drift) {
        return Ok(Some(known));
    }
    let id = services.ssm.image(parameter).await?;
    memory.parameter = Some(parameter.clone());
    Ok(Some(id))
}

/// What never changes about an AMI.
pub async fn facts(
    services: &Services,
    memory: &mut FleetMemory,
    image: &str,
) -> Result<ImageFacts, Failure> {
    if let Some((known, facts)) = &memory.image
        && known == image
        && !facts.owners.is_empty()
    {
        return Ok(facts.clone());
    }
    let facts = services.ec2.image(image).await?;
    memory.image = Some((image.to_owned(), facts.clone()));
    Ok(facts)
}

/// The architectures that the fleet's instance types run, which never change.
pub async fn types(
    reconcile: &Reconcile<'_>,
    services: &Services,
    admitted: &Admitted,
) -> Result<KnownTypes, Failure> {
    let cache = &reconcile.context.cache;
    let named = admitted.fleet.capacity.iter().flat_map(|capacity| capacity.instance_types.clone());
    let named: Vec<String> = named.filter(|_| admitted.fleet.enroll.is_none()).collect();
    let mut known = cache.known_types(&named);
    let new: Vec<String> = named.into_iter().filter(|name| !known.contains_key(name)).collect();
    if !new.is_empty() {
        let learned = services.ec2.instance_types(&new).await?;
        cache.learn_types(&learned);
        known.extend(learned);
    }
    Ok(known)
}

/// The subnets that the fleet may be launched in, by its class: those that it names, or the default one of each zone.
pub async fn subnets(
    services: &Services,
    memory: &mut FleetMemory,
    admitted: &Admitted,
    now: Timestamp,
) -> Result<Vec<Subnet>, Failure> {
    let mut named = admitted.fleet.network.clone().unwrap_or_default().subnet_ids;
    named.sort();
    named.dedup();
    if let Some(known) = memory.subnets(&named, now) {
        return Ok(known);
    }
    let subnets = fleet::zones::usable(&named, services.ec2.subnets(&named).await?)?;
    memory.saw_subnets(&named, &subnets, now);
    Ok(subnets)
}

/// What is registered in Cloud Map for the node. A fleet that its class does not let be does not
/// learn whether there is such a service.
pub async fn registered(
    object: &Object,
    services: &Services,
    admitted: bool,
) -> Result<Option<Registered>, Failure> {
    let Some(discovery) = cloud_map::discovery(object) else { return Ok(None) };
    let (namespace, name) = (&discovery.namespace_name, &discovery.service_name);
    match services.cloud_map.service(namespace, name).await? {
        Some(service) => {
            let instances = services.cloud_map.instances(&service, OWNER_UID_TAG, &object.uid).await?;
            Ok(Some(Registered { service, instances }))
        }
        // Whatever was registered is gone with the service.
        None if object.deleting || !admitted => Ok(None),
        None => Err(Failure {
            class: FailureClass::NotFound,
            operation: "ListServices".to_owned(),
            message: format!("Cloud Map has no service {name} in a namespace {namespace}"),
        }),
    }
}
