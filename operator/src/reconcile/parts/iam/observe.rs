//! Observes an identity: what IAM has at its place. Reads only.

use std::time::Duration;

use fleetmesh_aws::iam::IamClient;
use fleetmesh_core::Failure;
use fleetmesh_core::iam::{Account, Found, InstanceProfile, ObservedIdentity, Place, Policy, Role, Thing};
use fleetmesh_crds::IamStatus;

use crate::cache::IdentityMemory;

/// For how long IAM may not show what was made.
const SETTLING: Duration = Duration::from_secs(40);

/// What is at `place`.
///
/// # Errors
/// A read failed.
pub async fn observe(
    client: &IamClient,
    place: &Place,
    reported: Option<&IamStatus>,
    memory: &mut IdentityMemory,
) -> Result<ObservedIdentity, Failure> {
    let role = role(client, &place.name).await?;
    let arn = role.as_ref().map(|role| role.arn.as_str()).or(reported.and_then(any_arn));
    let policy = match arn.and_then(Account::of) {
        Some(account) => policy(client, &account.policy(place)).await?,
        None => None,
    };
    let instance_profile = client.get_instance_profile(&place.name).await?;
    Ok(ObservedIdentity {
        role: found(role, Thing::Role, memory),
        policy: found(policy, Thing::Policy, memory),
        instance_profile: found(instance_profile, Thing::InstanceProfile, memory),
    })
}

/// The instance profile and the role that the name in the ARN of an instance profile stands for, and that name.
///
/// # Errors
/// A read failed.
pub async fn profile<'a>(
    client: &IamClient,
    arn: &'a str,
) -> Result<(&'a str, Option<InstanceProfile>, Option<Role>), Failure> {
    let name = arn.rsplit('/').next().unwrap_or_default();
    let profile = client.get_instance_profile(name).await?;
    let role = if profile.is_some() { role(client, name).await? } else { None };
    Ok((name, profile, role))
}

async fn role(client: &IamClient, name: &str) -> Result<Option<Role>, Failure> {
    let Some(role) = client.get_role(name).await? else { return Ok(None) };
    let attached = client.list_attached_role_policies(name).await?;
    let inline = client.list_role_policies(name).await?;
    Ok(Some(Role { attached, inline, ..role }))
}

async fn policy(client: &IamClient, arn: &str) -> Result<Option<Policy>, Failure> {
    let Some(policy) = client.get_policy(arn).await? else { return Ok(None) };
    let versions = client.list_policy_versions(arn).await?;
    // A version that vanishes between the two reads means nothing, and is put back.
    let document = client.get_policy_version(arn, &policy.default_version).await?.unwrap_or_default();
    Ok(Some(Policy { document, versions, ..policy }))
}

/// An ARN of what was reported: each names the account.
fn any_arn(status: &IamStatus) -> Option<&str> {
    let arns = [&status.role_arn, &status.policy_arn, &status.instance_profile_arn];
    arns.into_iter().flatten().map(String::as_str).next()
}

/// What was seen need not be waited for any more.
fn found<T>(read: Option<T>, thing: Thing, memory: &mut IdentityMemory) -> Found<T> {
    match read {
        Some(read) => {
            memory.made.remove(&thing);
            Found::Present(read)
        }
        None if memory.made.get(&thing).is_some_and(|made| made.elapsed() < SETTLING) => Found::Settling,
        None => Found::Absent,
    }
}
