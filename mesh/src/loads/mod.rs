//! Loads: how many requests the proxies sent to each virtual node in the last seconds, and how they ended. They are counted where
//! requests are made, so that a virtual node that is dead shows errors and not silence. Each caller's counts are kept apart, beside
//! those of the virtual node's own proxies for the same requests: whoever judges by them need not trust any one.
//!
//! `report → book → window of seconds per virtual node and caller → answer`
//!
//! Pure: times come in, as the time since the book was opened.

mod answer;
mod book;
mod budget;
mod window;

pub use book::{Full, LoadBook, MAX_REPORTERS, NodeLoad, Report, ReportedLoad};
pub use budget::MAX_RATE;
pub use window::{Counts, LONGEST};
