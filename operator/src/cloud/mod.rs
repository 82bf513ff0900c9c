//! The App Mesh endpoint, AWS's or a Fleetmesh control plane. The types of the AWS SDK are used in this folder only, except for
//! the client that an embedding program may pass in: the interface is the model's specs and core's identities and failures.
//!
//! The SDK signs, resolves endpoints and credentials, retries and sets timeouts; the bodies of requests and responses are
//! the model's own JSON (`docs/adr/0001-app-mesh-bodies.md`).

mod body;
mod calls;
mod client;
mod commit;
mod credentials;
mod probe;

pub use calls::AppMeshClient;
pub use client::{AppMeshApi, CloudEndpoint, EndpointError};
pub use commit::NotCommitted;
pub use probe::{CredentialSource, EndpointList, EndpointProbe};
