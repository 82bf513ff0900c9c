//! What the proxies say about one object, as sums. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmesh_api::distribution::{CallingProxies, Rejection};
use fleetmesh_model::{Kind, ResourceId};

use super::node::CountChange;
use crate::view::Record;

/// Whether the proxies of an object of the kind are counted by their virtual nodes, too: of what lies in a virtual router, as
/// a rollout asks who of a route's callers runs it.
pub(super) fn has_callers(kind: Kind) -> bool {
    kind.info().parent.is_some_and(|parent| parent != Kind::Mesh)
}

/// What the proxies say about one object.
#[derive(Default)]
pub(super) struct Sum {
    /// All proxies that are to run it.
    pub(super) all: Count,
    /// The streams beside those that count.
    pub(super) others: Count,
    /// The same by the virtual node of the proxies; where [`has_callers`].
    pub(super) callers: BTreeMap<String, Count>,
    /// By virtual node and stream.
    pub(super) rejected: BTreeMap<(ResourceId, u64), Vec<Rejection>>,
}

/// A number of proxies, and which version of an object they acknowledged.
#[derive(Default)]
pub(super) struct Count {
    /// All of them.
    pub(super) proxies: usize,
    /// One entry for each version that some proxy acknowledged: two, while a change is on its way.
    acknowledged: Vec<(Arc<Record>, usize)>,
}

impl Sum {
    /// Whether nothing is counted.
    pub(super) fn is_nothing(&self) -> bool {
        self.all.proxies == 0 && self.others.proxies == 0 && self.rejected.is_empty()
    }
}

impl Count {
    /// There are more or fewer proxies, which acknowledged `record`, if anything.
    pub(super) fn change(&mut self, record: Option<&Arc<Record>>, change: CountChange) {
        change.apply(&mut self.proxies);
        if let Some(record) = record {
            self.acknowledge(record, change);
        }
    }

    /// More or fewer proxies acknowledged this version.
    pub(super) fn acknowledge(&mut self, record: &Arc<Record>, change: CountChange) {
        match self.acknowledged.iter_mut().find(|(known, _)| same_version(known, record)) {
            Some((_, count)) => change.apply(count),
            None => {
                let mut count = 0;
                change.apply(&mut count);
                self.acknowledged.push((Arc::clone(record), count));
            }
        }
        self.acknowledged.retain(|(_, count)| *count > 0);
    }

    /// The proxies, and those that acknowledged this very version.
    pub(super) fn of(&self, record: &Record) -> CallingProxies {
        let found = self.acknowledged.iter().find(|(known, _)| same_version(known, record));
        let acknowledged = found.map_or(0, |(_, count)| *count);
        CallingProxies { proxies: number(self.proxies), acknowledged: number(acknowledged) }
    }
}

/// A number of proxies, as readers get it.
fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Whether both are the same version of the same object.
pub(super) fn same_version(a: &Record, b: &Record) -> bool {
    a.version == b.version && a.uid == b.uid
}
