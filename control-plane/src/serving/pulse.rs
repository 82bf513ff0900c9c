//! Whether a connection still does something: what it received, the requests that are under way, and whether their answers
//! are taken.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Limits;
use crate::listen::Connection;

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct Pulse {
    limits: Limits,
    state: Mutex<PulseState>,
    /// Notified when no request is under way any more, and when something comes in the silence.
    changed: Notify,
}

#[derive(Debug)]
struct PulseState {
    /// Requests under way.
    requests: usize,
    /// Since when there is none.
    quiet: Instant,
    /// When the first byte came after that; at once for a new connection, whose client has to begin.
    heard: Option<Instant>,
    /// HTTP/2 says more than requests, and bounds the head of one itself.
    is_http2: bool,
    /// Answers of which a part is ready that the client does not take, by numbers, and since when.
    offered: BTreeMap<u64, Instant>,
    last: u64,
}

impl PulseState {
    /// When the connection is to be closed; while a request is under way, only when its answer is not taken.
    fn deadline(&self, limits: &Limits) -> Option<Instant> {
        if let Some(since) = self.offered.values().min() {
            return Some(*since + limits.answer);
        }
        let half = self.heard.filter(|_| !self.is_http2).map(|heard| heard + limits.head);
        (self.requests == 0).then(|| half.unwrap_or(self.quiet + limits.idle))
    }
}

impl Pulse {
    /// A connection that has just been made.
    pub(super) fn new(limits: Limits) -> Self {
        let now = Instant::now();
        let state = PulseState {
            requests: 0,
            quiet: now,
            heard: Some(now),
            is_http2: false,
            offered: BTreeMap::new(),
            last: 0,
        };
        Self { limits, state: Mutex::new(state), changed: Notify::new() }
    }

    /// How long its parts may take.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A request begins, and is under way until the answer is dropped.
    pub(super) fn begin(self: &Arc<Self>, is_http2: bool) -> UnderWay {
        let mut state = self.state();
        state.requests += 1;
        state.heard = None;
        state.is_http2 = is_http2;
        state.last += 1;
        UnderWay { pulse: Arc::clone(self), id: state.last }
    }

    /// Waits until the connection has to be closed.
    pub(super) async fn overdue(&self) {
        loop {
            let deadline = self.state().deadline(&self.limits);
            match deadline {
                Some(deadline) if deadline <= Instant::now() => return,
                Some(deadline) => tokio::select! {
                    () = sleep_until(deadline) => {}
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    /// Something came.
    fn hear(&self) {
        let mut state = self.state();
        if state.requests == 0 && state.heard.is_none() {
            state.heard = Some(Instant::now());
            self.changed.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, PulseState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct UnderWay {
    pulse: Arc<Pulse>,
    id: u64,
}

impl UnderWay {
    /// A part of the answer is ready, or was just taken: the client has so long to take the next.
    pub(super) fn offer(&self) {
        let mut state = self.pulse.state();
        let first = state.offered.is_empty();
        state.offered.insert(self.id, Instant::now());
        if first {
            self.pulse.changed.notify_one();
        }
    }

    /// Nothing is ready: it is not the client that is waited for.
    pub(super) fn work(&self) {
        self.pulse.state().offered.remove(&self.id);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.pulse.state();
        state.offered.remove(&self.id);
        state.requests -= 1;
        if state.requests == 0 {
            state.quiet = Instant::now();
            self.pulse.changed.notify_one();
        }
    }
}

/// A connection that notifies its pulse when something comes.
#[derive(Debug)]
pub(super) struct Beating {
    connection: Connection,
    pulse: Arc<Pulse>,
}

impl Beating {
    pub(super) fn new(connection: Connection, pulse: Arc<Pulse>) -> Self {
        Self { connection, pulse }
    }
}

impl AsyncRead for Beating {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.connection).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pulse.hear();
        }
        read
    }
}

impl AsyncWrite for Beating {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMITS: Limits = Limits {
        head: Duration::from_secs(10),
        body: Duration::from_secs(30),
        idle: Duration::from_secs(120),
        answer: Duration::from_secs(30),
    };

    async fn lives(pulse: &Pulse) -> Duration {
        let began = Instant::now();
        pulse.overdue().await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_to_begin_and_to_end_a_request_and_may_then_rest() {
        let pulse = Arc::new(Pulse::new(LIMITS));
        assert_eq!(lives(&pulse).await, LIMITS.head, "it has said nothing");
        let pulse = Arc::new(Pulse::new(LIMITS));
        drop(pulse.begin(false));
        assert_eq!(lives(&pulse).await, LIMITS.idle, "it rests");
        let pulse = Arc::new(Pulse::new(LIMITS));
        drop(pulse.begin(false));
        let half = async {
            tokio::time::sleep(Duration::from_secs(100)).await;
            pulse.hear();
            tokio::time::sleep(Duration::from_secs(5)).await;
            pulse.hear();
        };
        let (lived, ()) = tokio::join!(lives(&pulse), half);
        assert_eq!(lived, Duration::from_secs(110), "ten seconds from the first byte of a request");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_ends_the_connection_and_a_slow_one_does_not() {
        let pulse = Arc::new(Pulse::new(LIMITS));
        let [slow, stuck] = [pulse.begin(true), pulse.begin(true)];
        let long = async {
            // It is worked on, then taken part by part.
            tokio::time::sleep(Duration::from_secs(100)).await;
            for _ in 0..10 {
                slow.offer();
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
            slow.work();
            tokio::time::sleep(Duration::from_secs(100)).await;
            stuck.offer();
        };
        let (lived, ()) = tokio::join!(lives(&pulse), long);
        assert_eq!(lived, Duration::from_secs(400) + LIMITS.answer);
        drop((slow, stuck));
        assert_eq!(lives(&pulse).await, LIMITS.idle, "nothing is left of them");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_ends_while_a_request_is_under_way() {
        let pulse = Arc::new(Pulse::new(LIMITS));
        let request = pulse.begin(true);
        let long = async {
            tokio::time::sleep(Duration::from_secs(600)).await;
            drop(request);
            // Of HTTP/2 a frame is no request.
            pulse.hear();
        };
        let (lived, ()) = tokio::join!(lives(&pulse), long);
        assert_eq!(lived, Duration::from_secs(600) + LIMITS.idle);
    }
}
