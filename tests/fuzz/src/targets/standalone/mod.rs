//! The embedded API of `fleetmesh standalone`: who is let in and what a path means, patches, selectors, and bodies in protobuf.

mod choices;
mod objects;
mod patches;
mod protobuf;
mod requests;
mod selectors;

pub use patches::Patches;
pub use protobuf::Bodies;
pub use requests::Requests;
pub use selectors::Selectors;
