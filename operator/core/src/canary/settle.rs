//! Whether what is to be in force is: at the endpoint, and in every connected proxy. Pure.

use fleetmesh_crds::Reason;
use fleetmesh_crds::canary::DataplaneStatus;
use jiff::Timestamp;

use super::observations::Endpoint;
use super::round::Round;
use super::targets::same;
use super::time::{after, in_words, micro};
use crate::observed::{Distribution, Rejection};

/// How many refusals of proxies are told one by one.
const TOLD: usize = 3;

impl Round<'_> {
    /// Notes how far `effective_targets` got.
    pub fn observe_dataplane(&mut self) {
        let Endpoint::Has { targets, version, distribution } = &self.seen.endpoint else { return };
        if !same(targets, &self.state.effective_targets) {
            return;
        }
        let now = micro(self.now);
        let dataplane = self.state.dataplane.get_or_insert_default();
        if dataplane.version != Some(*version) {
            *dataplane = DataplaneStatus {
                version: Some(*version),
                written_at: Some(now.clone()),
                ..Default::default()
            };
        }
        let written = dataplane.written_at.get_or_insert(now.clone()).0;
        let taken = after(written, self.canary.propagation_delay());
        let settled = match distribution {
            Distribution::Awaited => false,
            Distribution::Untold => taken <= self.now,
            Distribution::Told { version: told, .. } if told < version => false,
            Distribution::Told { proxies, acknowledged, rejected, .. } => {
                dataplane.proxies = Some(*proxies);
                dataplane.acked = Some(*acknowledged);
                dataplane.nacked = Some(i32::try_from(rejected.len()).unwrap_or(i32::MAX));
                rejected.is_empty() && acknowledged >= proxies
            }
        };
        if settled && dataplane.settled_at.is_none() {
            dataplane.settled_at = Some(now);
        }
        if matches!(distribution, Distribution::Untold) {
            self.look(taken);
        }
    }

    /// Since when every connected proxy is known to have run the effective targets, at least once.
    pub fn settled_at(&self) -> Option<Timestamp> {
        Some(self.state.dataplane.as_ref()?.settled_at.as_ref()?.0)
    }

    /// Why not every connected proxy is known to run the effective targets right now; `None` when each is.
    pub fn unsettled(&self) -> Option<(Reason, String)> {
        let (targets, version, distribution) = match &self.seen.endpoint {
            Endpoint::Unread => {
                return Some((Reason::WeightsPending, "the endpoint could not be read".to_owned()));
            }
            Endpoint::Absent => {
                return Some((Reason::WeightsPending, "the endpoint does not have the route yet".to_owned()));
            }
            Endpoint::Has { targets, version, distribution } => (targets, version, distribution),
        };
        if !same(targets, &self.state.effective_targets) {
            return Some((Reason::WeightsPending, "the endpoint does not have the weights yet".to_owned()));
        }
        match distribution {
            Distribution::Untold if self.settled_at().is_none() => {
                let delay = in_words(self.canary.propagation_delay());
                let detail = format!("the endpoint does not tell of proxies; {delay} are waited for");
                Some((Reason::ProxiesPending, detail))
            }
            Distribution::Untold => None,
            Distribution::Awaited => Some((Reason::ProxiesPending, untold(*version))),
            Distribution::Told { version: told, .. } if told < version => {
                Some((Reason::ProxiesPending, untold(*version)))
            }
            Distribution::Told { rejected, proxies, .. } if !rejected.is_empty() => {
                Some((Reason::ProxyRejected, refused(rejected, *proxies)))
            }
            Distribution::Told { proxies, acknowledged, .. } => (acknowledged < proxies).then(|| {
                let detail = format!(
                    "{acknowledged} of {proxies} connected proxies run the weights (version {version})"
                );
                (Reason::ProxiesPending, detail)
            }),
        }
    }
}

fn untold(version: i64) -> String {
    format!("the endpoint has version {version} and has not yet told about its proxies")
}

fn refused(rejected: &[Rejection], proxies: i32) -> String {
    let words = rejected.iter().take(TOLD).map(|one| format!("{} says: {}", one.proxy, one.message));
    let words: Vec<String> = words.collect();
    format!("{} of {proxies} connected proxies refused the weights: {}", rejected.len(), words.join("; "))
}
