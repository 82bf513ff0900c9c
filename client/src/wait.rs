//! wait: until objects are as they should, or the time is over.

use std::time::Duration;

use fleetmesh_api::urls::escape;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::condition::Condition;
use crate::error::Error;
use crate::fetch::{Query, Target};
use crate::output::Output;
use crate::session::{JSON, Session};

/// How often it is looked for what is not there yet, as kubectl does.
const LOOK: Duration = Duration::from_millis(500);
const TIMED_OUT: &str = "timed out waiting for the condition";

/// The options of `wait`.
#[derive(Clone, Debug, Default)]
pub struct WaitOptions {
    /// Which objects.
    pub query: Query,
    /// What is waited for, one after the other.
    pub conditions: Vec<Condition>,
    /// How long at most; zero looks once.
    pub timeout: Duration,
    /// In which form they are printed.
    pub output: Output,
}

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    pub end: Instant,
    /// Whether it is looked only once.
    pub once: bool,
}

pub(crate) async fn run(session: &mut Session<'_>, options: &WaitOptions) -> Result<(), Error> {
    if options.conditions.is_empty() {
        return Err(Error::message("unrecognized condition: []"));
    }
    let until = Until { end: Instant::now() + options.timeout, once: options.timeout.is_zero() };
    if options.conditions.contains(&Condition::Created) {
        until.created(session, &options.query).await?;
    }
    let is_for_deletion = options.conditions.contains(&Condition::Deleted);
    let found = options.query.objects(session, false).await?;
    let mut errors = found.errors;
    if is_for_deletion {
        errors.retain(|error| !error.is_not_found());
    }
    if found.targets.is_empty() && errors.is_empty() && !is_for_deletion {
        return Err(Error::message("no matching resources found"));
    }
    for target in found.targets {
        errors.extend(one(session, options, until, target).await.err());
    }
    Error::all(errors)
}

async fn one(
    session: &mut Session<'_>,
    options: &WaitOptions,
    until: Until,
    mut target: Target,
) -> Result<(), Error> {
    for condition in &options.conditions {
        // What is there was waited for already.
        if *condition != Condition::Created {
            target.object = until.reached(session, &target, condition, None).await?;
        }
        let text = match options.output {
            Output::Table | Output::Wide => target.done("condition met"),
            form => form.document(std::slice::from_ref(&target), true, false)?,
        };
        session.print(&text)?;
    }
    Ok(())
}

impl Until {
    /// Waits until something that the query asks for is there.
    async fn created(self, session: &mut Session<'_>, query: &Query) -> Result<(), Error> {
        loop {
            let found = query.objects(session, false).await?;
            if !found.targets.is_empty() {
                return Ok(());
            }
            found.errors.into_iter().find(|error| !error.is_not_found()).map_or(Ok(()), Err)?;
            if self.once || Instant::now() + LOOK > self.end {
                return Err(Error::message(TIMED_OUT));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the condition holds; gives the object as it is then, or as it was last. Another object of the name, whose uid is
    /// not `uid`, counts as none.
    pub async fn reached(
        self,
        session: &mut Session<'_>,
        target: &Target,
        condition: &Condition,
        uid: Option<&str>,
    ) -> Result<Value, Error> {
        if self.once {
            return match self.look(session, target, condition, uid).await? {
                Look::Reached(object) => Ok(object),
                Look::NotYet(..) => Err(Error::message(format!("condition not met for {}", target.shown()))),
            };
        }
        match timeout_at(self.end, self.followed(session, target, condition, uid)).await {
            Ok(reached) => reached,
            Err(_) => Err(Error::message(format!("{TIMED_OUT} on {}", target.shown()))),
        }
    }

    async fn look(
        self,
        session: &mut Session<'_>,
        target: &Target,
        condition: &Condition,
        uid: Option<&str>,
    ) -> Result<Look, Error> {
        match session.read(&target.path(), JSON).await {
            Ok(object) => {
                let is_other = uid.is_some_and(|uid| !uid.is_empty() && object["metadata"]["uid"] != uid);
                let is_gone = is_other && *condition == Condition::Deleted;
                let is_reached = is_gone || holds(condition, &object)?;
                Ok(if is_reached { Look::Reached(object) } else { Look::NotYet(object) })
            }
            Err(error) if error.is_not_found() && *condition == Condition::Deleted => {
                Ok(Look::Reached(target.object.clone()))
            }
            Err(error) => Err(error),
        }
    }

    /// Looks, and then follows the changes; as often as the API ends the watch.
    async fn followed(
        self,
        session: &mut Session<'_>,
        target: &Target,
        condition: &Condition,
        uid: Option<&str>,
    ) -> Result<Value, Error> {
        loop {
            let seen = match self.look(session, target, condition, uid).await? {
                Look::Reached(object) => return Ok(object),
                Look::NotYet(object) => object,
            };
            let version = seen["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
            let path = format!(
                "{}?watch=true&fieldSelector=metadata.name%3D{}&resourceVersion={version}",
                target.resource.path(Some(&target.namespace)),
                escape(&target.name)
            );
            let mut changes = session.watch(&path, JSON).await?;
            while let Some((kind, object)) = changes.next().await {
                match kind.as_str() {
                    "DELETED" if *condition == Condition::Deleted => return Ok(object),
                    // Gone, or the watch is too old: look again.
                    "DELETED" | "ERROR" => break,
                    _ if holds(condition, &object)? => return Ok(object),
                    _ => {}
                }
            }
        }
    }
}

enum Look {
    Reached(Value),
    NotYet(Value),
}

fn holds(condition: &Condition, object: &Value) -> Result<bool, Error> {
    condition.holds(object).map_err(|error| Error::message(error.to_string()))
}
