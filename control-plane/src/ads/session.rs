//! One proxy's stream: reads requests, asks [`Stream`] what to answer, sends it, and reports to the distribution. The shell
//! around the pure part.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fleetmesh_mesh::ads::blame::Blames;
use fleetmesh_mesh::ads::identity::{self, ProxyNode};
use fleetmesh_mesh::ads::isolation::Following;
use fleetmesh_mesh::ads::names;
use fleetmesh_mesh::ads::pace::Pace;
use fleetmesh_mesh::ads::stream::{Request, Send, Stream, StreamEvent};
use fleetmesh_mesh::ads::wire::{DiscoveryRequest, DiscoveryResponse};
use fleetmesh_mesh::distribution::Progress;
use fleetmesh_mesh::snapshot::{Content, ResourceSet, ResourceType, Snapshot, content_version};
use fleetmesh_model::foreign::printable;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::authority;
use super::feed::Feeds;
use super::grpc::{self, Answers};
use super::node_feed::FollowedFeed;
use crate::distribution::{Connected, Distribution};
use crate::listen::Peer;
use crate::metrics::{ServerMetrics, StreamGuard};
use crate::tls::Caller;

/// How long a proxy may owe an acknowledgement before the rest of its configuration stops waiting for it.
const OVERDUE: Duration = Duration::from_secs(5);
/// The most bytes that are kept of a proxy's words about why it refuses something. Envoy begins with the resource's name.
const LONGEST_WORDS: usize = 2048;

/// What every session needs.
#[derive(Clone)]
pub struct SessionContext {
    /// The snapshots.
    pub feeds: Arc<Feeds>,
    /// Where progress is reported.
    pub distribution: Arc<Distribution>,
    /// What is counted.
    pub metrics: ServerMetrics,
    /// The most names of a request of a proxy with a certificate; none is no limit.
    pub max_names: Option<usize>,
    /// How long a proxy may take to send the first one.
    pub first_request: Duration,
    /// When to close the streams.
    pub shutdown: CancellationToken,
}

/// Serves one stream until the proxy or `context.shutdown` closes it.
///
/// # Errors
/// The status that the stream ends with.
pub async fn serve(
    context: SessionContext,
    peer: Peer,
    mut requests: Streaming<DiscoveryRequest>,
    answers: &Answers<DiscoveryResponse>,
) -> Result<(), Status> {
    let opening = grpc::opening(&mut requests, context.first_request, &context.shutdown).await?;
    let Some(opening) = opening else { return Ok(()) };
    let gate = context.feeds.gate();
    let described = ProxyNode::read(&opening.node).map_err(grpc::status)?;
    let node = described.proxied(gate.accounts.identity()).map_err(grpc::status)?;
    authority::admit(gate, &peer.caller, &node, SystemTime::now())?;
    let named = authority::instance(&peer.caller, described.instance())?;
    let is_newer = described.is_newer();
    drop(described);
    let instance = identity::instance(named, peer.address);
    let feed = context.feeds.subscribe(&node)?;
    let connected = Distribution::connect(&context.distribution, &node, peer.caller.holder(), instance);
    let following = Following::new(feed.current.borrow().offer.clone());
    let stream = Stream::new(Arc::clone(following.target()));
    tracing::info!(proxy = connected.name(), "a proxy connected");
    let (feeds, metrics) = (&context.feeds, &context.metrics);
    let mut session = Session {
        stream,
        acknowledged: None,
        feed,
        following,
        connected,
        feeds,
        answers,
        metrics,
        open: metrics.stream(),
        is_newer,
        max_names: context.max_names.filter(|_| !matches!(peer.caller, Caller::Local)),
        sent: HashMap::new(),
        blames: Blames::default(),
        reported: None,
        pace: Pace::new(Instant::now().into_std()),
    };
    let ended = tokio::select! {
        ended = session.exchange(opening, requests, context.shutdown.clone()) => ended,
        status = authority::withdrawn(gate, &peer.caller, &node) => Err(status),
    };
    tracing::info!(proxy = session.connected.name(), "a proxy disconnected");
    ended
}

