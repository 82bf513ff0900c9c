//! The proxies of one virtual node: one by one, by the holders of their certificates, and by the instances that they run on. Pure.
//!
//! All streams with the certificates of one holder count as one proxy, by the one of them that is farthest ([`Rank`]):
//! more streams give no more weight, and one that rejects or lags does not undo what another runs. Those that lag are counted
//! separately. A stream without a certificate, from this host, counts by itself.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Progress, same_snapshot};
use crate::holder::Holder;
use crate::snapshot::Snapshot;

/// The proxies of one virtual node.
#[derive(Default)]
pub(super) struct NodeProxies {
    /// What they are to run; nothing while the node is deleted.
    pub(super) target: Option<Arc<Snapshot>>,
    /// Those that are connected, by the numbers of their streams.
    pub(super) proxies: BTreeMap<u64, ConnectedProxy>,
    /// Whose streams report their load, and how many of each.
    pub(super) reporting: BTreeMap<HolderVoice, usize>,
    /// Whether the view that is reported on has the node.
    pub(super) exists: bool,
    /// The streams that are connected, by whose they are. The greatest speaks.
    voices: BTreeMap<HolderVoice, BTreeSet<Rank>>,
    instances: BTreeMap<String, InstanceCount>,
}

/// What counts as one proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HolderVoice {
    /// All streams with the certificates of one holder.
    Holder(Holder),
    /// A stream without a certificate.
    Stream(u64),
}

impl HolderVoice {
    /// That of a stream.
    pub(super) fn of(holder: Option<Holder>, stream: u64) -> Self {
        holder.map_or(Self::Stream(stream), Self::Holder)
    }
}

/// How far a stream is among those of one voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// It runs what it is to run.
    current: bool,
    /// When it acknowledged what it runs ([`ConnectedProxy::acknowledged_at`]).
    acknowledged_at: u64,
    /// It says why it does not.
    refuses: bool,
    /// Of equals the one that was there first.
    stream: Reverse<u64>,
}

/// A connected proxy.
#[derive(Clone)]
pub(super) struct ConnectedProxy {
    /// Its node's resource and the number of its stream.
    pub(super) name: Arc<str>,
    /// With which streams it counts as one.
    pub(super) voice: HolderVoice,
    /// When it acknowledged what it runs, as a number that grows with each acknowledgement; 0 when it has not.
    pub(super) acknowledged_at: u64,
    /// The id or the address of the instance that it runs on.
    pub(super) instance: Option<String>,
    /// Where it stands.
    pub(super) progress: Progress,
}

/// The proxies on one instance: two of them overlap when Envoy restarts.
#[derive(Default)]
struct InstanceCount {
    connected: usize,
    /// Those that acknowledged everything that they are to run.
    current: usize,
}

/// Whether proxies come or go.
#[derive(Clone, Copy)]
pub(super) enum CountChange {
    /// So many more.
    More(usize),
    /// So many fewer.
    Fewer(usize),
}

impl CountChange {
    pub(super) fn apply(self, count: &mut usize) {
        *count = match self {
            Self::More(more) => *count + more,
            Self::Fewer(fewer) => count.saturating_sub(fewer),
        };
    }
}

impl NodeProxies {
    /// A node without proxies.
    pub(super) fn new(exists: bool) -> Self {
        Self { exists, ..Self::default() }
    }

    /// The proxies that report their load and are not connected. They run what they got before, and send requests by it.
    pub(super) fn elsewhere(&self) -> usize {
        self.reporting.len().saturating_sub(self.voices.len())
    }

    /// Enters a proxy that has just connected.
    pub(super) fn enter(&mut self, stream: u64, proxy: ConnectedProxy) {
        let current = self.is_current(&proxy.progress);
        let rank = self.rank(stream, &proxy);
        self.voices.entry(proxy.voice).or_default().insert(rank);
        self.stand(proxy.instance.as_ref(), CountChange::More(1), current);
        self.proxies.insert(stream, proxy);
    }

    /// A proxy is gone.
    pub(super) fn leave(&mut self, stream: u64) {
        let Some(proxy) = self.proxies.remove(&stream) else { return };
        let rank = self.rank(stream, &proxy);
        if let Some(ranks) = self.voices.get_mut(&proxy.voice) {
            ranks.remove(&rank);
            if ranks.is_empty() {
                self.voices.remove(&proxy.voice);
            }
        }
        let current = self.is_current(&proxy.progress);
        self.stand(proxy.instance.as_ref(), CountChange::Fewer(1), current);
    }

