//! What would happen when. Pure.

use std::fmt;

use fleetmesh_core::canary::time::in_words;
use fleetmesh_crds::Phase;
use serde::{Serialize, Serializer};
use std::time::Duration;

/// What would happen when.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// How the rollout ended (Promoted, Aborted), or the phase that it was in at the end of the trace.
    pub outcome: Phase,
    /// Why, in words.
    pub message: String,
    /// When that was, in seconds since the beginning.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub after: Duration,
    /// The weights in force then, for people to read.
    pub weights: String,
    /// What happened, the earliest first.
    pub entries: Vec<Entry>,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When, in seconds since the beginning.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub after: Duration,
    /// The reason of an Event, the new verdict on a metric, or what became of an action.
    pub reason: String,
    /// What happens, in words.
    pub message: String,
}

fn seconds<S: Serializer>(length: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(length.as_secs_f64())
}

impl fmt::Display for Timeline {
    /// A line for each entry, and one for the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |after: &Duration| in_words(*after);
        let times = self.entries.iter().map(|entry| time(&entry.after).len()).max().unwrap_or(0);
        let reasons = self.entries.iter().map(|entry| entry.reason.len()).max().unwrap_or(0);
        for Entry { after, reason, message } in &self.entries {
            writeln!(f, "{:>times$}  {reason:<reasons$}  {message}", time(after))?;
        }
        writeln!(f, "\n{:?} after {}, {}: {}", self.outcome, time(&self.after), self.weights, self.message)
    }
}
