//! What the streams of one voice say, before and after one of them changed. Pure.

use std::sync::Arc;

use super::node::{ConnectedProxy, CountChange, HolderVoice, NodeProxies};
use super::{NodeRejection, same_snapshot};
use crate::snapshot::Snapshot;

/// What one voice says.
pub(super) struct Spoken {
    /// The stream that speaks, if one is connected.
    pub(super) speaker: Option<(u64, ConnectedProxy)>,
    /// The stream that changes.
    changing: u64,
    /// The same if it is connected and does not speak.
    other: Option<ConnectedProxy>,
    /// The node's proxies that report their load and are not connected.
    elsewhere: usize,
}

impl Spoken {
    /// What `voice` says, of which the stream `changing` is about to change, or has changed.
    pub(super) fn of(node: &NodeProxies, voice: &HolderVoice, changing: u64) -> Self {
        let speaker = node.speaker(voice).map(|(stream, proxy)| (stream, proxy.clone()));
        let speaks = speaker.as_ref().is_some_and(|(stream, _)| *stream == changing);
        let other = node.proxies.get(&changing).filter(|_| !speaks).cloned();
        Self { speaker, changing, other, elsewhere: node.elsewhere() }
    }

    /// What it runs; nothing when no stream is connected.
    pub(super) fn acknowledged(&self) -> Option<Option<&Snapshot>> {
        self.speaker.as_ref().map(|(_, proxy)| proxy.progress.acknowledged.as_deref())
    }

    /// What it refuses, and by which stream.
    pub(super) fn refusals(&self) -> Option<(u64, &[NodeRejection])> {
        self.speaker.as_ref().map(|(stream, proxy)| (*stream, proxy.progress.rejections.as_slice()))
    }

    /// How many proxies of the node had acknowledged nothing, and have after, of those that come or go.
    pub(super) fn unacknowledged_and_after(&self, after: &Self) -> (usize, usize) {
        let without =
            |spoken: &Self| spoken.elsewhere + usize::from(matches!(spoken.acknowledged(), Some(None)));
        match (&self.speaker, &after.speaker) {
            (Some(_), Some(_)) => (self.elsewhere, after.elsewhere),
            _ => (without(self), without(after)),
        }
    }

    /// What changes of the streams that do not speak until `after`: by what they acknowledged, those that are more first.
    pub(super) fn others_until(&self, after: &Self) -> Vec<(Option<Arc<Snapshot>>, CountChange)> {
        let of = |proxy: &ConnectedProxy| proxy.progress.acknowledged.clone();
        let (mut more, mut fewer) = (after.other.as_ref().map(of), self.other.as_ref().map(of));
        if let (Some((was, silent)), Some((is, speaks))) = (&self.speaker, &after.speaker)
            && was != is
        {
            // The stream that changes is counted above.
            more = more.or_else(|| (*was != self.changing).then(|| of(silent)));
            fewer = fewer.or_else(|| (*is != self.changing).then(|| of(speaks)));
        }
        match (&more, &fewer) {
            (Some(more), Some(fewer)) if same_snapshot(more.as_ref(), fewer.as_ref()) => Vec::new(),
            _ => {
                let more = more.map(|acknowledged| (acknowledged, CountChange::More(1)));
                more.into_iter()
                    .chain(fewer.map(|acknowledged| (acknowledged, CountChange::Fewer(1))))
                    .collect()
            }
        }
    }
}
