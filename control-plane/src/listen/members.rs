//! Connections of certificate holders without a stream: so many for each holder; one more closes the oldest. Connections with streams
//! are bounded by the limit on streams, and are not touched here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleetmesh_mesh::holder::Holder;
use tokio_util::sync::CancellationToken;

/// Those of one listener.
#[derive(Clone, Debug)]
pub(super) struct MemberSeats {
    limit: usize,
    book: Arc<Mutex<MemberBook>>,
}

#[derive(Debug, Default)]
struct MemberBook {
    /// Those that are idle, each by a number that is greater than those of all that became idle before.
    idle: HashMap<Holder, BTreeMap<u64, CancellationToken>>,
    last: u64,
}

impl MemberSeats {
    /// Nobody is here. At most `limit` of one holder may be idle.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, book: Arc::default() }
    }

    /// Takes a connection in, which is idle; if that is one too many, the holder's oldest idle one is closed.
    pub(super) fn enter(&self, holder: Holder) -> Member {
        let end = CancellationToken::new();
        let rest = Some(self.rest(holder, end.clone()));
        Member { members: self.clone(), holder, end, state: Mutex::new(MembersState { streams: 0, rest }) }
    }

    /// A connection is idle from now on, by the number that is answered.
    fn rest(&self, holder: Holder, end: CancellationToken) -> u64 {
        let mut book = self.book();
        book.last += 1;
        let id = book.last;
        let idle = book.idle.entry(holder).or_default();
        idle.insert(id, end);
        if idle.len() > self.limit
            && let Some((_, oldest)) = idle.pop_first()
        {
            tracing::debug!("the oldest of too many idle connections of one certificate is ended");
            oldest.cancel();
        }
        id
    }

    /// A connection is idle no more; nothing changes when it had to end.
    fn rise(&self, holder: Holder, id: u64) {
        let mut book = self.book();
        let Some(idle) = book.idle.get_mut(&holder) else { return };
        idle.remove(&id);
        if idle.is_empty() {
            book.idle.remove(&holder);
        }
    }

    fn book(&self) -> MutexGuard<'_, MemberBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place among them; free when dropped.
#[derive(Debug)]
pub struct Member {
    members: MemberSeats,
    holder: Holder,
    end: CancellationToken,
    state: Mutex<MembersState>,
}

#[derive(Debug)]
struct MembersState {
    streams: usize,
    /// Its number while it is idle.
    rest: Option<u64>,
}

impl Member {
    /// Cancelled when the connection has to end.
    pub fn end(&self) -> &CancellationToken {
        &self.end
    }

    /// A stream begins over the connection, and lasts until the answer is dropped.
    pub fn stream(self: &Arc<Self>) -> Busy {
        let mut state = self.state();
        state.streams += 1;
        if let Some(id) = state.rest.take() {
            self.members.rise(self.holder, id);
        }
        Busy(Arc::clone(self))
    }

    fn state(&self) -> MutexGuard<'_, MembersState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(id) = self.state().rest.take() {
            self.members.rise(self.holder, id);
        }
    }
}

/// A stream over a connection.
#[derive(Debug)]
pub struct Busy(Arc<Member>);

impl Drop for Busy {
    fn drop(&mut self) {
        let Self(member) = self;
        let mut state = member.state();
        state.streams -= 1;
        if state.streams == 0 && !member.end.is_cancelled() {
            state.rest = Some(member.members.rest(member.holder, member.end.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_idle_connection_of_a_holder_ends_and_none_that_streams() {
        let members = MemberSeats::new(2);
        let enter = |holder: u8| Arc::new(members.enter([holder; 32]));
        let ended = |member: &Arc<Member>| member.end().is_cancelled();
        let streaming = enter(1);
        let streams = [streaming.stream(), streaming.stream()];
        let idle: Vec<_> = (0..4).map(|_| enter(1)).collect();
        assert_eq!(idle.iter().map(ended).collect::<Vec<_>>(), [true, true, false, false]);
        let other = enter(2);
        assert!(!ended(&streaming) && !ended(&other));
        // It is idle when its last stream ends, and the youngest of them then.
        let [first, second] = streams;
        drop(first);
        assert!(!ended(&idle[2]));
        drop(second);
        assert!(ended(&idle[2]) && !ended(&idle[3]) && !ended(&streaming));
        drop((idle, streaming, other));
        assert!(members.book().idle.is_empty(), "nothing is kept of those that are gone");
    }
}
