//! Connections of callers without a proven identity: so many for each source; one more closes the oldest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::crowd::Crowd;
use super::source::Source;

/// Those of one listener.
#[derive(Clone, Debug)]
pub(super) struct Guests(Arc<Mutex<GuestBook>>);

#[derive(Debug)]
struct GuestBook {
    crowd: Crowd,
    ends: HashMap<u64, CancellationToken>,
    last: u64,
}

impl Guests {
    /// Nobody is here. At most `per_source` of one source may be, and `most` in all.
    pub(super) fn new(per_source: usize, most: usize) -> Self {
        let crowd = Crowd::new(per_source, most);
        Self(Arc::new(Mutex::new(GuestBook { crowd, ends: HashMap::new(), last: 0 })))
    }

    /// Takes a connection in; if that is one too many, the oldest is closed.
    pub(super) fn enter(&self, source: Source) -> Guest {
        let mut book = self.book();
        book.last += 1;
        let (id, end) = (book.last, CancellationToken::new());
        book.ends.insert(id, end.clone());
        if let Some((from, oldest)) = book.crowd.enter(source, id)
            && let Some(end) = book.ends.remove(&oldest)
        {
            tracing::debug!(?from, "the oldest of too many connections without proof is ended");
            end.cancel();
        }
        Guest { guests: self.clone(), source, id, end }
    }

    fn book(&self) -> MutexGuard<'_, GuestBook> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place among them; free when dropped.
#[derive(Debug)]
pub struct Guest {
    guests: Guests,
    source: Source,
    id: u64,
    end: CancellationToken,
}

impl Guest {
    /// Cancelled when the connection has to end.
    pub fn end(&self) -> &CancellationToken {
        &self.end
    }

    /// Whether it counts: nobody has proved who the caller is, and it does not have to end.
    pub fn counts(&self) -> bool {
        self.guests.book().ends.contains_key(&self.id)
    }

    /// The caller has proved who it is: the connection counts no more, and does not have to end.
    pub fn proved(&self) {
        let mut book = self.guests.book();
        book.crowd.leave(self.source, self.id);
        book.ends.remove(&self.id);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.proved();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_oldest_without_proof_ends_and_whoever_proved_itself_does_not() {
        let source = Source::V4(Ipv4Addr::LOCALHOST);
        let guests = Guests::new(2, 100);
        let [first, second] = [guests.enter(source), guests.enter(source)];
        first.proved();
        let third = guests.enter(source);
        assert!(![&first, &second, &third].iter().any(|guest| guest.end().is_cancelled()));
        let fourth = guests.enter(source);
        assert!(second.end().is_cancelled() && !first.end().is_cancelled());
        drop(third);
        let fifth = guests.enter(source);
        assert!(!fourth.end().is_cancelled() && !fifth.end().is_cancelled(), "a place was free");
    }
}
