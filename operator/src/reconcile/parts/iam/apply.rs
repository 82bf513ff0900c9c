//! Applies a plan for IAM, one request for each step; the first failure ends it.

use fleetmesh_aws::iam::IamClient;
use fleetmesh_core::iam::{IamOutcome, IamPlan, IamStep};
use fleetmesh_core::{Failure, FailureClass};
use tokio::time::Instant;

use crate::cache::IdentityMemory;

/// Carries out the steps of `plan`, and notes what was made.
pub async fn apply(client: &IamClient, plan: &IamPlan, memory: &mut IdentityMemory) -> IamOutcome {
    let mut outcome = IamOutcome::default();
    for planned in &plan.steps {
        match take(client, &planned.step).await {
            Ok(role_id) => {
                outcome.role_id = role_id.or(outcome.role_id);
                memory.made.extend(planned.step.creates().map(|thing| (thing, Instant::now())));
                outcome.done.push(planned.clone());
            }
            // What is to go is gone.
            Err(failure) if planned.step.removes() && failure.class == FailureClass::NotFound => {
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
async fn take(client: &IamClient, step: &IamStep) -> Result<Option<String>, Failure> {
    let done = match step {
        IamStep::CreateRole { place, trust, permissions_boundary, tags } => {
            return client.create_role(place, trust, permissions_boundary, tags).await.map(Some);
        }
        IamStep::TagRole { name, tags } => client.tag_role(name, tags).await,
        IamStep::UpdateAssumeRolePolicy { name, trust } => {
            client.update_assume_role_policy(name, trust).await
        }
        IamStep::PutRolePermissionsBoundary { name, arn } => {
            client.put_role_permissions_boundary(name, arn).await
        }
        IamStep::AttachRolePolicy { name, arn } => client.attach_role_policy(name, arn).await,
        IamStep::DetachRolePolicy { name, arn } => client.detach_role_policy(name, arn).await,
        IamStep::DeleteRole { name } => client.delete_role(name).await,
        IamStep::CreatePolicy { place, document, tags } => client.create_policy(place, document, tags).await,
        IamStep::TagPolicy { arn, tags } => client.tag_policy(arn, tags).await,
        IamStep::CreatePolicyVersion { arn, document } => client.create_policy_version(arn, document).await,
        IamStep::DeletePolicyVersion { arn, version } => client.delete_policy_version(arn, version).await,
        IamStep::DeletePolicy { arn } => client.delete_policy(arn).await,
        IamStep::CreateInstanceProfile { place, tags } => client.create_instance_profile(place, tags).await,
        IamStep::TagInstanceProfile { name, tags } => client.tag_instance_profile(name, tags).await,
        IamStep::AddRoleToInstanceProfile { name, role } => {
            client.add_role_to_instance_profile(name, role).await
        }
        IamStep::RemoveRoleFromInstanceProfile { name, role } => {
            client.remove_role_from_instance_profile(name, role).await
        }
        IamStep::DeleteInstanceProfile { name } => client.delete_instance_profile(name).await,
    };
    done.map(|()| None)
}