    /// Who speaks for all streams of `voice`, by the number of its stream; nobody when none is connected.
    pub(super) fn speaker(&self, voice: &HolderVoice) -> Option<(u64, &ConnectedProxy)> {
        self.greatest(self.voices.get(voice)?)
    }

    /// Who speaks for each voice.
    pub(super) fn speakers(&self) -> impl Iterator<Item = (u64, &ConnectedProxy)> {
        self.voices.values().filter_map(|ranks| self.greatest(ranks))
    }

    fn greatest(&self, ranks: &BTreeSet<Rank>) -> Option<(u64, &ConnectedProxy)> {
        let Reverse(stream) = ranks.last()?.stream;
        Some((stream, self.proxies.get(&stream)?))
    }

    fn rank(&self, stream: u64, proxy: &ConnectedProxy) -> Rank {
        Rank {
            current: self.is_current(&proxy.progress),
            acknowledged_at: proxy.acknowledged_at,
            refuses: !proxy.progress.rejections.is_empty(),
            stream: Reverse(stream),
        }
    }

    /// What its proxies are to run, when they count.
    pub(super) fn counted(&self) -> Option<&Arc<Snapshot>> {
        self.target.as_ref().filter(|_| self.exists)
    }

    /// Whether a proxy that stands there acknowledged everything that it is to run.
    pub(super) fn is_current(&self, progress: &Progress) -> bool {
        self.target.is_some() && same_snapshot(self.target.as_ref(), progress.acknowledged.as_ref())
    }

    /// The voices by what they acknowledged, which is the same for nearly all of them.
    pub(super) fn groups(&self) -> Vec<(Option<Arc<Snapshot>>, usize)> {
        let mut groups = grouped(self.speakers().map(|(_, proxy)| proxy));
        match groups.iter_mut().find(|(acknowledged, _)| acknowledged.is_none()) {
            Some((_, proxies)) => *proxies += self.elsewhere(),
            None => groups.push((None, self.elsewhere())),
        }
        groups.retain(|(_, proxies)| *proxies > 0);
        groups
    }

    /// The streams that do not speak, by what they acknowledged.
    pub(super) fn others(&self) -> Vec<(Option<Arc<Snapshot>>, usize)> {
        let ranks = self.voices.values().flat_map(|ranks| ranks.iter().rev().skip(1));
        grouped(ranks.filter_map(|rank| self.proxies.get(&rank.stream.0)))
    }

    /// Works out anew which proxies are current, as after the target has changed.
    pub(super) fn stand_anew(&mut self) {
        self.instances.clear();
        self.voices.clear();
        for (stream, proxy) in std::mem::take(&mut self.proxies) {
            self.enter(stream, proxy);
        }
    }

    /// One more proxy, or one fewer, on an instance.
    fn stand(&mut self, instance: Option<&String>, change: CountChange, current: bool) {
        let Some(instance) = instance else { return };
        let entry = self.instances.entry(instance.clone()).or_default();
        change.apply(&mut entry.connected);
        if current {
            change.apply(&mut entry.current);
        }
        if entry.connected == 0 {
            self.instances.remove(instance);
        }
    }

    /// Where two proxies of one instance overlap, the instance is as far as the farther one.
    pub(super) fn connected(&self) -> BTreeMap<String, bool> {
        let instances = self.instances.iter();
        instances.map(|(name, instance)| (name.clone(), instance.current > 0)).collect()
    }
}

fn grouped<'a>(proxies: impl Iterator<Item = &'a ConnectedProxy>) -> Vec<(Option<Arc<Snapshot>>, usize)> {
    let mut groups: Vec<(Option<Arc<Snapshot>>, usize)> = Vec::new();
    for proxy in proxies {
        let acknowledged = proxy.progress.acknowledged.as_ref();
        match groups.iter_mut().find(|(known, _)| same_snapshot(known.as_ref(), acknowledged)) {
            Some((_, proxies)) => *proxies += 1,
            None => groups.push((acknowledged.cloned(), 1)),
        }
    }
    groups
}
