//! Applies a plan for IAM, one request for each step; the first failure ends it.

use fleetmesh_aws::iam::Iam;
use fleetmesh_core::iam::{Outcome, Plan, Step};
use fleetmesh_core::{Class, Failure};
use tokio::time::Instant;

use crate::cache::IdentityMemory;

/// Carries out the steps of `plan`, and notes what was made.
pub async fn apply(client: &Iam, plan: &Plan, memory: &mut IdentityMemory) -> Outcome {
    let mut outcome = Outcome::default();
    for planned in &plan.steps {
        match take(client, &planned.step).await {
            Ok(role_id) => {
                outcome.role_id = role_id.or(outcome.role_id);
                memory.made.extend(planned.step.creates().map(|thing| (thing, Instant::now())));
                outcome.done.push(planned.clone());
            }
            // What is to go is gone.
            Err(failure) if planned.step.removes() && failure.class == Class::NotFound => {
                outcome.done.push(planned.clone());
            }
            Err(failure) => {
                outcome.failed = Some((planned.step.clone(), failure));
                break;
            }
        }
    }
    outcome
}

/// Sends the request of a step; gives the unique id of a role that it made.
async fn take(client: &Iam, step: &Step) -> Result<Option<String>, Failure> {
    let done = match step {
        Step::CreateRole { place, trust, permissions_boundary, tags } => {
            return client.create_role(place, trust, permissions_boundary, tags).await.map(Some);
        }
        Step::TagRole { name, tags } => client.tag_role(name, tags).await,
        Step::UpdateAssumeRolePolicy { name, trust } => client.update_assume_role_policy(name, trust).await,
        Step::PutRolePermissionsBoundary { name, arn } => {
            client.put_role_permissions_boundary(name, arn).await
        }
        Step::AttachRolePolicy { name, arn } => client.attach_role_policy(name, arn).await,
        Step::DetachRolePolicy { name, arn } => client.detach_role_policy(name, arn).await,
        Step::DeleteRole { name } => client.delete_role(name).await,
        Step::CreatePolicy { place, document, tags } => client.create_policy(place, document, tags).await,
        Step::TagPolicy { arn, tags } => client.tag_policy(arn, tags).await,
        Step::CreatePolicyVersion { arn, document } => client.create_policy_version(arn, document).await,
        Step::DeletePolicyVersion { arn, version } => client.delete_policy_version(arn, version).await,
        Step::DeletePolicy { arn } => client.delete_policy(arn).await,
        Step::CreateInstanceProfile { place, tags } => client.create_instance_profile(place, tags).await,
        Step::TagInstanceProfile { name, tags } => client.tag_instance_profile(name, tags).await,
        Step::AddRoleToInstanceProfile { name, role } => {
            client.add_role_to_instance_profile(name, role).await
        }
        Step::RemoveRoleFromInstanceProfile { name, role } => {
            client.remove_role_from_instance_profile(name, role).await
        }
        Step::DeleteInstanceProfile { name } => client.delete_instance_profile(name).await,
    };
    done.map(|()| None)
}
