//! What a request does to the objects: decided on a [`State`], before anything is stored.
//!
//! `request → decide on the state (Decision) → guards hold? → write → state, history, watches`
//!
//! A decision names what it relied on ([`Guard`]). Whoever stores it checks that on the newest state; when it does not hold any
//! more, the request is decided again.

pub mod check;
pub mod collect;
pub mod create;
pub mod definitions;
pub mod delete;
pub mod history;
pub mod list;
pub mod metadata;
pub mod names;
mod owners;
pub mod scale;
mod span;
pub mod state;
#[cfg(test)]
mod tests;
pub mod update;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

pub use history::{Event, EventKind, History, HistoryBounds, Ledger};
pub use span::Span;
pub use state::{Key, State, Stored};

/// What is not a function of the request and the state.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// The time.
    pub now: Timestamp,
    /// A uid that no object has.
    pub uid: String,
    /// Five letters for the end of a generated name.
    pub suffix: String,
}

impl Fresh {
    /// The time as objects have it: in UTC, in whole seconds.
    pub fn time(&self) -> String {
        self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

/// What a decision relied on, and what has to hold when it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// There is no object of the key.
    Absent(Key),
    /// The object of the key is the one of this resource version.
    At(Key, u64),
    /// The namespace is there and not being deleted.
    Active(String),
}

/// A change of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Which object.
    pub key: Key,
    /// How it changes.
    pub kind: EventKind,
    /// The object after the change, or as it was last when it is removed. Its resource version is set when it is stored.
    pub object: Value,
}

/// What a request comes to.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Nothing is written, and the answer is the object as it is.
    Unchanged(Arc<Stored>),
    /// This is to be written if the guards hold.
    Write(Write, Vec<Guard>),
}
