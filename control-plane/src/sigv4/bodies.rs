//! Memory for bodies whose signature is not verified yet. All of a body is signed, so all of it is held before it is known
//! whether whoever sent it has a key; the id of a key, which is no secret, is all that he needs to get so far.
//!
//! Room is taken for the length that a request says, or for the longest there may be. Who finds none waits: first for room
//! among its own source's bodies, so that a source that takes all of its own holds up nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::listen::Source;

/// What is counted, in bytes.
const UNIT: usize = 1024;
/// Units that bodies of one source may take.
const PER_SOURCE: usize = 8 * 1024;
/// Units that all bodies may take.
const MOST: usize = 32 * 1024;
/// How long a body waits for room.
const PATIENCE: Duration = Duration::from_secs(10);
/// Sources that are remembered before those that hold nothing are forgotten.
const REMEMBERED: usize = 1024;

/// The room.
#[derive(Clone, Debug)]
pub struct Bodies {
    all: Arc<Semaphore>,
    sources: Arc<Mutex<HashMap<Option<Source>, Weak<Semaphore>>>>,
}

/// Room for a body; free when dropped.
#[derive(Debug)]
pub struct Room(#[expect(dead_code, reason = "it is held, not read")] Option<[OwnedSemaphorePermit; 2]>);

impl Default for Bodies {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(MOST)), sources: Arc::default() }
    }
}

impl Bodies {
    /// Takes room for a body of `source` that has `bytes` at the most, 2 MiB or less; none when there was none in time.
    pub async fn take(&self, source: Option<Source>, bytes: usize) -> Option<Room> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        if units == 0 {
            return Some(Room(None));
        }
        let own = self.of(source);
        let taken = async {
            let own = own.acquire_many_owned(units).await.ok()?;
            let all = Arc::clone(&self.all).acquire_many_owned(units).await.ok()?;
            Some(Room(Some([own, all])))
        };
        timeout(PATIENCE, taken).await.ok().flatten()
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
        let room = Arc::new(Semaphore::new(PER_SOURCE));
        sources.insert(source, Arc::downgrade(&room));
        room
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

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
        assert_eq!(held.len() * LARGEST_BODY, PER_SOURCE * UNIT);
        assert!(bodies.take(source(2), 3000).await.is_some(), "others do not wait for it");
        assert!(bodies.take(source(1), 0).await.is_some(), "nor what has no body");
        let (room, ()) = tokio::join!(largest(1), async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            held.pop();
        });
        held.extend(room);
        assert_eq!(held.len() * LARGEST_BODY, PER_SOURCE * UNIT, "it waited, and was served");
        for number in 2..100 {
            while let Some(room) = timeout(Duration::from_secs(1), largest(number)).await.ok().flatten() {
                held.push(room);
            }
        }
        assert_eq!(held.len() * LARGEST_BODY, MOST * UNIT);
        drop(held);
        for number in 0..3000 {
            assert!(bodies.take(source(number), 1).await.is_some());
        }
        assert!(bodies.sources.lock().expect("no panic").len() <= REMEMBERED);
    }
}
