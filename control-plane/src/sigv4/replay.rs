//! Which signatures of writes were used: each counts once, for as long as it would be taken at all. Pure but for its lock;
//! the time is passed in.
//!
//! A client whose first try had no answer may send the very same request again within the second that it signed for, as
//! AWS's SDKs do. It gets the answer that the first one got; nothing is done twice. What was answered with "try again" is not
//! used up.
//!
//! A process that starts takes no write that was signed before; those that the last one served and that were signed by a
//! clock ahead of ours are remembered on disk ([`ahead`]).
//!
//! Memory is bounded ([`Seconds`]): when it is full, the oldest signatures are forgotten, and with them the right to use any as old.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::body::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use tokio::sync::watch;

use super::ahead::{Ahead, AheadError};
use super::seconds::{Digest, Seconds, digest, second};
use super::{Refused, Verified};

/// Signatures that are remembered at most: some 16 MB. At 850 writes a second all of those that would be taken are.
const CAPACITY: usize = 262_144;
/// How long after the first request the same one gets the same answer. A client signs a further try anew in the next second.
const ANSWERS: Duration = Duration::from_secs(3);
/// Bytes of answers that are remembered at most.
const ANSWER_BYTES: usize = 16 << 20;

/// What is remembered of signed writes.
#[derive(Clone, Debug)]
pub struct Replays {
    memory: Arc<Mutex<ReplayMemory>>,
    /// Where those are kept that another process has to know of.
    ahead: Option<Ahead>,
}

#[derive(Debug)]
struct ReplayMemory {
    /// What the signatures were used for. Those of before its floor are not taken.
    uses: Seconds<Use>,
    /// The answers that are remembered, the oldest first.
    answered: VecDeque<(SystemTime, u64, Digest, usize)>,
    answer_bytes: usize,
}

#[derive(Debug)]
enum Use {
    /// The request is under way.
    Running(watch::Receiver<Option<Arc<RememberedAnswer>>>),
    /// It was answered a moment ago.
    Answered(Arc<RememberedAnswer>),
    /// It was answered.
    Spent,
}

/// The answer to a write.
#[derive(Debug)]
pub struct RememberedAnswer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// What is to be done with a write.
#[derive(Debug)]
pub enum Turn {
    /// It is the first with its signature: serve it.
    First(Ticket),
    /// The same request is under way or was answered a moment ago: answer the same, when there is an answer.
    Again(watch::Receiver<Option<Arc<RememberedAnswer>>>),
}

/// A write under way. When it is dropped without an answer, the signature is spent.
#[derive(Debug)]
pub struct Ticket {
    replays: Replays,
    second: u64,
    digest: Digest,
    answer: watch::Sender<Option<Arc<RememberedAnswer>>>,
}

impl Replays {
    /// Nothing is remembered. `since` is when this process began, if one before it may have served writes: signatures of
    /// before are not taken then.
    pub fn new(since: Option<SystemTime>) -> Self {
        Self::bounded(CAPACITY, since)
    }

