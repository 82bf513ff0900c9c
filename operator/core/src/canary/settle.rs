//! Whether the effective targets are in force: at the endpoint, and in the connected proxies. Pure.

use fleetmesh_api::distribution::{ObjectStatus, Rejection};
use fleetmesh_crds::Reason;
use fleetmesh_crds::canary::DataplaneStatus;
use jiff::Timestamp;

use super::observations::ReportingEndpoint;
use super::quorum::hold_up;
use super::reducer::Reducer;
use super::targets::same;
use super::time::{after, in_words, micro};
use crate::event::Severity;
use crate::observed::Distribution;

/// How many NACKs of proxies a message quotes.
const MAX_QUOTED: usize = 3;

impl Reducer<'_> {
    /// Notes how far `effective_targets` got.
    pub fn observe_dataplane(&mut self) {
        let ReportingEndpoint::Has { targets, version, distribution } = &self.seen.endpoint else { return };
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
        dataplane.written_at.get_or_insert(now.clone());
        if let Distribution::Reported(ObjectStatus {
            version: reported, proxies, acknowledged, rejected, ..
        }) = distribution
            && reported >= version
        {
            dataplane.proxies = Some(*proxies);
            dataplane.acked = Some(*acknowledged);
            dataplane.nacked = Some(i32::try_from(rejected.len()).unwrap_or(i32::MAX));
        }
        let settles = self.state.dataplane.as_ref().is_some_and(|known| known.settled_at.is_none());
        if settles && self.unsettled().is_none() {
            if let Some((reason, detail)) = self.missing() {
                self.event(Severity::Warning, reason, "Roll", format!("goes on without some: {detail}"));
            }
            self.state.dataplane.get_or_insert_default().settled_at = Some(now);
        }
        if self.missing().is_some() {
            self.look(self.taken_at());
        }
    }

    /// When a write is taken to have reached every proxy where nobody reports on proxies, and until when proxies that may not
    /// hold up the others are waited for.
    fn taken_at(&self) -> Timestamp {
        let written = self.state.dataplane.as_ref().and_then(|dataplane| dataplane.written_at.as_ref());
        after(written.map_or(self.now, |written| written.0), self.canary.propagation_delay())
    }

    /// Since when the proxies are known to have run the effective targets, at least once.
    pub fn settled_at(&self) -> Option<Timestamp> {
        Some(self.state.dataplane.as_ref()?.settled_at.as_ref()?.0)
    }

    /// Why the proxies are not known to run the effective targets right now; `None` when they are, but for some that may not
    /// hold up the others ([`hold_up`]) and that were waited for.
    pub fn unsettled(&self) -> Option<(Reason, String)> {
        let missing = self.missing()?;
        let ReportingEndpoint::Has { targets, version, distribution } = &self.seen.endpoint else {
            return Some(missing);
        };
        let callers = match distribution {
            Distribution::Reported(ObjectStatus { version: reported, callers, .. })
                if reported >= version && same(targets, &self.state.effective_targets) =>
            {
                callers
            }
            _ => return Some(missing),
        };
        let waited = self.taken_at() <= self.now;
        (callers.is_empty() || !waited || hold_up(callers, &self.seen.owners)).then_some(missing)
    }

    /// Why not every connected proxy is known to run the effective targets right now; `None` when each is.
    pub fn missing(&self) -> Option<(Reason, String)> {
        let (targets, version, distribution) = match &self.seen.endpoint {
            ReportingEndpoint::Unread => {
                return Some((Reason::WeightsPending, "the endpoint could not be read".to_owned()));
            }
            ReportingEndpoint::Absent => {
                return Some((Reason::WeightsPending, "the endpoint does not have the route yet".to_owned()));
            }
            ReportingEndpoint::Has { targets, version, distribution } => (targets, version, distribution),
        };
        if !same(targets, &self.state.effective_targets) {
            return Some((Reason::WeightsPending, "the endpoint does not have the weights yet".to_owned()));
        }
        match distribution {
            Distribution::Unsupported if self.taken_at() > self.now && self.settled_at().is_none() => {
                let delay = in_words(self.canary.propagation_delay());
                let detail =
                    format!("the endpoint does not report on proxies; the rollout waits for {delay}");
                Some((Reason::ProxiesPending, detail))
            }
            Distribution::Unsupported => None,
            Distribution::Pending => Some((Reason::ProxiesPending, pending(*version))),
            Distribution::Reported(ObjectStatus { version: reported, .. }) if reported < version => {
                Some((Reason::ProxiesPending, pending(*version)))
            }
            Distribution::Reported(ObjectStatus { rejected, proxies, .. }) if !rejected.is_empty() => {
                Some((Reason::ProxyRejected, refused(rejected, *proxies)))
            }
            Distribution::Reported(ObjectStatus { proxies, acknowledged, .. }) if acknowledged < proxies => {
                let detail = format!(
                    "{acknowledged} of {proxies} connected proxies run the weights (version {version})"
                );
                Some((Reason::ProxiesPending, detail))
            }
            Distribution::Reported(ObjectStatus { lagging, .. }) => {
                (*lagging > 0).then(|| (Reason::ProxiesPending, behind(*lagging, *version)))
            }
        }
    }
}

/// Streams of a certificate with which another proxy runs the weights.
fn behind(lagging: i32, version: i64) -> String {
    let streams = if lagging == 1 { "stream" } else { "streams" };
    format!(
        "{lagging} further {streams} of proxies that run the weights, with the same certificate, not yet (version {version}): give each proxy a certificate of its own"
    )
}

fn pending(version: i64) -> String {
    format!("the endpoint has version {version} and has not yet reported about its proxies")
}

fn refused(rejected: &[Rejection], proxies: i32) -> String {
    let words = rejected.iter().take(MAX_QUOTED).map(ToString::to_string);
    let words: Vec<String> = words.collect();
    format!("{} of {proxies} connected proxies refused the weights: {}", rejected.len(), words.join("; "))
}
