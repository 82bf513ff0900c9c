//! The reporters, and their reports on each virtual node. Pure: times are passed in, as the time since the book was opened.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use fleetmesh_model::{MeshName, ResourceId};

use super::budget::{Budgets, MAX_RATE, SLACK, Side};
use super::window::{Counts, LONGEST, Window, second};
use crate::holder::Holder;

/// The most proxies that may report at once.
pub const MAX_REPORTERS: usize = 65_536;
/// For how long before its stream began the first report on it is believed to have counted: the time that a proxy needs to come
/// back after this process began anew, or was out of reach.
const OUTAGE: Duration = Duration::from_secs(60);

/// What one proxy reports of one virtual node in one report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportedLoad {
    /// Requests sent since the last report.
    pub issued: u64,
    /// Requests answered without an error since then.
    pub succeeded: u64,
    /// Requests that failed since then.
    pub failed: u64,
    /// Requests under way now.
    pub in_progress: u64,
    /// The time since then, by the proxy's own word.
    pub covers: Duration,
}

impl ReportedLoad {
    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            issued: self.issued.saturating_add(other.issued),
            succeeded: self.succeeded.saturating_add(other.succeeded),
            failed: self.failed.saturating_add(other.failed),
            in_progress: self.in_progress.saturating_add(other.in_progress),
            covers: self.covers.max(other.covers),
        }
    }
}

impl ReportedLoad {
    /// What is believed of it: that it covers a time within `known`, and [`MAX_RATE`] in the time that it can cover by that, or
    /// `left` when that is less; succeeded and failed in their proportion.
    fn plausible(&self, known: KnownTime, left: u64) -> Self {
        let KnownTime { least, most: longest, counted } = known;
        let covers = self.covers.clamp(least, longest);
        let seconds = covers.min(counted).as_secs().clamp(1, LONGEST);
        let most = left.min(MAX_RATE * seconds);
        let ended = u128::from(self.succeeded) + u128::from(self.failed);
        let scaled = |count: u64| {
            let scaled = u128::from(count) * u128::from(most) / ended.max(1);
            if ended > u128::from(most) { u64::try_from(scaled).unwrap_or(most) } else { count }
        };
        Self {
            issued: self.issued.min(most),
            succeeded: scaled(self.succeeded),
            failed: scaled(self.failed),
            in_progress: self.in_progress.min(MAX_RATE),
            covers,
        }
    }

    /// The requests in it.
    fn requests(&self) -> u64 {
        self.issued.max(self.succeeded.saturating_add(self.failed))
    }
}

/// What is known of the time that a report covers, whatever the proxy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KnownTime {
    /// It covers as much at least,
    least: Duration,
    /// and as much at most; never less than `least`.
    most: Duration,
    /// For how much of it requests are believed at [`MAX_RATE`].
    counted: Duration,
}

impl KnownTime {
    /// Of a report that comes `since` the one before it on its stream, or, the `first`, since the stream began.
    fn of(since: Duration, first: bool) -> Self {
        let longest = Duration::from_secs(LONGEST);
        let least = since.saturating_sub(SLACK).min(longest);
        let counted = since.saturating_add(SLACK).min(longest);
        let most = if first { counted.saturating_add(OUTAGE).min(longest) } else { counted };
        Self { least, most, counted }
    }
}

/// One report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What the proxy sent to every virtual node that it has clusters of, also to those that it sent nothing to.
    pub sent: BTreeMap<ResourceId, ReportedLoad>,
    /// What it passed on to its own application; `None` when it has none.
    pub received: Option<ReportedLoad>,
}

/// What is known of a virtual node's load in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLoad {
    /// What was counted by all callers together.
    pub counts: Counts,
    /// The same by the virtual nodes of the callers.
    pub callers: BTreeMap<ResourceId, Counts>,
    /// What the virtual node's own proxies counted of what reached them; `None` when none of them reported.
    pub own: Option<Counts>,
    /// Requests under way, as the connected proxies last reported; no more of one holder than of one proxy.
    pub in_progress: u64,
    /// How many of the connected proxies reported on it. Those of one virtual node with the certificates of one holder
    /// count as one.
    pub reporters: usize,
    /// How long ago the last report on it came.
    pub age: Duration,
}

/// More proxies than may report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    who: String,
    reporters: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} proxies that report their load, and that is the limit", self.who, self.reporters)
    }
}

