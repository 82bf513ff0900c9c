//! One proxy's stream: reads requests, asks [`Stream`] what to answer, sends it, and reports to the distribution. The shell
//! around the pure part.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fleetmesh_mesh::ads::blame::Blames;
use fleetmesh_mesh::ads::identity::{self, ProxyNode};
use fleetmesh_mesh::ads::isolation::{Following, Verdict};
use fleetmesh_mesh::ads::names;
use fleetmesh_mesh::ads::pace::Pace;
use fleetmesh_mesh::ads::resend::Resend;
use fleetmesh_mesh::ads::stream::{Interest, Request, Stream, StreamEvent};
use fleetmesh_mesh::distribution::Progress;
use fleetmesh_mesh::snapshot::{ResourceSet, ResourceType, Snapshot, content_version};
use fleetmesh_model::foreign::printable;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::authority;
use super::feed::Feeds;
use super::grpc::{self, Answers};
use super::node_feed::FollowedFeed;
use super::variants::{Protocol, ProxyRequest};
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
pub async fn serve<P: Protocol>(
    context: SessionContext,
    peer: Peer,
    mut requests: Streaming<P::Request>,
    answers: &Answers<P::Answer>,
) -> Result<(), Status> {
    let opening = grpc::opening(&mut requests, context.first_request, &context.shutdown).await?;
    let Some(opening) = opening else { return Ok(()) };
    let gate = context.feeds.gate();
    let described = ProxyNode::read(P::node(&opening)).map_err(grpc::status)?;
    let node = described.proxied(gate.accounts.identity()).map_err(grpc::status)?;
    authority::admit(gate, &peer.caller, &node, SystemTime::now())?;
    let named = authority::instance(&peer.caller, described.instance())?;
    let is_newer = described.is_newer();
    drop(described);
    let instance = identity::instance(named, peer.address);
    let feed = context.feeds.subscribe(&node, instance.clone())?;
    let connected = Distribution::connect(&context.distribution, &node, peer.caller.holder(), instance);
    let following = Following::new(feed.current.borrow().offer.clone(), feed.number());
    let stream = Stream::new(P::VARIANT, Arc::clone(following.target())).after(feed.unsettled());
    let stream = stream.worded(first_wording());
    tracing::info!(proxy = connected.name(), "a proxy connected");
    let (feeds, metrics) = (&context.feeds, &context.metrics);
    let mut session = Session::<P> {
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
        resend: Resend::default(),
    };
    let ended = tokio::select! {
        ended = session.exchange(opening, requests, context.shutdown.clone()) => ended,
        status = authority::withdrawn(gate, &peer.caller, &node) => Err(status),
    };
    session.feed.leave(session.stream.unsettled());
    tracing::info!(proxy = session.connected.name(), "a proxy disconnected");
    ended
}

struct Session<'a, P: Protocol> {
    stream: Stream,
    /// The last snapshot that the proxy acknowledged all of.
    acknowledged: Option<Arc<Snapshot>>,
    feed: FollowedFeed,
    following: Following,
    connected: Connected,
    feeds: &'a Feeds,
    answers: &'a Answers<P::Answer>,
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
    /// When it gets again what it rejected of its secrets.
    resend: Resend,
}