struct Session<'a> {
    stream: Stream,
    /// The last snapshot that the proxy acknowledged all of.
    acknowledged: Option<Arc<Snapshot>>,
    feed: FollowedFeed,
    following: Following,
    connected: Connected,
    feeds: &'a Feeds,
    answers: &'a Answers<DiscoveryResponse>,
    metrics: &'a ServerMetrics,
    open: StreamGuard,
    /// Whether it is an Envoy that gets clusters in newer words.
    is_newer: bool,
    /// The most names of a request; none is no limit.
    max_names: Option<usize>,
    /// When the answers were sent that the proxy has not answered, by their nonces: one of each type at the most.
    sent: HashMap<ResourceType, (String, Instant)>,
    blames: Blames,
    /// Up to which change of the stream the distribution knows where the proxy stands.
    reported: Option<u64>,
    pace: Pace,
}

impl Session<'_> {
    async fn exchange(
        &mut self,
        opening: DiscoveryRequest,
        mut requests: Streaming<DiscoveryRequest>,
        shutdown: CancellationToken,
    ) -> Result<(), Status> {
        self.request(opening).await?;
        let mut overdue = Instant::now() + OVERDUE;
        loop {
            let turn = self.pace.turn().into();
            let next = async {
                sleep_until(turn).await;
                requests.message().await
            };
            let event = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                message = next => match message? {
                    Some(request) => {
                        self.pace.count(Instant::now().into_std());
                        self.request(request).await?;
                        None
                    }
                    None => return Ok(()),
                },
                changed = self.feed.current.changed() => {
                    changed.map_err(|_| Status::unavailable("the server stops"))?;
                    self.turn();
                    Some(StreamEvent::Target(Arc::clone(self.following.target())))
                }
                () = sleep_until(overdue), if self.stream.awaits() => Some(StreamEvent::Overdue),
            };
            if let Some(event) = event {
                self.event(event).await?;
            }
            overdue = Instant::now() + OVERDUE;
        }
    }

    async fn request(&mut self, request: DiscoveryRequest) -> Result<(), Status> {
        let DiscoveryRequest {
            version_info,
            node: _,
            resource_names,
            type_url,
            response_nonce,
            error_detail,
        } = request;
        let Some(kind) = ResourceType::from_url(&type_url) else {
            let type_url = printable(&type_url);
            tracing::debug!(proxy = self.connected.name(), type_url, "a type that is not served");
            return Ok(());
        };
        let node = &self.stream.target().node;
        let names = names::servable(kind, node, resource_names, self.max_names).map_err(grpc::status)?;
        let error = error_detail.map(|status| cut(status.message));
        let about_the_last = self.answered(kind, &response_nonce, error.is_some());
        if let Some(error) = error.as_ref().filter(|_| about_the_last) {
            tracing::warn!(
                proxy = self.connected.name(),
                type_url,
                says = printable(error),
                "a proxy refused its configuration"
            );
        }
        let recalled = self.recall(kind, &version_info, &response_nonce);
        let request = Request {
            kind,
            version: content_version(&version_info).to_owned(),
            names,
            nonce: response_nonce,
            error,
            recalled,
        };
        self.event(StreamEvent::Request(request)).await
    }

    /// Counts what the proxy makes of an answer; says whether it is the last one and the proxy had not said so before.
    fn answered(&mut self, kind: ResourceType, nonce: &str, refused: bool) -> bool {
        if self.sent.get(&kind).is_none_or(|(sent, _)| sent != nonce) {
            return false;
        }
        let Some((_, since)) = self.sent.remove(&kind) else { return false };
        match refused {
            true => self.metrics.refused(kind),
            false => self.metrics.acknowledged(kind, since.elapsed()),
        }
        true
    }

    /// The clusters that the proxy has from an earlier stream, when it opens this one with a version that is not the
    /// present one. Later requests are not looked at: each look goes through the whole mesh.
    fn recall(&self, kind: ResourceType, version: &str, nonce: &str) -> ResourceSet {
        let target = self.stream.target();
        let current = target.content(ResourceType::Cluster).version == content_version(version);
        let later = kind != ResourceType::Cluster || self.stream.has_asked(kind) || !nonce.is_empty();
        if later || version.is_empty() || current {
            return ResourceSet::new();
        }
        self.feeds.recall(&target.node, version)
    }

    /// Takes in what the node's snapshots are now.
    fn turn(&mut self) {
        let offer = self.feed.current.borrow_and_update().offer.clone();
        self.following.turn(offer);
    }

    async fn event(&mut self, event: StreamEvent) -> Result<(), Status> {
        self.take_in(event).await?;
        if self.reported == Some(self.stream.changes()) {
            return Ok(());
        }
        // What follows from a verdict is taken in before anything is reported: what is at fault is known then, or searched for.
        let verdicts = self.stream.take_verdicts();
        for verdict in &verdicts {
            self.following.note(verdict);
            self.feed.judge(verdict, self.following.is_wary());
        }
        if !verdicts.is_empty() {
            self.turn();
        }
        loop {
            let target = self.stream.target();
            if self.stream.is_current() {
                self.feed.runs(target, self.following.is_wary());
                self.following.settle(target);
            }
            let next = Arc::clone(self.following.target());
            if Arc::ptr_eq(&next, target) {
                break;
            }
            self.take_in(StreamEvent::Target(next)).await?;
        }
        self.reported = Some(self.stream.changes());
        self.report();
        Ok(())
    }

    /// Takes an event in and sends what is to be sent then.
    async fn take_in(&mut self, event: StreamEvent) -> Result<(), Status> {
        for Send { kind, nonce, content } in self.stream.handle(event) {
            self.metrics.pushed(kind, content.size());
            self.sent.insert(kind, (nonce.clone(), Instant::now()));
            let response = DiscoveryResponse {
                version_info: self.feeds.version(&self.stream.target().node, kind, &content),
                resources: bodies(&content, self.is_newer),
                type_url: kind.url().to_owned(),
                nonce,
            };
            // Fails when the proxy is gone; the read side will say so.
            self.answers.send(Ok(response)).await.map_err(|_| Status::cancelled("the proxy is gone"))?;
        }
        Ok(())
    }

    /// Reports to the distribution where the proxy stands.
    fn report(&mut self) {
        let target = self.stream.target();
        self.open.behind(!self.stream.is_current());
        if self.stream.is_current() {
            self.acknowledged = Some(Arc::clone(target));
        }
        let (searching, rejected) = {
            let current = self.feed.current.borrow();
            (current.searching.clone(), Arc::clone(&current.rejections))
        };
        let nacks = self.stream.nacks().filter(|nack| !searching.contains(&nack.kind));
        let mut rejections = self.blames.rejections(nacks, target, self.acknowledged.as_ref());
        if self.following.refuses() {
            rejections.extend(rejected.iter().cloned());
        }
        self.connected.report(Progress { acknowledged: self.acknowledged.clone(), rejections });
    }
}

/// The resources as a proxy gets them.
fn bodies(content: &Content, is_newer: bool) -> Vec<Bytes> {
    content.resources.values().map(|resource| resource.body(is_newer).clone()).collect()
}

/// The beginning of a proxy's words, of at most [`LONGEST_WORDS`] bytes.
fn cut(mut words: String) -> String {
    if words.len() > LONGEST_WORDS {
        words.truncate(words.floor_char_boundary(LONGEST_WORDS));
        words.shrink_to_fit();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_up_to_a_bound() {
        let kept = cut("é".repeat(100_000) + "x");
        assert!(kept.len() <= LONGEST_WORDS && kept.capacity() <= LONGEST_WORDS && kept.starts_with('é'));
        assert_eq!(
            cut(format!("x{}", "é".repeat(100_000))).len(),
            LONGEST_WORDS - 1,
            "no letter is cut in two"
        );
        assert_eq!(cut("no".into()), "no");
    }
}
