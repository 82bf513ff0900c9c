//! A seam around every write that the operator sends, so that tests can count, delay, drop and crash at call N. In
//! production there is nobody behind it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

/// One request that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Where it goes.
    pub target: Target,
    /// The HTTP method.
    pub method: String,
    /// The path; for AWS, whose requests all have the same, the action, for example `CreateRole`.
    pub path: String,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the App Mesh endpoint.
    AppMesh,
    /// To another service of AWS.
    Aws,
    /// To the Kubernetes API server.
    Kubernetes,
}

/// The reply was lost on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLost;

impl fmt::Display for ReplyLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection reset: the reply was lost")
    }
}

impl std::error::Error for ReplyLost {}

/// What may happen around a write. A hook that never returns is a crash at that point.
#[async_trait]
pub trait Faults: Send + Sync + fmt::Debug {
    /// Before the request is sent.
    async fn before(&self, call: &Call);

    /// After the reply came.
    ///
    /// # Errors
    /// The reply is to be treated as lost: the caller sees a broken connection.
    async fn after(&self, call: &Call) -> Result<(), ReplyLost>;
}

/// The hooks in use, if any.
pub type SharedFaults = Option<Arc<dyn Faults>>;