impl<P: Protocol> Session<'_, P> {
    async fn exchange(
        &mut self,
        opening: P::Request,
        mut requests: Streaming<P::Request>,
        shutdown: CancellationToken,
    ) -> Result<(), Status> {
        self.request(opening).await?;
        let mut overdue = Instant::now() + OVERDUE;
        loop {
            let turn = self.pace.turn().into();
            let again = self.resend.due().filter(|_| !self.stream.awaits());
            let silent = self.silent();
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
                () = sleep_until(silent.unwrap_or(overdue)), if silent.is_some() => {
                    self.pass_over();
                    Some(StreamEvent::Target(Arc::clone(self.following.target())))
                }
                () = sleep_until(again.map_or(overdue, Instant::from_std)), if again.is_some() => self.again(),
            };
            if let Some(event) = event {
                self.event(event).await?;
            }
            overdue = Instant::now() + OVERDUE;
        }
    }

    async fn request(&mut self, request: P::Request) -> Result<(), Status> {
        let ProxyRequest { type_url, nonce, error, interest } = P::read(request);
        let Some(kind) = ResourceType::from_url(&type_url) else {
            let type_url = printable(&type_url);
            tracing::debug!(proxy = self.connected.name(), type_url, "a type that is not served");
            return Ok(());
        };
        let interest = self.admitted(kind, &nonce, interest)?;
        let error = error.map(cut);
        let about_the_last = self.answered(kind, &nonce, error.is_some());
        if let Some(error) = error.as_ref().filter(|_| about_the_last) {
            tracing::warn!(
                proxy = self.connected.name(),
                type_url,
                says = printable(error),
                "a proxy refused its configuration"
            );
        }
        self.event(StreamEvent::Request(Request { kind, nonce, error, interest })).await
    }

    /// What a request says of resources, as far as the proxy can be served: names that this control plane never gives are dropped.
    fn admitted(&self, kind: ResourceType, nonce: &str, interest: Interest) -> Result<Interest, Status> {
        let node = &self.stream.target().node;
        Ok(match interest {
            Interest::Whole { version, names, recalled: _ } => {
                let names = names::servable(kind, node, names, self.max_names).map_err(grpc::status)?;
                let recalled = self.recall(kind, &version, nonce);
                Interest::Whole { version: content_version(&version).to_owned(), names, recalled }
            }
            Interest::Change { subscribe, unsubscribe, mut versions } => {
                let subscribe = names::servable(kind, node, subscribe, None).map_err(grpc::status)?;
                let count = self.stream.names(kind, &subscribe);
                names::within(kind, count, self.max_names).map_err(grpc::status)?;
                versions.retain(|name, _| names::is_given(kind, node.mesh_name(), name));
                Interest::Change { subscribe, unsubscribe, versions }
            }
        })
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

    /// When the proxy, if it is sent what is tried, owes an answer for too long, whatever else it says meanwhile.
    fn silent(&self) -> Option<Instant> {
        let first = self.sent.values().map(|(_, sent)| *sent + OVERDUE).min();
        first.filter(|_| self.following.is_tester())
    }

    /// Another proxy is sent what is tried.
    fn pass_over(&mut self) {
        self.feed.pass_over();
        self.turn();
    }

    /// What is to be done as it is time to send again what the proxy rejected of its secrets.
    fn again(&mut self) -> Option<StreamEvent> {
        self.resend.passed(Instant::now().into_std());
        // While it is searched for what is at fault, that decides what is sent.
        (!self.following.is_searching()).then(|| StreamEvent::Again(Arc::clone(self.following.wanted())))
    }

    async fn event(&mut self, event: StreamEvent) -> Result<(), Status> {
        self.take_in(event).await?;
        if self.reported == Some(self.stream.changes()) {
            return Ok(());
        }
        // What follows from a verdict is taken in before anything is reported: what is at fault is known then, or searched for.
        let verdicts = self.stream.take_verdicts();
        self.judge(&verdicts);
        loop {
            let target = Arc::clone(self.stream.target());
            if self.stream.is_current() {
                let was_wary = self.following.is_wary();
                self.feed.runs(&target, was_wary);
                self.following.settle(&target);
                if was_wary && !self.following.is_wary() {
                    self.pass_over();
                }
            }
            self.following.note_held_up(self.stream.is_held_up());
            if self.stream.is_held_up() && self.following.is_tester() {
                self.pass_over();
            }
            let next = Arc::clone(self.following.target());
            if Arc::ptr_eq(&next, &target) {
                if !self.following.is_tester() || self.stream.awaits() {
                    break;
                }
                // It owes no answer that could take the search on: it does not ask for all that this is about.
                self.pass_over();
                continue;
            }
            self.take_in(StreamEvent::Target(next)).await?;
        }
        self.reported = Some(self.stream.changes());
        let rejected = self.stream.rejected_secrets(self.following.wanted());
        self.resend.note(Instant::now().into_std(), rejected);
        self.report();
        Ok(())
    }

    /// Has the proxies' feed take in what this one thinks of answers.
    fn judge(&mut self, verdicts: &[Verdict]) {
        for verdict in verdicts {
            self.following.note(verdict);
            self.feed.judge(verdict, self.following.is_wary());
        }
        if verdicts.is_empty() {
            return;
        }
        let runs_again = verdicts.iter().any(|verdict| verdict.again && verdict.error.is_none());
        if runs_again && self.stream.rejected_secrets(self.following.wanted()).is_empty() {
            self.following.forgive(ResourceType::Secret);
        }
        self.turn();
        if self.feed.has_left() || verdicts.iter().any(|verdict| verdict.error.is_some()) {
            // Not only when it ends: the proxy may connect again before this is noticed.
            self.feed.leave(self.stream.unsettled());
        }
    }

    /// Takes an event in and sends what is to be sent then.
    async fn take_in(&mut self, event: StreamEvent) -> Result<(), Status> {
        for send in self.stream.handle(event) {
            self.metrics.pushed(send.kind, send.size());
            self.sent.insert(send.kind, (send.nonce.clone(), Instant::now()));
            let version = || self.feeds.version(&self.stream.target().node, send.kind, &send.content);
            let response = P::answer(&send, version, self.is_newer);
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

/// The first number of a stream's wordings: by the clock, so that another stream of the proxy has another one, whichever process
/// served it.
fn first_wording() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos()
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
