//! Carries out the plan of a fleet. Writes only.

use fleetmesh_aws::ec2::{Launch, Launched};
use fleetmesh_core::fleet::{self, FailedStep, FleetDecision, FleetOutcome, FleetStep, ZoneLaunch};
use fleetmesh_core::{Failure, FailureClass, Object};
use jiff::Timestamp;
use tracing::{info, warn};

use super::fleet::Services;
use crate::cache::FleetMemory;

/// Carries out the steps. After one that fails, those that need it are left for the next reconcile.
pub async fn apply(
    object: &Object,
    services: &Services,
    decision: &FleetDecision,
    memory: &mut FleetMemory,
    now: Timestamp,
) -> FleetOutcome {
    let mut outcome = FleetOutcome::default();
    for step in &decision.steps {
        if outcome.failed.iter().any(|failed| step.needs(&failed.step)) {
            continue;
        }
        match take(services, step, &mut outcome, memory, now).await {
            Ok(()) => {
                info!(object = %object.key, %step, "done");
                outcome.done.push(step.clone());
            }
            Err(failure) => {
                warn!(object = %object.key, %step, %failure, "failed");
                outcome.failed.push(FailedStep { step: step.clone(), failure });
            }
        }
    }
    outcome
}

async fn take(
    services: &Services,
    step: &FleetStep,
    outcome: &mut FleetOutcome,
    memory: &mut FleetMemory,
    now: Timestamp,
) -> Result<(), Failure> {
    let Services { ec2, ssm: _, cloud_map } = services;
    match step {
        FleetStep::CreateTemplate { name, content, user_data, tags, token, mends: _ } => {
            outcome.template = Some(ec2.create_template(name, (content, user_data), tags, token).await?);
        }
        FleetStep::CreateVersion { template, content, user_data, token, mends: _ } => {
            let version = ec2.create_version(template, (content, user_data), token).await?;
            outcome.template = Some((template.clone(), version));
        }
        FleetStep::SetDefaultVersion { template, version, before: _ } => {
            ec2.set_default_version(template, *version).await?;
        }
        FleetStep::Tag { resource, tags, mends: _ } => ec2.tag(std::slice::from_ref(resource), tags).await?,
        FleetStep::Launch {
            template,
            version,
            count,
            instance_types,
            purchase,
            zone,
            subnet,
            tags,
            launch,
            token,
        } => {
            let request = Launch {
                template,
                version: *version,
                count: *count,
                instance_types,
                purchase: *purchase,
                subnet: subnet.as_deref(),
                tags,
                token,
            };
            let launched = ec2.launch(&request).await;
            if let Err(failure) = &launched
                && failure.class == FailureClass::Conflict
            {
                // The token was spent on a launch of another size whose reply was lost: what that one gave will show.
                outcome.spent = Some(*launch);
                memory.spent(*launch, failure, now);
            }
            let Launched { instances, errors } = launched?;
            let (launch, zone, asked) = (*launch, zone.clone(), *count);
            outcome.launched.push(ZoneLaunch { launch, zone, asked, instances, errors });
            outcome.spent = Some(launch);
        }
        FleetStep::Drain { instances, since } => {
            ec2.tag(instances, &fleet::decide::draining_tag(*since)).await?;
        }
        FleetStep::Register { service, instance, attributes } => {
            cloud_map.register(service, instance, attributes).await?;
        }
        FleetStep::Deregister { service, instance } => cloud_map.deregister(service, instance).await?,
        FleetStep::Terminate { instances } => ec2.terminate(instances).await?,
        FleetStep::Associate { instance, profile_arn } => ec2.associate(instance, profile_arn).await?,
        FleetStep::Disassociate { association, instance: _ } => ec2.disassociate(association).await?,
        FleetStep::DeleteTemplate { template } => ec2.delete_template(template).await?,
    }
    Ok(())
}
