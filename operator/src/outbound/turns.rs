//! How many outbound requests are in flight at once: in all, and for each namespace, so that slow servers hold up the rollouts of
//! their own namespace only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::OutboundFailure;

/// Questions under way at once, in all. Each may hold some 100 KiB.
pub const AT_ONCE: usize = 64;
/// Questions of one namespace under way at once.
pub const OF_A_NAMESPACE: usize = 4;
/// Questions of one namespace that wait for their turn. Beyond it none waits.
pub const WAITING: usize = 256;

/// The turns.
#[derive(Debug)]
pub struct Turns {
    all: Arc<Semaphore>,
    namespaces: Mutex<HashMap<String, Arc<ProviderLane>>>,
}

#[derive(Debug)]
struct ProviderLane {
    line: Arc<Semaphore>,
    under_way: Arc<Semaphore>,
}

/// A turn. It ends when this is dropped.
#[derive(Debug)]
pub struct OutboundTurn {
    _place_in_line: OwnedSemaphorePermit,
    _of_namespace: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Turns {
    /// Nobody has a turn.
    pub fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), namespaces: Mutex::default() }
    }

    /// A turn for a question of `namespace`, within `limit`.
    ///
    /// # Errors
    /// `Busy`: too many wait already, or none was free in time.
    pub async fn take(&self, namespace: &str, limit: Duration) -> Result<Arc<OutboundTurn>, OutboundFailure> {
        let lane = self.lane(namespace);
        let line = Arc::clone(&lane.line).try_acquire_owned().map_err(|_| OutboundFailure::Busy)?;
        let turn = async {
            let own = Arc::clone(&lane.under_way).acquire_owned().await;
            let all = Arc::clone(&self.all).acquire_owned().await;
            own.and_then(|own| all.map(|all| (own, all)))
        };
        let turn = timeout(limit, turn).await.map_err(|_| OutboundFailure::Busy)?;
        let (own, all) = turn.map_err(|_| OutboundFailure::Busy)?;
        Ok(Arc::new(OutboundTurn { _place_in_line: line, _of_namespace: own, _of_all: all }))
    }

    fn lane(&self, namespace: &str) -> Arc<ProviderLane> {
        let mut lanes = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        // Of namespaces that ask nothing now nothing is kept.
        lanes.retain(|name, lane| {
            name == namespace
                || Arc::strong_count(lane) > 1
                || lane.line.available_permits() < OF_A_NAMESPACE + WAITING
        });
        let new = || {
            let line = Arc::new(Semaphore::new(OF_A_NAMESPACE + WAITING));
            Arc::new(ProviderLane { line, under_way: Arc::new(Semaphore::new(OF_A_NAMESPACE)) })
        };
        Arc::clone(lanes.entry(namespace.to_owned()).or_insert_with(new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_namespace_holds_up_only_itself() {
        let turns = Turns::new();
        let mut held = Vec::new();
        for _ in 0..OF_A_NAMESPACE {
            held.push(turns.take("slow", SOON).await.expect("a turn"));
        }
        assert_eq!(turns.take("slow", SOON).await.err(), Some(OutboundFailure::Busy));
        let other = turns.take("other", SOON).await;
        assert!(other.is_ok(), "{other:?}");
        held.pop();
        assert!(turns.take("slow", SOON).await.is_ok(), "a turn that ended is free");
    }

    #[tokio::test(start_paused = true)]
    async fn all_together_are_bounded_and_the_line_is_too() {
        let turns = Arc::new(Turns::new());
        let mut held = Vec::new();
        for number in 0..AT_ONCE {
            held.push(turns.take(&format!("n{}", number / OF_A_NAMESPACE), SOON).await.expect("a turn"));
        }
        assert_eq!(turns.take("one-more", SOON).await.err(), Some(OutboundFailure::Busy));
        held.clear();
        let waiting: Vec<_> = (0..2 * WAITING)
            .map(|_| {
                let turns = Arc::clone(&turns);
                tokio::spawn(async move {
                    let turn = turns.take("a", SOON).await;
                    tokio::time::sleep(SOON * 2).await;
                    turn.is_ok()
                })
            })
            .collect();
        let mut taken = 0;
        for task in waiting {
            taken += usize::from(task.await.expect("a task"));
        }
        assert_eq!(taken, OF_A_NAMESPACE, "the others were turned away, at once or when the time was over");
        assert!(turns.take("b", SOON).await.is_ok());
        assert_eq!(turns.namespaces.lock().expect("the lock").len(), 1, "what is over is forgotten");
    }
}