    /// What processes before this one left in `directory` is remembered, and further ones will remember this one. `since` is
    /// as of [`Self::new`], and no earlier than any second in which a process before served a write.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(directory: &Path, since: Option<SystemTime>) -> Result<Self, AheadError> {
        let (ahead, used) = Ahead::open(directory, since.map_or(0, second))?;
        let replays = Self { ahead: Some(ahead), ..Self::new(since) };
        let mut memory = replays.lock();
        for (second, digest) in used {
            memory.uses.insert(second, digest, Use::Spent);
        }
        drop(memory);
        Ok(replays)
    }

    /// Sees to it that a process that starts after `now` knows the signature of `ticket`. To be awaited before the write is
    /// served.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn keep(&self, ticket: &Ticket, now: SystemTime) -> Result<(), AheadError> {
        let (signature, now) = ((ticket.second, ticket.digest), second(now));
        // What was signed by now is of before the start of any process that starts later.
        let Some(ahead) = self.ahead.clone().filter(|_| ticket.second > now) else { return Ok(()) };
        let kept = tokio::task::spawn_blocking(move || ahead.keep(signature, now)).await;
        kept.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn bounded(capacity: usize, since: Option<SystemTime>) -> Self {
        let memory = Arc::new(Mutex::new(ReplayMemory {
            uses: Seconds::new(capacity, since.map_or(0, second)),
            answered: VecDeque::new(),
            answer_bytes: 0,
        }));
        Self { memory, ahead: None }
    }

    /// Admits a write whose signature is good.
    ///
    /// # Errors
    /// [`Refused::Replayed`], [`Refused::Unremembered`], [`Refused::Ahead`].
    pub fn admit(&self, verified: &Verified, now: SystemTime) -> Result<Turn, Refused> {
        let digest = digest(&verified.signature).ok_or(Refused::Mismatch)?;
        let second = second(verified.time);
        let mut memory = self.lock();
        memory.forget(now);
        if second < memory.uses.floor() {
            let floor = i64::try_from(memory.uses.floor()).ok();
            let after = floor.and_then(|floor| Timestamp::from_second(floor).ok());
            return Err(Refused::Unremembered { after: after.unwrap_or(Timestamp::MAX).to_string() });
        }
        match memory.uses.get(second, &digest) {
            Some(Use::Spent) => return Err(Refused::Replayed),
            Some(Use::Running(answer)) => return Ok(Turn::Again(answer.clone())),
            Some(Use::Answered(answer)) => {
                return Ok(Turn::Again(watch::Sender::new(Some(Arc::clone(answer))).subscribe()));
            }
            None => {}
        }
        if memory.uses.is_crowded(second, now) {
            return Err(Refused::Ahead);
        }
        let (answer, running) = watch::channel(None);
        memory.uses.insert(second, digest, Use::Running(running));
        Ok(Turn::First(Ticket { replays: self.clone(), second, digest, answer }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ReplayMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReplayMemory {
    /// Forgets what is not taken any more by its time alone, and answers of before.
    fn forget(&mut self, now: SystemTime) {
        self.uses.forget(now);
        let is_due = |at: SystemTime| now.duration_since(at).is_ok_and(|age| age > ANSWERS);
        while self.answered.front().is_some_and(|(at, ..)| is_due(*at)) {
            self.forget_answer();
        }
    }

    fn forget_answer(&mut self) {
        if let Some((_, second, digest, bytes)) = self.answered.pop_front() {
            self.answer_bytes -= bytes;
            self.set(second, digest, Use::Spent);
        }
    }

    fn set(&mut self, second: u64, digest: Digest, new: Use) {
        if let Some(found) = self.uses.get_mut(second, &digest) {
            *found = new;
        }
    }
}

impl Ticket {
    /// Ends the write with `response`, at `now`, and answers with the same.
    pub fn end(self, response: Arc<RememberedAnswer>, now: SystemTime) -> Response<Body> {
        let (second, digest) = (self.second, self.digest);
        let mut memory = self.replays.lock();
        if response.is_to_be_tried_again() {
            memory.uses.remove(second, &digest);
        } else {
            let bytes = response.body.len();
            memory.set(second, digest, Use::Answered(Arc::clone(&response)));
            memory.answered.push_back((now, second, digest, bytes));
            memory.answer_bytes += bytes;
            while memory.answer_bytes > ANSWER_BYTES {
                memory.forget_answer();
            }
        }
        drop(memory);
        let answer = response.response();
        self.answer.send_replace(Some(response));
        answer
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut memory = self.replays.lock();
        if matches!(memory.uses.get(self.second, &self.digest), Some(Use::Running(_))) {
            memory.set(self.second, self.digest, Use::Spent);
        }
    }
}

impl RememberedAnswer {
    /// Takes `response` in. Bodies of ours are in memory already.
    ///
    /// # Errors
    /// The body's.
    pub async fn read(response: Response<Body>) -> Result<Self, axum::Error> {
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Self { status: head.status, headers: head.headers, body })
    }

    /// It as a response.
    pub fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        response.headers_mut().clone_from(&self.headers);
        response
    }

    fn is_to_be_tried_again(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS || self.status.is_server_error()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::super::seconds::AHEAD;
    use super::*;
    use crate::rights::{KeyHolder, KeyPolicy};

    fn verified(signature: u128, time: SystemTime) -> Verified {
        let holder = KeyHolder { id: "A".into(), name: String::new(), policy: KeyPolicy::EVERYTHING };
        Verified { holder: Arc::new(holder), signature: format!("{signature:032x}{:032x}", 0), time }
    }

    fn answer(status: u16) -> Arc<RememberedAnswer> {
        let status = StatusCode::from_u16(status).expect("a status");
        Arc::new(RememberedAnswer { status, headers: HeaderMap::new(), body: Bytes::from_static(b"{}") })
    }

    fn serve(replays: &Replays, signature: u128, time: SystemTime, now: SystemTime, status: u16) {
        match replays.admit(&verified(signature, time), now).expect("admitted") {
            Turn::First(ticket) => drop(ticket.end(answer(status), now)),
            Turn::Again(_) => panic!("{signature} is the first of its kind"),
        }
    }

    /// `first`, the status of `again`, or the name of the refusal.
    fn turn(replays: &Replays, signature: u128, time: SystemTime, now: SystemTime) -> String {
        match replays.admit(&verified(signature, time), now) {
            Ok(Turn::First(_)) => "first".into(),
            Ok(Turn::Again(answer)) => {
                answer.borrow().as_ref().map_or("running".into(), |answer| answer.status.as_str().to_owned())
            }
            Err(refused) => format!("{refused:?}").split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn a_write_is_served_once_and_answered_the_same_for_a_moment() {
        let replays = Replays::new(None);
        let first = replays.admit(&verified(1, at(0)), at(0)).expect("admitted");
        assert_eq!(turn(&replays, 1, at(0), at(0)), "running");
        let Turn::First(ticket) = first else { panic!("the first") };
        let _ = ticket.end(answer(200), at(0));
        assert_eq!(turn(&replays, 1, at(0), at(1)), "200");
        assert_eq!(turn(&replays, 1, at(0), at(4)), "Replayed");
        assert_eq!(turn(&replays, 1, at(0), at(299)), "Replayed");
        assert_eq!(turn(&replays, 2, at(0), at(4)), "first");
        // A refusal of the request is an answer like others; "try again" is none.
        serve(&replays, 3, at(4), at(4), 409);
        assert_eq!(turn(&replays, 3, at(4), at(4)), "409");
        serve(&replays, 4, at(4), at(4), 503);
        serve(&replays, 4, at(4), at(4), 429);
        serve(&replays, 4, at(4), at(4), 200);
    }

    #[test]
    fn a_write_that_was_given_up_is_spent() {
        let replays = Replays::new(None);
        drop(replays.admit(&verified(1, at(0)), at(0)).expect("admitted"));
        assert_eq!(turn(&replays, 1, at(0), at(0)), "Replayed");
    }

    #[test]
    fn nothing_of_before_the_start_and_nothing_that_was_forgotten_is_taken() {
        let replays = Replays::new(Some(at(10)));
        assert_eq!(turn(&replays, 1, at(9), at(10)), "Unremembered");
        serve(&replays, 1, at(10), at(10), 200);
        // Signatures that came from a clock ahead are kept for longer.
        serve(&replays, 2, at(300), at(10), 200);
        assert_eq!(turn(&replays, 2, at(300), at(600)), "Replayed");
        // By its time nothing is left of the first; with the clock set back it is not taken again.
        assert_eq!(turn(&replays, 1, at(10), at(11)), "Unremembered");
        assert_eq!(replays.lock().uses.len(), 1);
    }

    #[tokio::test]
    async fn a_write_of_a_clock_that_is_ahead_counts_once_also_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = async |replays: &Replays, signature, time, now| {
            let Ok(Turn::First(ticket)) = replays.admit(&verified(signature, time), now) else {
                panic!("{signature} is the first of its kind")
            };
            replays.keep(&ticket, now).await.expect("kept");
            let _ = ticket.end(answer(200), now);
        };
        let replays = Replays::open(folder.path(), None).expect("open");
        write(&replays, 1, at(250), at(10)).await;
        write(&replays, 2, at(10), at(10)).await;
        // It ends, and another starts in the same second, which serves from the next on.
        let replays = Replays::open(folder.path(), Some(at(11))).expect("open");
        assert_eq!(turn(&replays, 1, at(250), at(11)), "Replayed");
        assert_eq!(turn(&replays, 2, at(10), at(11)), "Unremembered");
        // Nobody else has to wait: neither whose clock is right, nor whose clock is ahead.
        write(&replays, 3, at(11), at(11)).await;
        write(&replays, 4, at(251), at(11)).await;
        let replays = Replays::open(folder.path(), Some(at(251))).expect("open");
        assert_eq!(turn(&replays, 4, at(251), at(251)), "Replayed");
        assert_eq!(turn(&replays, 1, at(250), at(251)), "Unremembered");
    }

    #[test]
    fn memory_is_bounded_and_what_does_not_fit_cannot_be_used_again() {
        let replays = Replays::bounded(100, None);
        for index in 0..1_000_u64 {
            serve(&replays, u128::from(index), at(index / 10), at(index / 10), 200);
            assert!(replays.lock().uses.len() <= 100);
            assert!(replays.lock().answered.len() <= 50, "answers are forgotten with time");
        }
        let now = at(100);
        for index in 0..1_000_u64 {
            let outcome = turn(&replays, u128::from(index), at(index / 10), now);
            assert!(["Unremembered", "Replayed", "200"].contains(&outcome.as_str()), "{index}: {outcome}");
        }
        assert_eq!(turn(&replays, 5_000, now, now), "first", "what is new is served");
    }

    #[test]
    fn whoever_signs_ahead_of_the_clock_locks_nobody_else_out() {
        let replays = Replays::bounded(100, None);
        let outcomes: Vec<_> = (0..1_000).map(|index| turn(&replays, index, at(299), at(0))).collect();
        assert_eq!(outcomes.iter().filter(|outcome| *outcome == "first").count(), 100 / AHEAD);
        assert_eq!(outcomes.last().map(String::as_str), Some("Ahead"));
        assert_eq!(turn(&replays, 0, at(299), at(0)), "Replayed", "what was used stays so");
        assert_eq!(turn(&replays, 5_000, at(0), at(0)), "first", "others write on");
        assert_eq!(turn(&replays, 5_001, at(300), at(299)), "first", "by then nothing of it is ahead");
    }

    #[test]
    fn answers_are_bounded_by_their_bytes() {
        let replays = Replays::new(None);
        let body = Bytes::from(vec![b'x'; 1 << 20]);
        for index in 0..40 {
            let Ok(Turn::First(ticket)) = replays.admit(&verified(index, at(0)), at(0)) else {
                panic!("the first")
            };
            let large =
                RememberedAnswer { status: StatusCode::OK, headers: HeaderMap::new(), body: body.clone() };
            let _ = ticket.end(Arc::new(large), at(0));
        }
        assert!(replays.lock().answer_bytes <= ANSWER_BYTES);
        assert_eq!(turn(&replays, 39, at(0), at(0)), "200");
        assert_eq!(turn(&replays, 0, at(0), at(0)), "Replayed");
    }
}
