//! The conditions about a rollout. Pure.

use fleetmesh_crds::canary::{Phase, RolloutStatus, Verdict};
use fleetmesh_crds::{CanaryStatus, ConditionType, Reason};

use super::clock::StepClock;
use super::reducer::{Reducer, under_way};
use super::targets::{in_short, same_shares};
use super::verdict::in_words;
use crate::condition::Finding;

impl Reducer<'_> {
    /// The conditions that are about the rollout.
    pub fn conditions(&self) -> Vec<(ConditionType, Finding)> {
        if self.state.phase.is_none() {
            return Vec::new();
        }
        vec![
            (ConditionType::Progressing, self.progressing()),
            (ConditionType::Paused, self.paused()),
            (ConditionType::AnalysisHealthy, self.healthy()),
            (ConditionType::Promoted, self.promoted()),
            (ConditionType::Stalled, self.stalled()),
        ]
    }

    fn progressing(&self) -> Finding {
        let (phase, reason) = (self.phase(), reason(self.phase()));
        let message = in_words_of(&self.state);
        match phase {
            Phase::Progressing | Phase::Held | Phase::Baking | Phase::Draining => {
                Finding::holds(reason, message)
            }
            _ => Finding::fails(reason, message),
        }
    }

    fn paused(&self) -> Finding {
        match self.held_by().filter(|_| self.phase() == Phase::Paused) {
            Some((reason, detail)) => Finding::holds(reason, detail),
            None => Finding::fails(reason(self.phase()), "the rollout does not wait for a person"),
        }
    }

    fn held_by(&self) -> Option<(Reason, String)> {
        let hold = under_way(&self.state)?.hold.as_ref()?;
        Some((hold.reason, hold.detail.clone()))
    }

    fn healthy(&self) -> Finding {
        let metrics = self.analysis.effective_metrics();
        let deciding = metrics.iter().filter(|metric| !metric.dry_run);
        let judged: Vec<_> = deciding
            .filter_map(|metric| {
                let last = self.state.analysis.iter().find(|status| status.name == metric.name)?;
                Some((last, in_words(metric, last)))
            })
            .collect();
        let first = |verdicts: &[Verdict]| judged.iter().find(|(last, _)| verdicts.contains(&last.verdict));
        if let Some((_, words)) = first(&[Verdict::Fail]) {
            return Finding::fails(Reason::AnalysisFailing, words.clone());
        }
        if let Some((last, words)) = first(&[Verdict::Error, Verdict::NoData]) {
            return Finding::unknown(last.reason.unwrap_or(Reason::NoData), words.clone());
        }
        if judged.is_empty() {
            return Finding::unknown(Reason::Pending, "nothing was judged in this rollout");
        }
        let words: Vec<String> = judged.into_iter().map(|(_, words)| words).collect();
        Finding::holds(Reason::AnalysisPassing, words.join("; "))
    }

    fn promoted(&self) -> Finding {
        let stable = in_short(&self.state.stable_targets);
        if same_shares(&self.spec.targets, &self.state.stable_targets) {
            return Finding::holds(reason(self.phase()), format!("the spec's targets are stable: {stable}"));
        }
        let message = format!("{stable} is stable, the spec wants {}", in_short(&self.spec.targets));
        Finding::fails(reason(self.phase()), message)
    }

    fn stalled(&self) -> Finding {
        let stable = in_short(&self.state.stable_targets);
        match (self.phase(), self.held_by()) {
            (Phase::Aborted, _) => {
                let ended = self.state.history.first();
                let (reason, words) =
                    ended.map_or((Reason::Aborted, ""), |entry| (entry.reason, entry.message.as_str()));
                let message =
                    format!("{words}. {stable} serves everything. Change the targets, or retry the rollout");
                Finding::holds(reason, message)
            }
            (Phase::Paused, Some((reason, detail)))
                if !matches!(reason, Reason::AwaitingPromotion | Reason::PausedByUser) =>
            {
                Finding::holds(reason, format!("{detail}. Resume, skip the step, promote or abort"))
            }
            (phase, _) => Finding::fails(reason(phase), "nothing waits for a person to act on a failure"),
        }
    }
}

/// The phase as a reason.
fn reason(phase: Phase) -> Reason {
    match phase {
        Phase::Stable => Reason::Stable,
        Phase::Progressing => Reason::Progressing,
        Phase::Held => Reason::Held,
        Phase::Paused => Reason::Paused,
        Phase::Baking => Reason::Baking,
        Phase::Draining => Reason::Draining,
        Phase::Promoted => Reason::Promoted,
        Phase::Aborted => Reason::Aborted,
        Phase::RolledBack => Reason::RolledBack,
        Phase::Superseded => Reason::Superseded,
    }
}

/// Where the rollout is, and what is waited for.
fn in_words_of(state: &CanaryStatus) -> String {
    let effective = in_short(&state.effective_targets);
    let Some(rollout) = under_way(state) else {
        return format!("no rollout is under way; {effective} is in force");
    };
    let RolloutStatus { id, step, set_weight, hold, .. } = rollout;
    let waits = match (hold, StepClock::of(rollout).until()) {
        (Some(hold), _) => format!("; {}: {}", hold.reason, hold.detail),
        (None, Some(time)) => format!("; not further before {time}"),
        (None, None) => String::new(),
    };
    format!("rollout {id}, step {step}, {set_weight} percent: {effective}{waits}")
}
