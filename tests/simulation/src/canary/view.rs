//! What the examples ask of a world.

use std::collections::BTreeSet;

use fleetmesh_core::canary::targets;
use fleetmesh_crds::{ConditionType, Phase};

use super::world::CanaryWorld;

impl CanaryWorld {
    pub fn phase(&self) -> Phase {
        self.stored.phase.unwrap_or_default()
    }

    pub fn step(&self) -> Option<i32> {
        self.stored.rollout.as_ref().map(|rollout| rollout.step_index)
    }

    pub fn hold(&self) -> Option<&'static str> {
        self.stored.rollout.as_ref()?.hold.as_ref().map(|hold| hold.reason.as_str())
    }

    pub fn weights(&self) -> String {
        targets::in_short(&self.stored.effective_targets)
    }

    /// What the mesh was given since the beginning.
    pub fn pushed(&self) -> Vec<&str> {
        self.pushes.iter().map(|(_, weights)| weights.as_str()).collect()
    }

    pub fn events_with(&self, reason: &str) -> usize {
        self.events.iter().filter(|(_, known, _)| known == reason).count()
    }

    pub fn condition(&self, kind: ConditionType) -> (Option<bool>, &'static str) {
        let last = self.last.as_ref().expect("a decision");
        let found = last.conditions.iter().find(|(known, _)| *known == kind);
        let finding = &found.expect("the condition").1;
        (finding.holds, finding.reason.as_str())
    }

    pub fn keeps(&self) -> BTreeSet<&str> {
        self.last.as_ref().unwrap().keep.iter().map(String::as_str).collect()
    }

    pub fn ended(&self) -> Option<(Phase, &'static str)> {
        self.stored.history.first().map(|entry| (entry.outcome, entry.reason.as_str()))
    }
}
