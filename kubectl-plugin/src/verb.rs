//! The verbs: creates a RouteAction, and prints the operator's answer.

use std::time::Duration;

use fleetmesh_crds::{ActionPhase, RouteAction, RouteActionStatus, Verb};
use futures::{StreamExt as _, pin_mut};
use kube::ResourceExt as _;
use kube::api::{PostParams, WatchEvent, WatchParams};

use crate::action::action;
use crate::args::VerbArgs;
use crate::cluster::ObjectPlace;
use crate::error::Error;
use crate::output::Output;

/// Who the API server notes as the creator's program.
const FIELD_MANAGER: &str = "kubectl-fleetmesh";
/// The pause before a watch that ended is begun again.
const PAUSE: Duration = Duration::from_millis(200);

/// Acts on the Route's rollout, and waits for the operator's answer.
///
/// # Errors
/// There is nothing to act on, the operator refused, or it did not answer in time.
pub async fn run(verb: Verb, args: &VerbArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let place = ObjectPlace::of(&args.route).await?;
    let wanted = action(&place.route().await?, verb).map_err(Error::NoRollout)?;
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let created = place.actions.create(&parameters, &wanted).await.map_err(|error| {
        Error::kubernetes(format!("create a RouteAction in the namespace {}", place.namespace), error)
    })?;
    let (name, limit) = (created.name_any(), args.timeout);
    let status = match tokio::time::timeout(limit, answer(&place, created)).await {
        Ok(status) => status?,
        Err(_) => return Err(unanswered(&place, &name, limit)),
    };
    match status.phase {
        ActionPhase::Applied => {
            output.print(&format!("route/{} {}: {}\n", place.name, done(verb), status.message))?;
            Ok(())
        }
        ActionPhase::Refused => Err(Error::Refused(format!(
            "{}: {}. See `fleetmesh canary status {} -n {}`",
            status.reason, status.message, place.name, place.namespace
        ))),
    }
}

/// What the operator says of the action, whenever it does.
async fn answer(place: &ObjectPlace, created: RouteAction) -> Result<RouteActionStatus, Error> {
    let name = created.name_any();
    let mut action = created;
    loop {
        if let Some(status) = action.status {
            return Ok(status);
        }
        if let Some(status) = watch(place, &name, &action.resource_version().unwrap_or_default()).await {
            return Ok(status);
        }
        tokio::time::sleep(PAUSE).await;
        action = place.actions.get(&name).await.map_err(|error| {
            let doing =
                format!("read the RouteAction {name}, which was created and may be carried out all the same");
            Error::kubernetes(doing, error)
        })?;
    }
}

/// What the operator says of the action in one watch; `None` when the watch ended before, as they do.
async fn watch(place: &ObjectPlace, name: &str, version: &str) -> Option<RouteActionStatus> {
    let parameters = WatchParams::default().fields(&format!("metadata.name={name}"));
    let events = place.actions.watch(&parameters, version).await.ok()?;
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(WatchEvent::Added(action) | WatchEvent::Modified(action)) if action.status.is_some() => {
                return action.status;
            }
            Ok(WatchEvent::Added(_) | WatchEvent::Modified(_) | WatchEvent::Bookmark(_)) => {}
            Ok(WatchEvent::Deleted(_) | WatchEvent::Error(_)) | Err(_) => return None,
        }
    }
    None
}

fn unanswered(place: &ObjectPlace, name: &str, limit: Duration) -> Error {
    Error::TimedOut(format!(
        "the operator has not answered within {}: see whether it runs. It will carry out the RouteAction {name} unless the rollout went on before; `kubectl delete routeaction {name} -n {}` takes it back",
        humantime::format_duration(limit),
        place.namespace
    ))
}

fn done(verb: Verb) -> &'static str {
    match verb {
        Verb::Promote => "promoted",
        Verb::PromoteFull => "promoted in full",
        Verb::Pause => "paused",
        Verb::Resume => "resumed",
        Verb::SkipStep => "step skipped",
        Verb::Abort => "aborted",
        Verb::Retry => "retried",
    }
}
