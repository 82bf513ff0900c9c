//! Which proxy is sent what a search tries. Pure.
//!
//! All of a node that refuse something would give the same verdict, each in its own time: a late one would undo what the others
//! proved. So one is asked, and the others run what it acknowledged.

use std::ops::Bound;
use std::sync::Arc;

use super::{Isolation, Standing};
use crate::snapshot::Snapshot;

impl Isolation {
    /// While a search is on: what is served without what is tried, for proxies that are not the [tester](Self::tester).
    pub fn base(&self) -> Option<&Arc<Snapshot>> {
        self.base.as_ref()
    }

    /// While a search is on: the number of the proxy that is sent what is tried ([`Standing::proxy`]); none when there is no such proxy.
    pub fn tester(&self) -> Option<u64> {
        self.tester
    }

    /// A proxy does not answer, or can be sent nothing of what is tried: another one is to be asked, if there is one. Says whether
    /// that makes a difference.
    pub fn pass_over(&mut self, proxy: u64) -> bool {
        self.candidates.remove(&proxy);
        if self.tester != Some(proxy) {
            return false;
        }
        let mut after = self.candidates.range((Bound::Excluded(proxy), Bound::Unbounded));
        self.tester = after.next().or_else(|| self.candidates.first()).copied();
        true
    }

    /// Appoints the tester after a verdict of this proxy. One whose words took the search on is asked next.
    pub(super) fn appoint(&mut self, standing: Standing, took_on: bool) {
        let asks = took_on || self.tester.is_none();
        if asks && standing.refuses && !self.searching().is_empty() {
            self.tester = Some(standing.proxy);
        }
    }
}
