//! What proxies report of the requests that they send: counts per virtual node over a window. Pure data.

use std::collections::BTreeMap;
use std::time::Duration;

/// The loads of a mesh's virtual nodes over a window that ends now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loads {
    /// The length of the window.
    pub window: Duration,
    /// For how long reports have been taken; less than the window soon after the control plane started.
    pub observed: Duration,
    /// What was counted, by the virtual node's App Mesh name.
    pub targets: BTreeMap<String, Load>,
}

/// What callers counted of the requests to one virtual node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests that were sent in the window.
    pub issued: u64,
    /// Requests that ended in the window without an error.
    pub succeeded: u64,
    /// Requests that ended in the window with an error, or were cut off.
    pub failed: u64,
    /// Requests in flight, as told last.
    pub in_progress: u64,
    /// Reports on the node that came in the window, also those without a request.
    pub reports: u64,
}
