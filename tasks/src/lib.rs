//! The tasks of a program, supervised: none of them ends in silence. A panic becomes a value where somebody can go on
//! ([`caught`]), and the end of the program where nobody can ([`Tasks`]).

use std::any::Any;
use std::convert::Infallible;
use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, TryFutureExt as _};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a panic said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("panicked: {0}")]
pub struct Panicked(pub String);

impl From<Box<dyn Any + Send>> for Panicked {
    fn from(payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        Self(text.unwrap_or("without words").to_owned())
    }
}

/// Runs `work`. What it was changing when it panicked may be half changed: only for work that reads everything anew when it
/// is tried again.
///
/// # Errors
/// It panicked.
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(Panicked::from)
}

/// A task that is no more although nobody asked it to end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fallen {
    /// It panicked.
    #[error("the task {task:?} {panicked}: this is a fault of Fleetmesh, please report it")]
    Panicked {
        /// Its name.
        task: String,
        /// The panic.
        panicked: Panicked,
    },
    /// It failed.
    #[error("{reason}")]
    Failed {
        /// Its name.
        task: String,
        /// Why, in its own words.
        reason: String,
    },
    /// It returned.
    #[error("the task {task:?} ended by itself: this is a fault of Fleetmesh, please report it")]
    Ended {
        /// Its name.
        task: String,
    },
}

/// Runs `task`, which goes on until `shutdown` and may take some time to end after that, or fails.
///
/// # Errors
/// Its own; or it has fallen: it panicked, or returned before it was asked to.
pub async fn go_on<E: From<Fallen>>(
    name: &str,
    shutdown: &CancellationToken,
    task: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    match caught(task).await {
        Err(panicked) => Err(Fallen::Panicked { task: name.to_owned(), panicked }.into()),
        Ok(Ok(())) if !shutdown.is_cancelled() => Err(Fallen::Ended { task: name.to_owned() }.into()),
        Ok(ended) => ended,
    }
}

/// The tasks of a program. Clones are the same tasks.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    fallen: Arc<watch::Sender<Option<Fallen>>>,
    /// Cancelled when nobody waits for the tasks any more.
    given_up: CancellationToken,
}

impl Tasks {
    /// Starts a task that goes on until `shutdown`, and may take some time to end after that. It falls when it panics, and
    /// when it returns before.
    pub fn spawn(
        &self,
        name: impl Into<String>,
        shutdown: &CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.try_spawn(name, shutdown, task.map(Ok::<(), Infallible>));
    }

    /// The same with a task that may fail, by which it falls too.
    pub fn try_spawn<E: Display>(
        &self,
        name: impl Into<String>,
        shutdown: &CancellationToken,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let (fallen, shutdown, name) = (Arc::clone(&self.fallen), shutdown.clone(), name.into());
        let run = async move {
            let failed = |error: E| Fallen::Failed { task: name.clone(), reason: error.to_string() };
            if let Err(new) = go_on(&name, &shutdown, task.map_err(failed)).await {
                note(&fallen, new);
            }
        };
        self.tracker.spawn(self.given_up.clone().run_until_cancelled_owned(run));
    }

    /// Starts a task that is cut off by `shutdown`, at whatever it waits for then. It falls when it panics, and when it returns.
    pub fn spawn_until(
        &self,
        name: impl Into<String>,
        shutdown: &CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.spawn(name, shutdown, shutdown.clone().run_until_cancelled_owned(task).map(drop));
    }

    /// The task that fell first, once there is one. Without one it waits for ever.
    pub async fn fallen(&self) -> Fallen {
        let mut seen = self.fallen.subscribe();
        // The sender is held here, so this cannot fail.
        let first = seen.wait_for(Option::is_some).await.ok().and_then(|fallen| fallen.clone());
        match first {
            Some(fallen) => fallen,
            None => std::future::pending().await,
        }
    }

    /// The task that fell first, if any has.
    pub fn first_fallen(&self) -> Option<Fallen> {
        self.fallen.borrow().clone()
    }

    /// Awaits that all tasks have ended, which were told to, and cuts off those that have not after `grace`. Whether all ended.
    pub async fn end(&self, grace: Duration) -> bool {
        self.tracker.close();
        let ended = timeout(grace, self.tracker.wait()).await.is_ok();
        if !ended {
            self.given_up.cancel();
        }
        ended
    }
}

/// The first that falls is the cause; others fall by it.
fn note(fallen: &watch::Sender<Option<Fallen>>, new: Fallen) {
    fallen.send_if_modified(|known| {
        let first = known.is_none();
        known.get_or_insert(new);
        first
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "panics are what is tested")]

    use std::future::pending;

    use super::*;

    /// Long enough on any machine.
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_task_that_panics_is_named_with_its_words() {
        let (tasks, shutdown) = (Tasks::default(), CancellationToken::new());
        tasks.spawn("watch", &shutdown, async { panic!("no {}", "way") });
        let fallen = tasks.fallen().await;
        assert_eq!(
            fallen.to_string(),
            "the task \"watch\" panicked: no way: this is a fault of Fleetmesh, please report it"
        );
        tasks.spawn("another", &shutdown, async {});
        assert!(tasks.end(LONG).await);
        assert_eq!(tasks.first_fallen(), Some(fallen), "the first is the cause");
    }

    #[tokio::test]
    async fn a_task_that_returns_unasked_has_fallen_and_one_that_was_asked_has_not() {
        let (tasks, shutdown) = (Tasks::default(), CancellationToken::new());
        tasks.spawn("asked", &shutdown, shutdown.clone().cancelled_owned());
        tasks.spawn_until("cut off", &shutdown, pending());
        assert!(timeout(Duration::from_millis(20), tasks.fallen()).await.is_err());
        shutdown.cancel();
        assert!(tasks.end(LONG).await);
        assert_eq!(tasks.first_fallen(), None);
        tasks.spawn("unasked", &CancellationToken::new(), async {});
        assert_eq!(tasks.fallen().await, Fallen::Ended { task: "unasked".into() });
    }

    #[tokio::test]
    async fn a_task_that_fails_says_why_and_one_that_does_not_end_is_cut_off() {
        let (tasks, shutdown) = (Tasks::default(), CancellationToken::new());
        tasks.try_spawn("serves", &shutdown, async { Err("the port is gone") });
        assert_eq!(tasks.fallen().await.to_string(), "the port is gone");
        let held = Arc::new(());
        let never = Arc::clone(&held);
        tasks.spawn("does not end", &shutdown, async move {
            pending::<()>().await;
            drop(never)
        });
        assert!(!tasks.end(Duration::from_millis(20)).await);
        let freed = async {
            while Arc::strong_count(&held) > 1 {
                tokio::task::yield_now().await
            }
        };
        assert!(timeout(LONG, freed).await.is_ok(), "nothing of it is left");
    }

    #[tokio::test]
    async fn what_panics_is_a_value() {
        assert_eq!(caught(async { 1 }).await, Ok(1));
        assert_eq!(caught(async { std::panic::panic_any(5) }).await, Err(Panicked("without words".into())));
    }
}