#[derive(Debug)]
struct Reporter {
    node: ResourceId,
    /// Whose certificate it has; several may have one.
    holder: Option<Holder>,
    /// When it entered or, later, when its last report came.
    last: Duration,
    /// Whether it reported anything yet.
    reported: bool,
    /// The virtual nodes in its last report.
    targets: BTreeSet<ResourceId>,
}

/// What proxies of one virtual node reported, and when the last report came.
#[derive(Debug)]
struct LoadAccount {
    window: Window,
    last: Duration,
}

impl LoadAccount {
    fn new(at: Duration) -> Self {
        Self { window: Window::new(), last: at }
    }

    /// Takes in what is believed of a load.
    fn add(&mut self, at: Duration, load: &ReportedLoad) {
        let ReportedLoad { issued, succeeded, failed, covers, .. } = *load;
        self.window.add(at, covers, Counts { issued, succeeded, failed, reports: 1 });
        self.last = at;
    }

    fn is_over(&self, now: u64) -> bool {
        now - second(self.last) >= LONGEST
    }
}

/// What counts as one reporter: a virtual node and who has the certificate, or the stream where nobody has one.
type Voice<'a> = (&'a ResourceId, Option<Holder>, u64);

#[derive(Debug)]
struct TargetLoads {
    /// By the virtual nodes of the callers.
    callers: BTreeMap<ResourceId, LoadAccount>,
    last: Duration,
    /// By the proxies that named it in their last report: when, and how many requests were under way.
    running: BTreeMap<u64, (Duration, u64)>,
}

/// All that is kept. It grows with the connected proxies, with the virtual nodes that reported in the last [`LONGEST`] seconds and
/// with whom they call, with the certificates that were used in that time, and with nothing else.
#[derive(Debug, Default)]
pub struct LoadBook {
    /// The latest time that came in; time does not go back.
    latest: Duration,
    /// How many reporters there ever were: their ids.
    ever: u64,
    reporters: BTreeMap<u64, Reporter>,
    nodes: BTreeMap<ResourceId, usize>,
    targets: BTreeMap<ResourceId, TargetLoads>,
    /// What virtual nodes' own proxies passed on to their applications.
    own: BTreeMap<ResourceId, LoadAccount>,
    /// What may still be believed of who has a certificate, over all the streams that it opens.
    budgets: Budgets,
}

impl LoadBook {
    /// Enters a proxy of `node`, whose stream began at `at`, and gives its id. What is believed of those with one `holder` they
    /// have in common.
    ///
    /// # Errors
    /// [`MAX_REPORTERS`] report already, or `limit` of this node.
    pub fn enter(
        &mut self,
        node: &ResourceId,
        holder: Option<Holder>,
        at: Duration,
        limit: Option<usize>,
    ) -> Result<u64, Full> {
        let last = self.advance(at);
        let full = |who: &dyn fmt::Display, reporters| Full { who: format!("{who} has"), reporters };
        let of_node = self.nodes.get(node).copied().unwrap_or_default();
        if self.reporters.len() >= MAX_REPORTERS {
            return Err(full(&"this control plane", self.reporters.len()));
        }
        if limit.is_some_and(|limit| of_node >= limit) {
            return Err(full(node, of_node));
        }
        self.ever += 1;
        self.nodes.insert(node.clone(), of_node + 1);
        let reporter =
            Reporter { node: node.clone(), holder, last, reported: false, targets: BTreeSet::new() };
        self.reporters.insert(self.ever, reporter);
        Ok(self.ever)
    }

