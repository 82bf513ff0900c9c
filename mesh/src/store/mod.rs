//! The semantics of a store, whatever its backend: what a change is ([`change`]), how a state applies it ([`state`]), what the replay of
//! a client token returns ([`token`]), when an instance may be bound to another key ([`binding`]), and how long these are remembered.
//! Pure: a store adds reading and writing.

pub mod binding;
pub mod change;
pub mod error;
pub mod state;
pub mod token;

use jiff::SignedDuration;

pub use binding::Binding;
pub use change::{
    Change, ClientToken, Commit, Decide, DecideTogether, Decided, DecidedPart, Fault, JointCommit, Tip, Write,
};
pub use error::{CommitError, JointError, OpenError, StorePlace};
pub use state::{State, Step};
pub use token::Spent;

/// How long a key marks versions before another does; it is recognised for as long again.
pub const KEY_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long a spent client token is remembered. AWS does not say; a day outlives every retry.
pub const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// How many client tokens of each mesh are remembered, unless something else is asked for: the last ones. A client that tries
/// again does so within minutes.
pub const TOKENS_PER_MESH: u32 = 10_000;

/// How many client tokens are forgotten at a time: what comes meanwhile waits for no more.
pub const TOKEN_PIECE: u32 = 1000;
