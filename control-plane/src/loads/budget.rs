//! How many requests may still be believed of who has a certificate, whatever number of streams it opens one after the other
//! or at once. Pure: times come in.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmesh_model::ResourceId;

use super::book::{MAX_RATE, SLACK};
use super::window::LONGEST;
use crate::tls::Holder;

/// The most budgets that are kept. The one that was used longest ago gives way.
const MOST: usize = 262_144;

/// What a proxy tells of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Of requests that it sent to a virtual node.
    Sent(ResourceId),
    /// Of those that it passed on to the application of its own.
    Received(ResourceId),
}

/// What is left of the time that may be told of: [`MAX_RATE`] in each second since `spent`.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// All is told of until then; ahead of [`SLACK`] after the beginning, so that it is no negative time.
    spent: Duration,
}

impl Budget {
    /// The requests that may be told of at `at`.
    pub fn left(&self, at: Duration) -> u64 {
        let time = (at + SLACK).saturating_sub(self.spent).min(Duration::from_secs(LONGEST));
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX).saturating_mul(MAX_RATE / 1000)
    }

    /// Takes `requests` away. Of the time before `at` no more than [`SLACK`] is kept for later.
    pub fn spend(&mut self, at: Duration, requests: u64) {
        let time = Duration::from_millis(requests.div_ceil(MAX_RATE / 1000));
        self.spent = self.spent.saturating_add(time).max(at);
    }
}

/// The budgets of those who told of anything in the last [`LONGEST`] seconds.
#[derive(Debug, Default)]
pub struct Budgets(BTreeMap<(Holder, Side), Budget>);

impl Budgets {
    /// What is left to `holder` of one side. Of who told nothing in the last [`LONGEST`] seconds it is the time since `since`,
    /// when what it tells of now began.
    pub fn of(&mut self, holder: Holder, side: Side, since: Duration) -> &mut Budget {
        let key = (holder, side);
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            let oldest = self.0.iter().min_by_key(|(_, budget)| budget.spent).map(|(key, _)| key.clone());
            oldest.map(|oldest| self.0.remove(&oldest));
        }
        self.0.entry(key).or_insert(Budget { spent: since })
    }

    /// Forgets those that no window can show any more.
    pub fn forget(&mut self, now: Duration) {
        self.0.retain(|_, budget| now.saturating_sub(budget.spent) < Duration::from_secs(LONGEST));
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
