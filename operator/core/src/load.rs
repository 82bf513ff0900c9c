//! The proxies' reports on the requests that they send, by which canaries are judged. Pure data.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmesh_api::loads::{Ended, Load};

/// The loads of a mesh in a window. Where there are none, because nobody can be asked, there is an error and no such value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loads {
    /// The length of the window.
    pub window: Duration,
    /// For how long the control plane has taken reports. Shorter than the window after a restart: the counts are then of
    /// that time only.
    pub observed: Duration,
    /// How much earlier than the window requests may have ended that it counts: a proxy reports what it counted since its
    /// last report, and the report counts when it comes.
    pub lag: Duration,
    /// By the name of the virtual node that requests went to: what all its callers reported together. Nobody reports on one
    /// that is missing.
    pub targets: BTreeMap<String, Load>,
    /// By the same name who reported what of it. Of one that is missing the control plane does not list the callers.
    pub witnesses: BTreeMap<String, Witnesses>,
}

/// Who reported what of the requests to one virtual node in the window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witnesses {
    /// The callers, by the names of their virtual nodes.
    pub callers: BTreeMap<String, Ended>,
    /// The virtual node's own proxies; `None` when none of them reported.
    pub own: Option<Ended>,
}
