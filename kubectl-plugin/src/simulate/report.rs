//! The result of a simulation, as JSON and in the last lines of its text. Pure.

use std::fmt;

use fleetmesh_core::canary::simulate::{StepEntry, Timeline};
use fleetmesh_crds::{Phase, Reason};
use fleetmesh_model::route::WeightedTarget;
use serde::Serialize;

/// What `simulate -o json` answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SimulationReport {
    /// How the rollout ended (Promoted, Aborted), or the phase that it was in at the end of the trace.
    pub outcome: Phase,
    /// Why it ended so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The phase of the route at the end of the trace.
    pub phase: Phase,
    /// The targets in force then.
    pub effective_targets: Vec<WeightedTarget>,
    /// What happened, the earliest first.
    pub timeline: Vec<EntryReport>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryReport {
    /// When, since the trace began.
    pub seconds: f64,
    /// The Event's reason, `Verdict`, or `Action`.
    pub what: String,
    /// In words.
    pub message: String,
}

impl SimulationReport {
    /// The report on a timeline.
    pub fn of(timeline: &Timeline) -> Self {
        let (reason, message) = timeline.ended.clone().map(|(_, reason, message)| (reason, message)).unzip();
        let entry = |StepEntry { at, what, message }: &StepEntry| EntryReport {
            seconds: at.as_secs_f64(),
            what: what.clone(),
            message: message.clone(),
        };
        Self {
            outcome: timeline.ended.as_ref().map_or(timeline.phase, |(outcome, _, _)| *outcome),
            reason,
            message,
            phase: timeline.phase,
            effective_targets: timeline.weights.clone(),
            timeline: timeline.entries.iter().map(entry).collect(),
        }
    }
}

impl fmt::Display for SimulationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.reason, &self.message) {
            (Some(reason), Some(message)) => {
                writeln!(f, "the rollout ended: {:?}, {reason}: {message}", self.outcome)
            }
            _ => writeln!(f, "the trace ended before the rollout did"),
        }
    }
}
