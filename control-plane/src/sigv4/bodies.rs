//! Memory for bodies whose signature is not verified yet. All of a body is signed, so all of it is held before it is known
//! whether whoever sent it has a key; the id of a key, which is no secret, is all that he needs to get so far.
//!
//! Room is taken for the length that a request says, or for the longest there may be. Who finds none waits: first for room
//! among its own source's bodies, so that a source that takes all of its own holds up nobody else. Small bodies have room of
//! their own: whoever holds all that there is for large ones, from several addresses, holds up no small write. And nobody holds
//! any for long without sending: a body comes at a least rate, or it is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::body::{Body, Bytes};
use bytes::BytesMut;
use http_body_util::{BodyExt as _, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::listen::Source;

/// What is counted, in bytes.
const UNIT: usize = 1024;
/// The longest of the small bodies, in bytes. Most writes are of a few KiB.
const SMALL: usize = 64 * 1024;
/// Units that small bodies may take.
const FOR_SMALL: Share = Share { source: 1024, all: 8 * 1024 };
/// Units that the others may take.
const FOR_LARGE: Share = Share { source: 8 * 1024, all: 32 * 1024 };
/// How long a body waits for room.
const PATIENCE: Duration = Duration::from_secs(10);
/// The bytes that have to come, or the end,
const PACE: usize = 64 * 1024;
/// in each such time.
const SPELL: Duration = Duration::from_secs(5);
/// Sources that are remembered before those that hold nothing are forgotten.
const REMEMBERED: usize = 1024;

/// How much the bodies of one source may take, and how much all.
#[derive(Clone, Copy, Debug)]
struct Share {
    source: usize,
    all: usize,
}

/// The room.
#[derive(Clone, Debug)]
pub struct Bodies {
    small: Rooms,
    large: Rooms,
}

/// The room for bodies of some size.
#[derive(Clone, Debug)]
struct Rooms {
    share: Share,
    all: Arc<Semaphore>,
    sources: Arc<Mutex<HashMap<Option<Source>, Weak<Semaphore>>>>,
}

/// Room for a body; free when dropped.
#[derive(Debug)]
pub struct Room(#[expect(dead_code, reason = "it is held, not read")] Option<[OwnedSemaphorePermit; 2]>);

impl Default for Bodies {
    fn default() -> Self {
        Self { small: Rooms::new(FOR_SMALL), large: Rooms::new(FOR_LARGE) }
    }
}

impl Bodies {
    /// Takes room for a body of `source` that has `bytes` at the most, 2 MiB or less; none when there was none in time.
    pub async fn take(&self, source: Option<Source>, bytes: usize) -> Option<Room> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        if units == 0 {
            return Some(Room(None));
        }
        let rooms = if bytes <= SMALL { &self.small } else { &self.large };
        timeout(PATIENCE, rooms.take(source, units)).await.ok().flatten()
    }

    /// Whether no small body has room.
    #[cfg(test)]
    pub(super) fn is_free(&self) -> bool {
        self.small.all.available_permits() == FOR_SMALL.all
    }
}

/// All of `body`, of `limit` bytes at the most, for which `expected` are set aside at first.
///
/// # Errors
/// In words: it is longer, was cut off, or came too slowly.
pub async fn read(body: Body, limit: usize, expected: usize) -> Result<Bytes, String> {
    let mut body = Limited::new(body, limit);
    let mut read = BytesMut::with_capacity(expected);
    loop {
        let due = read.len() + PACE;
        let spell = async {
            while read.len() < due {
                let Some(frame) = body.frame().await else { return Ok(true) };
                let frame = frame.map_err(|error| {
                    format!("the body was cut off or is larger than {limit} bytes: {error}")
                })?;
                read.extend(frame.into_data());
            }
            Ok::<_, String>(false)
        };
        let slow = |_| format!("the body comes too slowly: less than {PACE} bytes came in {SPELL:?}");
        if timeout(SPELL, spell).await.map_err(slow)?? {
            return Ok(read.freeze());
        }
    }
}

impl Rooms {
    fn new(share: Share) -> Self {
        Self { share, all: Arc::new(Semaphore::new(share.all)), sources: Arc::default() }
    }

    async fn take(&self, source: Option<Source>, units: u32) -> Option<Room> {
        let own = self.of(source).acquire_many_owned(units).await.ok()?;
        let all = Arc::clone(&self.all).acquire_many_owned(units).await.ok()?;
        Some(Room(Some([own, all])))
    }

    /// The room of a source.
    fn of(&self, source: Option<Source>) -> Arc<Semaphore> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = sources.get(&source).and_then(Weak::upgrade) {
            return room;
        }
        if sources.len() >= REMEMBERED {
            sources.retain(|_, room| room.strong_count() > 0);
        }
        let room = Arc::new(Semaphore::new(self.share.source));
        sources.insert(source, Arc::downgrade(&room));
        room
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures::StreamExt as _;

    use super::*;
    use crate::api::LARGEST_BODY;

    fn source(number: u32) -> Option<Source> {
        Some(Source::V4(Ipv4Addr::from(number)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_has_so_much_and_all_have_so_much_and_the_rest_waits() {
        let bodies = Bodies::default();
        let largest = async |number| bodies.take(source(number), LARGEST_BODY).await;
        let mut held = Vec::new();
        while let Some(room) = largest(1).await {
            held.push(room);
        }
        assert_eq!(held.len() * LARGEST_BODY, FOR_LARGE.source * UNIT);
        assert!(bodies.take(source(2), 3000).await.is_some(), "others do not wait for it");
        assert!(bodies.take(source(1), 0).await.is_some(), "nor what has no body");
        let (room, ()) = tokio::join!(largest(1), async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            held.pop();
        });
        held.extend(room);
        assert_eq!(held.len() * LARGEST_BODY, FOR_LARGE.source * UNIT, "it waited, and was served");
        for number in 2..100 {
            while let Some(room) = timeout(Duration::from_secs(1), largest(number)).await.ok().flatten() {
                held.push(room);
            }
        }
        assert_eq!(held.len() * LARGEST_BODY, FOR_LARGE.all * UNIT);
        let small = timeout(Duration::from_millis(1), bodies.take(source(101), 11)).await;
        assert!(small.is_ok_and(|room| room.is_some()), "a small write does not wait for large ones");
        drop(held);
        for number in 0..3000 {
            assert!(bodies.take(source(number), 1).await.is_some());
        }
        assert!(bodies.small.sources.lock().expect("no panic").len() <= REMEMBERED);
    }

    /// A body of `parts` parts of so many bytes, one each `seconds`.
    fn body(parts: usize, bytes: usize, seconds: u64) -> Body {
        let parts = futures::stream::iter(0..parts).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes]))
        });
        Body::from_stream(parts)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_dropped_and_one_that_comes_is_read() {
        let began = tokio::time::Instant::now();
        let slow = read(body(2000, 1024, 1), LARGEST_BODY, LARGEST_BODY).await.expect_err("it drips");
        assert!(slow.contains("less than 65536 bytes came in 5s"), "{slow}");
        assert!(began.elapsed() <= SPELL + Duration::from_secs(1), "{:?}", began.elapsed());
        let comes = read(body(6, PACE, 4), LARGEST_BODY, 6 * PACE).await.expect("it comes");
        assert_eq!(comes.len(), 6 * PACE);
        let short = read(body(4, 3, 1), LARGEST_BODY, 12).await.expect("it ends");
        assert_eq!(short.len(), 12);
        let long = read(body(4, 3, 0), 11, 11).await.expect_err("it is longer");
        assert!(long.contains("larger than 11 bytes"), "{long}");
    }
}
