//! Fuzzing of the parsers that read what strangers send. `cargo xtask fuzz` runs it.
//!
//! `seeds of a target (well-formed inputs) → a few mutations each → the parser → what must hold → the least input that breaks it`
//!
//! [`targets`] are the parsers, each with its seeds and what must hold of it beyond not panicking. [`mutation`] makes
//! inputs, [`run`] bounds their time and memory, shrinks the one that fails and writes it to a file.
//!
//! A target takes bytes and answers a verdict, so that any engine can drive it; see docs/adr/0021-fuzzing.md.

pub mod memory;
pub mod mutation;
pub mod run;
pub mod targets;
