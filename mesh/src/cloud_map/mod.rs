//! AWS Cloud Map: which services virtual nodes use and what is known of them ([`discovered`]), the address of an instance
//! ([`instance`]), when to ask and what to read ([`schedule`]).

pub mod discovered;
pub mod instance;
pub mod schedule;
#[cfg(test)]
mod tests;

pub use discovered::{Discovered, Discovery, ServiceName, wanted};
pub use instance::RegisteredInstance;
pub use schedule::Schedule;