    /// Takes in a report that came at `at`, as far as it can be true: what it covers is known by when it and the one before it
    /// came, give or take a second. A proxy no longer runs what is missing from its report.
    pub fn report(&mut self, reporter: u64, at: Duration, report: Report) {
        let at = self.advance(at);
        let Some(known) = self.reporters.get_mut(&reporter) else { return };
        let (time, since, holder) =
            (KnownTime::of(at - known.last, !known.reported), known.last, known.holder);
        (known.last, known.reported) = (at, true);
        let budgets = &mut self.budgets;
        let mut believed = |side: Side, load: &ReportedLoad| {
            let Some(holder) = holder else { return load.plausible(time, u64::MAX) };
            let budget = budgets.of(holder, side, since);
            let load = load.plausible(time, budget.left(at));
            budget.spend(at, load.requests());
            load
        };
        known.targets.retain(|id| {
            let runs = report.sent.contains_key(id);
            if let Some(target) = self.targets.get_mut(id).filter(|_| !runs) {
                target.running.remove(&reporter);
            }
            runs
        });
        if let Some(load) = &report.received {
            let load = believed(Side::Received(known.node.clone()), load);
            self.own.entry(known.node.clone()).or_insert_with(|| LoadAccount::new(at)).add(at, &load);
        }
        for (id, load) in report.sent {
            let load = believed(Side::Sent(id.clone()), &load);
            let target = self.targets.entry(id.clone()).or_insert_with(|| TargetLoads {
                callers: BTreeMap::new(),
                last: at,
                running: BTreeMap::new(),
            });
            target.callers.entry(known.node.clone()).or_insert_with(|| LoadAccount::new(at)).add(at, &load);
            target.last = at;
            target.running.insert(reporter, (at, load.in_progress));
            known.targets.insert(id);
        }
    }

    /// Notes that the proxy is gone: it has no requests under way. What it counted stays.
    pub fn leave(&mut self, reporter: u64) {
        let Some(Reporter { node, targets, holder: _, last: _, reported: _ }) =
            self.reporters.remove(&reporter)
        else {
            return;
        };
        if let Some(count) = self.nodes.get_mut(&node) {
            *count -= 1;
            if *count == 0 {
                self.nodes.remove(&node);
            }
        }
        for id in targets {
            if let Some(target) = self.targets.get_mut(&id) {
                target.running.remove(&reporter);
            }
        }
        self.forget();
    }

    /// What is known at `now` of the virtual nodes of `mesh` in the last `seconds` seconds. Without those that no proxy reports
    /// on and none reported on in the last [`LONGEST`].
    pub fn loads(&mut self, mesh: &MeshName, now: Duration, seconds: u64) -> BTreeMap<ResourceId, NodeLoad> {
        let now = self.advance(now);
        self.forget();
        let since = second(now) - seconds.min(LONGEST);
        let of_mesh = self.targets.iter().filter(|(id, _)| id.mesh_name() == mesh);
        let loads = of_mesh.map(|(id, target)| {
            let voices = self.voices(target);
            let in_progress =
                voices.values().map(|(_, count)| (*count).min(MAX_RATE)).fold(0, u64::saturating_add);
            let callers: BTreeMap<ResourceId, Counts> = target
                .callers
                .iter()
                .map(|(caller, account)| (caller.clone(), account.window.sum(now, seconds)))
                .filter(|(_, counts)| *counts != Counts::default())
                .collect();
            let own = self.own.get(id).map(|account| account.window.sum(now, seconds));
            let load = NodeLoad {
                counts: callers.values().fold(Counts::default(), |sum, counts| sum.plus(*counts)),
                callers,
                own: own.filter(|own| own.reports > 0),
                in_progress,
                reporters: voices.values().filter(|(at, _)| second(*at) > since).count(),
                age: now - target.last,
            };
            (id.clone(), load)
        });
        loads.collect()
    }

    /// When the proxies that report on `target` last did so, and how many requests they have under way: by virtual node and holder,
    /// or stream where there is none.
    fn voices(&self, target: &TargetLoads) -> BTreeMap<Voice<'_>, (Duration, u64)> {
        let mut voices: BTreeMap<Voice<'_>, (Duration, u64)> = BTreeMap::new();
        for (id, (at, count)) in &target.running {
            let Some(Reporter { node, holder, .. }) = self.reporters.get(id) else { continue };
            let stream = if holder.is_none() { *id } else { 0 };
            let (last, sum) = voices.entry((node, *holder, stream)).or_default();
            (*last, *sum) = ((*last).max(*at), sum.saturating_add(*count));
        }
        voices
    }

    fn advance(&mut self, at: Duration) -> Duration {
        self.latest = self.latest.max(at);
        self.latest
    }

    /// Drops what no window can show any more.
    fn forget(&mut self) {
        let now = second(self.latest);
        self.targets.retain(|_, target| !target.running.is_empty() || now - second(target.last) < LONGEST);
        for target in self.targets.values_mut() {
            target.callers.retain(|_, account| !account.is_over(now));
        }
        self.own.retain(|_, account| !account.is_over(now));
        self.budgets.forget(self.latest);
    }
}

#[cfg(test)]
mod tests;
