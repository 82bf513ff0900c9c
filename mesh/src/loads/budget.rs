//! How many more requests are believed of the holder of a certificate, however many streams it opens one after the other or at once.
//! Pure: times are passed in.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmesh_model::ResourceId;

use super::window::LONGEST;
use crate::holder::Holder;

/// The most requests a second to one virtual node that a proxy is believed: several times what an Envoy on a large instance
/// sends.
pub const MAX_RATE: u64 = 100_000;
/// By how much a proxy's clock, and the way of a report, may differ from what is seen of them here.
pub(super) const SLACK: Duration = Duration::from_secs(1);

/// The most budgets that are kept. Those that were used longest ago give way.
const MOST: usize = 262_144;
/// How many give way at a time: all have to be looked at to find them, which is too much for each report of a large fleet.
const AT_A_TIME: usize = MOST / 8;

/// Which requests a proxy reports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Those that it sent to a virtual node.
    Sent(ResourceId),
    /// Those that it passed on to its own application.
    Received(ResourceId),
}

/// What is left of the time that may be reported: [`MAX_RATE`] requests in each second since `spent`.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Everything until then is reported; ahead of [`SLACK`] after the beginning, so that it is no negative time.
    spent: Duration,
}

impl Budget {
    /// The requests that may be reported at `at`.
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

/// The budgets of those who reported anything in the last [`LONGEST`] seconds.
#[derive(Debug, Default)]
pub struct Budgets(BTreeMap<(Holder, Side), Budget>);

impl Budgets {
    /// What is left to `holder` of one side. For a holder that reported nothing in the last [`LONGEST`] seconds it is the time
    /// since `since`, when what it reports now began.
    pub fn of(&mut self, holder: Holder, side: Side, since: Duration) -> &mut Budget {
        let key = (holder, side);
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            self.make_room();
        }
        self.0.entry(key).or_insert(Budget { spent: since })
    }

    fn make_room(&mut self) {
        let mut times: Vec<Duration> = self.0.values().map(|budget| budget.spent).collect();
        let (_, last, _) = times.select_nth_unstable(AT_A_TIME - 1);
        self.0.retain(|_, budget| budget.spent > *last);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_most_those_give_way_that_were_used_longest_ago_and_many_at_a_time() {
        let mut budgets = Budgets::default();
        let side = || Side::Sent(ResourceId::virtual_node("m", "n"));
        let holder = |number: usize| {
            let mut holder = [0; 32];
            holder[..8].copy_from_slice(&number.to_be_bytes());
            holder
        };
        let at = |number: usize| Duration::from_micros(u64::try_from(number).unwrap_or_default());
        for number in 0..MOST {
            budgets.of(holder(number), side(), at(number));
        }
        // It was used before all others and, with more than it may report, is ahead of them now.
        budgets.of(holder(0), side(), at(0)).spend(at(0), 10 * MAX_RATE);
        let spent = budgets.of(holder(0), side(), at(0)).spent;
        assert_eq!(budgets.len(), MOST);
        budgets.of(holder(MOST), side(), at(MOST));
        assert_eq!(budgets.len(), MOST - AT_A_TIME + 1, "there is room for many more");
        assert_eq!(budgets.of(holder(0), side(), at(MOST)).spent, spent, "what was spent stays spent");
        assert_eq!(budgets.of(holder(MOST - 1), side(), at(MOST)).spent, at(MOST - 1));
        assert_eq!(budgets.of(holder(1), side(), at(MOST)).spent, at(MOST), "the oldest is as new");
    }
}
