//! What `cargo xtask` shares with the test bed: where tools and programs are, who runs, how much tests do
//! and on whose API.
//!
//! A newcomer compiles it before anything else. Reads the environment and the file system, and starts this program again as
//! root of a user namespace when it is asked to.

pub mod api_server;
pub mod long;
pub mod tools;
pub mod userns;

use std::process::Command;

/// The command as a person would type it.
#[must_use]
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
