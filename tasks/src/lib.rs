//! The tasks of a program, supervised: none of them ends in silence. A panic becomes a value where somebody can go on
//! ([`caught`]), and the end of the program where nobody can ([`Tasks`]).

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use tokio::sync::watch;
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
        let (fallen, shutdown, name) = (Arc::clone(&self.fallen), shutdown.clone(), name.into());
        self.tracker.spawn(async move {
            let task = task.map(Ok::<(), Fallen>);
            if let Err(new) = go_on(&name, &shutdown, task).await {
                note(&fallen, new);
            }
        });
    }

    /// Starts a task that ends when it is done. It falls when it panics.
    pub fn spawn_once(&self, name: impl Into<String>, task: impl Future<Output = ()> + Send + 'static) {
        let (fallen, name) = (Arc::clone(&self.fallen), name.into());
        self.tracker.spawn(async move {
            if let Err(panicked) = caught(task).await {
                note(&fallen, Fallen::Panicked { task: name, panicked });
            }
        });
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

    /// Awaits that all tasks have ended, and starts no more of them to wait for.
    pub async fn wait(&self) {
        self.tracker.close();
        self.tracker.wait().await;
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

    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

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
        tasks.wait().await;
        assert_eq!(tasks.first_fallen(), Some(fallen), "the first is the cause");
    }

    #[tokio::test]
    async fn a_task_that_returns_unasked_has_fallen_and_one_that_was_asked_has_not() {
        let (tasks, shutdown) = (Tasks::default(), CancellationToken::new());
        tasks.spawn("asked", &shutdown, shutdown.clone().cancelled_owned());
        tasks.spawn_once("done", async {});
        assert!(timeout(Duration::from_millis(20), tasks.fallen()).await.is_err());
        shutdown.cancel();
        tasks.wait().await;
        assert_eq!(tasks.first_fallen(), None);
        tasks.spawn("unasked", &CancellationToken::new(), async {});
        assert_eq!(tasks.fallen().await, Fallen::Ended { task: "unasked".into() });
        tasks.spawn_once("once", async { panic!("x") });
    }

    #[tokio::test]
    async fn what_panics_is_a_value() {
        assert_eq!(caught(async { 1 }).await, Ok(1));
        assert_eq!(caught(async { std::panic::panic_any(5) }).await, Err(Panicked("without words".into())));
    }
}
