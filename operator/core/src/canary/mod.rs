//! Rollouts: a route's targets change step by step, are judged by what the proxies report, and are rolled back when they fail.
//!
//! ```text
//! Spec + CanaryStatus + Observations + now ──reduce──▶ Reduction{state, effects, conditions, verdicts, keep, look}
//! ```
//!
//! The phases of a route are one table ([`transition`](mod@transition)).
//!
//! The state is exactly what the Route's status contains. The shell writes the state first, then sends `effective_targets` to the
//! mesh; the next decision sees what the endpoint and the proxies have, and only then a step's clock starts. So a crash between
//! any two of these is harmless: the same state is decided on again. A state without consequences may be written a little later
//! ([`has_news`]).
//!
//! Pure: no clock, no I/O. Times are absolute and in microseconds, as in the status.

mod action;
mod advance;
mod analysis;
pub mod clock;
mod conditions;
mod course;
mod drain;
mod finish;
mod gates;
mod history;
mod hold;
pub mod observations;
pub mod plan;
pub(crate) mod quorum;
mod reduce;
mod reducer;
pub mod reduction;
mod settle;
pub mod simulate;
pub mod spec;
mod state;
pub mod targets;
pub mod time;
pub mod transition;
mod turn;
pub mod verdict;
pub mod weights;
mod witness;
mod writing;

pub use observations::{
    Action, AskOutcome, Health, Node, Observations, Owners, ProxyReports, ReportingEndpoint, Sample,
    TargetOwner, WebhookReply,
};
pub use reduce::{nodes_of_interest, reduce};
pub use reduction::{ActionVerdict, CanaryEffect, Destination, Reduction, WebhookCall};
pub use spec::{Spec, in_force};
pub use transition::{CanaryTrigger, transition, transitions};
pub use turn::{CanaryTurn, is_target, rolls_out, turn};
pub use writing::{UNWRITTEN, has_news};
