//! Rollouts: each rule by an example in a world of its own (`rules`, `judgement`, `verbs`, `draining`), and what must hold
//! whatever happens (`properties`, `crashes`); and the timelines of traces (`simulation`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod checks;
mod crashes;
mod diagram;
mod draining;
mod draw;
mod judgement;
mod page;
mod properties;
mod rights;
mod rules;
mod simulation;
mod turn;
mod verbs;
mod walk;
mod writing;
