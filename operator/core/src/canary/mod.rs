//! Rollouts: how a route's targets change by themselves, judged by what the proxies report, and undone when they should.
//!
//! ```text
//! Spec + CanaryStatus + Observations + now ──reduce──▶ Reduction{state, effects, conditions, verdicts, keep, look}
//! ```
//!
//! Where the route is on its way comes from one table ([`transition`](mod@transition)).
//!
//! The state is exactly what the Route's status keeps. The shell writes the state first, then
//! gives the mesh `effective_targets`; the next decision sees what the endpoint and the proxies have, and only then a
//! step's clock starts. So a crash between any two of these costs nothing: the same state is decided about again. A state
//! from which nothing follows may be written a little later ([`tells_news`]).
//!
//! Pure: no clock, no I/O. Times are absolute and in microseconds, as the status keeps them.

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
pub use writing::{UNWRITTEN, tells_news};
