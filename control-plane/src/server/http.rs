//! What is served over HTTP on which listener.

use axum::Router;

use crate::listen::BoundListener;
use crate::serving::Hosts;
use crate::sigv4::{LocalKeys, SignatureGuard, guard, local};

/// What is served over HTTP, and to whom.
pub(super) struct Routers {
    /// To everybody.
    pub(super) open: Router,
    /// To callers of this host, and to others who sign their requests.
    pub(super) guarded: Router,
    /// What judges their signatures; absent when there is no listener for others.
    pub(super) guard: Option<SignatureGuard>,
    /// By which callers of this host are known; absent when no key is.
    pub(super) local: Option<LocalKeys>,
}

impl Routers {
    /// What is served on `listener`.
    pub(super) fn of(&self, listener: &BoundListener) -> Router {
        let guarded = match &self.guard {
            Some(knows) if listener.is_exposed() => guard(self.guarded.clone(), knows.clone()),
            _ => local(self.guarded.clone(), self.local.clone()),
        };
        self.open.clone().merge(guarded)
    }
}

/// The names that a listener of App Mesh's API answers to.
pub(super) fn hosts(listener: &BoundListener, allowed: &[String]) -> Hosts {
    match listener {
        BoundListener::Tcp(_) => Hosts::Loopback(allowed.to_vec()),
        // Whoever gets there has a key, or may enter the folder.
        BoundListener::Tls(_) | BoundListener::Unix(..) => Hosts::Any,
    }
}
