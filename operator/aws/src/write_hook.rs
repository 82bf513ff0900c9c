//! Hooks around every write of the operator: to the App Mesh endpoint, to AWS's other services and to the Kubernetes API server.
//! Each write asks them, and each may prevent it from being sent. In production the leader's fence is one; tests add another, which
//! counts the writes and fails one of them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

/// One request that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where it goes.
    pub target: WriteTarget,
    /// The HTTP method.
    pub method: String,
    /// The path; for AWS, whose requests all have the same, the action, for example `CreateRole`.
    pub path: String,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteTarget {
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

/// Somebody who is asked before each write and hears of each reply. Attempts of one write count one by one.
#[async_trait]
pub trait WriteHook: Send + Sync + fmt::Debug {
    /// Before the request is sent. It is sent once this returns, and never if it does not return.
    async fn before(&self, write: &Write);

    /// After the reply came. Without an implementation the reply is let through.
    ///
    /// # Errors
    /// The reply is to be treated as lost: the caller sees a broken connection.
    async fn after(&self, _write: &Write) -> Result<(), ReplyLost> {
        Ok(())
    }
}

/// The hooks that each write asks, in order. Clones are cheap and share the hooks.
#[derive(Clone, Debug, Default)]
pub struct WriteHooks(Vec<Arc<dyn WriteHook>>);

impl WriteHooks {
    /// These, and `hook` after them: it has the last word before a write is sent.
    #[must_use]
    pub fn and(mut self, hook: Arc<dyn WriteHook>) -> Self {
        self.0.push(hook);
        self
    }

    /// Whether there is nobody to ask.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Asks each hook before the write is sent.
    pub async fn before(&self, write: &Write) {
        for hook in &self.0 {
            hook.before(write).await;
        }
    }

    /// Lets each hook know that the reply came.
    ///
    /// # Errors
    /// As [`WriteHook::after`], of the first hook that wants it so.
    pub async fn after(&self, write: &Write) -> Result<(), ReplyLost> {
        for hook in &self.0 {
            hook.after(write).await?;
        }
        Ok(())
    }
}
