//! Who has the instance profile of a node beside the node. Reads only.

use std::collections::BTreeSet;

use fleetmesh_api::tags::OWNER_UID_TAG;
use fleetmesh_aws::ec2::Ec2;
use fleetmesh_core::{Failure, fleet, iam};
use fleetmesh_model::tag::Tags;

use super::Reconcile;

/// Why managed policies are not attached to the role of the instance profile `profile_arn`, in words; `None` when no instance
/// has it that is not the node's: launched for it, or enrolled by it.
///
/// # Errors
/// A read failed.
pub async fn of(reconcile: &Reconcile<'_>, profile_arn: &str) -> Result<Option<String>, Failure> {
    let Reconcile { context, object, .. } = reconcile;
    let ec2 = Ec2::new(context.aws.clone());
    let mut associations = ec2.associations().await?;
    associations.retain(|association| association.profile_arn == profile_arn);
    if associations.is_empty() {
        return Ok(None);
    }
    let mine = Tags::from([(OWNER_UID_TAG.to_owned(), object.uid.clone())]);
    let launched = ec2.tagged(&mine).await?;
    let enrolled = match object.fleet().and_then(|fleet| fleet.enroll.as_ref()) {
        Some(enroll) => {
            let found = ec2.tagged(&enroll.tags).await?;
            let cluster = &context.settings.cluster;
            fleet::enroll::meant(found, &enroll.tags, cluster, &BTreeSet::new(), true).0
        }
        None => Vec::new(),
    };
    let own = launched.into_iter().chain(enrolled).map(|instance| instance.id);
    // Somebody may have taken their tags.
    let known = context.cache.fleet_memory(object);
    let own: BTreeSet<String> = own.chain(known.instances().cloned()).collect();
    Ok(iam::strangers(profile_arn, &associations, &own))
}
