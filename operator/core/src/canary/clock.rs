//! The clock of a step: it starts when every connected proxy has the step's weights, and says when the step's pause is over.
//! The status keeps it as two times, either of which may be absent; this is where they are read and written. Pure.

use fleetmesh_crds::canary::RolloutStatus;
use jiff::Timestamp;

use super::plan::Lasts;
use super::time::{after, micro};

/// Before when the step in force is not left by plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepClock {
    /// Not every connected proxy has the weights: the clock does not run.
    NotEntered,
    /// The pause is over at this time, which may have passed.
    Until(Timestamp),
    /// The pause is over when somebody promotes.
    UntilPromoted,
}

impl StepClock {
    /// The clock that a status keeps.
    pub fn of(rollout: &RolloutStatus) -> Self {
        match (&rollout.step_entered_at, &rollout.next_step_not_before) {
            (None, _) => Self::NotEntered,
            (Some(_), Some(time)) => Self::Until(time.0),
            (Some(_), None) => Self::UntilPromoted,
        }
    }

    /// The clock of a step that every proxy has had since `entered`. A weight that is no step of the plan has no pause.
    pub(super) fn started(entered: Timestamp, lasts: Option<Lasts>) -> Self {
        match lasts {
            Some(Lasts::For(length)) => Self::Until(after(entered, length)),
            Some(Lasts::UntilPromoted) => Self::UntilPromoted,
            None => Self::Until(entered),
        }
    }

    /// This clock of a step entered at `entered`, when the plan has changed. The weight may be no step's any more: then its
    /// time still runs, and a pause of it is over.
    pub(super) fn replanned(self, entered: Timestamp, lasts: Option<Lasts>) -> Self {
        match (self, lasts) {
            (Self::NotEntered, _) => Self::NotEntered,
            (Self::Until(time), None) => Self::Until(time),
            (Self::UntilPromoted, None) => Self::Until(entered),
            (_, Some(lasts)) => Self::started(entered, Some(lasts)),
        }
    }

    /// The time of [`Self::Until`].
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::Until(time) => Some(time),
            Self::NotEntered | Self::UntilPromoted => None,
        }
    }
}

/// The rollout with this clock in the step that it entered at `entered`.
pub(super) fn with_clock(rollout: RolloutStatus, entered: Timestamp, clock: StepClock) -> RolloutStatus {
    let step_entered_at = (clock != StepClock::NotEntered).then(|| micro(entered));
    RolloutStatus { step_entered_at, next_step_not_before: clock.until().map(micro), ..rollout }
}

/// The rollout in a step that no proxy is known to have entered.
pub(super) fn without_clock(rollout: RolloutStatus) -> RolloutStatus {
    RolloutStatus { step_entered_at: None, next_step_not_before: None, ..rollout }
}

/// Since when every connected proxy has had the step's weights, if they have.
pub(super) fn entered(rollout: &RolloutStatus) -> Option<Timestamp> {
    rollout.step_entered_at.as_ref().map(|entered| entered.0)
}
