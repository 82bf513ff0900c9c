//! Conditions with stable transition times. Pure.

use fleetmesh_crds::{ConditionType, Reason, Status};
use jiff::{Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What a condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The condition's status: True, False or, `None`, Unknown.
    pub holds: Option<bool>,
    /// Why.
    pub reason: Reason,
    /// The object and the way out.
    pub message: String,
}

impl Finding {
    /// It holds.
    pub fn holds(reason: Reason, message: impl Into<String>) -> Self {
        Self { holds: Some(true), reason, message: message.into() }
    }

    /// It does not hold.
    pub fn fails(reason: Reason, message: impl Into<String>) -> Self {
        Self { holds: Some(false), reason, message: message.into() }
    }

    /// Nothing can be said yet.
    pub fn unknown(reason: Reason, message: impl Into<String>) -> Self {
        Self { holds: None, reason, message: message.into() }
    }

    fn status(&self) -> &'static str {
        match self.holds {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        }
    }

    /// The condition of type `kind`. `before` is the status that it replaces: while True, False or Unknown stays, so
    /// does the time of the transition.
    pub fn condition(
        &self,
        kind: ConditionType,
        before: &Status,
        generation: i64,
        now: Timestamp,
    ) -> Condition {
        let status = self.status();
        let since = before.condition(kind).filter(|condition| condition.status == status);
        Condition {
            last_transition_time: since
                .map_or_else(|| seconds(now), |condition| condition.last_transition_time.clone()),
            message: shortened(&self.message),
            observed_generation: Some(generation),
            reason: self.reason.as_str().to_owned(),
            status: status.to_owned(),
            type_: kind.as_str().to_owned(),
        }
    }
}

/// Kubernetes keeps whole seconds; anything finer would differ from what is read back.
fn seconds(now: Timestamp) -> Time {
    let rounding = jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc);
    Time(now.round(rounding).unwrap_or(now))
}

/// Kubernetes allows 32768 characters in a message; a person reads far fewer.
const MAX_MESSAGE: usize = 2000;

fn shortened(message: &str) -> String {
    match message.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message.to_owned(),
    }
}
