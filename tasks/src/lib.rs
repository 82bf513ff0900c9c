//! The tasks of a program, supervised: none of them ends silently. A panic becomes a value where the program can continue
//! ([`caught`]), and ends the program where it cannot ([`Tasks`]).

mod name;

use std::any::Any;
use std::convert::Infallible;
use std::fmt::{self, Debug, Display};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, TryFutureExt as _};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use name::TaskName;

/// How long tasks that were cut off are waited for.
const CUT_OFF: Duration = Duration::from_secs(1);

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
        task: &'static str,
        /// The panic.
        panicked: Panicked,
    },
    /// It failed.
    #[error("{reason}")]
    Failed {
        /// Its name.
        task: &'static str,
        /// Why, in its own words.
        reason: String,
    },
    /// It returned.
    #[error("the task {task:?} ended by itself: this is a fault of Fleetmesh, please report it")]
    Ended {
        /// Its name.
        task: &'static str,
    },
}

/// Runs `task`, which goes on until `shutdown` and may take some time to end after that, or fails.
///
/// # Errors
/// Its own; or it has fallen: it panicked, or returned before it was asked to.
async fn go_on(
    task: &'static str,
    shutdown: &CancellationToken,
    work: impl Future<Output = Result<(), Fallen>>,
) -> Result<(), Fallen> {
    match caught(work).await {
        Err(panicked) => Err(Fallen::Panicked { task, panicked }),
        Ok(Ok(())) if !shutdown.is_cancelled() => Err(Fallen::Ended { task }),
        Ok(ended) => ended,
    }
}

/// What happens inside of one task while it runs. For tests, which hold a clone of it; in production there is none.
#[derive(Clone, Debug)]
pub struct Strike<N> {
    target: N,
    begun: CancellationToken,
    now: CancellationToken,
    blow: fn(),
}

impl<N: TaskName> Strike<N> {
    /// In the task `target`, `blow` is called once [`Self::strike`] was. What panics there is a panic of the task.
    pub fn at(target: N, blow: fn()) -> Self {
        Self { target, begun: CancellationToken::new(), now: CancellationToken::new(), blow }
    }

    /// Awaits that the task runs.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Has the blow fall, or fall as soon as the task runs.
    pub fn strike(&self) {
        self.now.cancel();
    }

    async fn fall(self) {
        self.begun.cancel();
        self.now.cancelled().await;
        (self.blow)();
    }
}

/// The tasks of a program, which are in its list `N`. Clones are the same tasks.
#[derive(Clone)]
pub struct Tasks<N> {
    tracker: TaskTracker,
    fallen: Arc<watch::Sender<Option<Fallen>>>,
    /// Cancelled when nobody waits for the tasks any more.
    given_up: CancellationToken,
    strike: Option<Strike<N>>,
}

impl<N> Default for Tasks<N> {
    fn default() -> Self {
        Self {
            tracker: TaskTracker::default(),
            fallen: Arc::default(),
            given_up: CancellationToken::default(),
            strike: None,
        }
    }
}

impl<N> Debug for Tasks<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("fallen", &self.fallen.borrow()).finish_non_exhaustive()
    }
}

impl<N: TaskName> Tasks<N> {
    /// Tasks of which one is struck. For tests.
    pub fn struck(strike: Strike<N>) -> Self {
        Self { strike: Some(strike), ..Self::default() }
    }

    /// Others of the same program, which are ended on their own: one that falls is among [`Self::fallen`] of both.
    #[must_use]
    pub fn apart(&self) -> Self {
        let (fallen, strike) = (Arc::clone(&self.fallen), self.strike.clone());
        Self { tracker: TaskTracker::default(), fallen, given_up: CancellationToken::default(), strike }
    }

    /// Starts a task that goes on until `shutdown`, and may take some time to end after that. It falls when it panics, and
    /// when it returns before.
    pub fn spawn(
        &self,
        name: N,
        shutdown: &CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.try_spawn(name, shutdown, task.map(Ok::<(), Infallible>));
    }

    /// The same with a task that may fail, by which it falls too.
    pub fn try_spawn<E: Display>(
        &self,
        name: N,
        shutdown: &CancellationToken,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let (fallen, shutdown) = (Arc::clone(&self.fallen), shutdown.clone());
        let strike = self.strike.clone().filter(|strike| strike.target == name).map(Strike::fall);
        let name = name.name();
        // On the heap: what wraps it would copy it from frame to frame of a stack of 2 MiB, in a build without optimization.
        let task = Box::pin(task);
        let run = async move {
            let failed = |error: E| Fallen::Failed { task: name, reason: error.to_string() };
            if let Err(new) = go_on(name, &shutdown, beside(strike, task.map_err(failed))).await {
                note(&fallen, new);
            }
        };
        self.tracker.spawn(self.given_up.clone().run_until_cancelled_owned(run));
    }

    /// Starts a task that is cut off by `shutdown`, at whatever it waits for then. It falls when it panics, and when it returns.
    pub fn spawn_until(
        &self,
        name: N,
        shutdown: &CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = Box::pin(task);
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

    /// Cuts all tasks off once it is dropped: those of a program whose future nobody polls any more.
    #[must_use]
    pub fn cut_off_on_drop(&self) -> DropGuard {
        self.given_up.clone().drop_guard()
    }

    /// Waits until all tasks, which have been asked to stop, have ended, and aborts those that have not after `grace`, whatever
    /// they wait for, so that nothing of them is left. Returns whether all ended by themselves.
    pub async fn end(&self, grace: Duration) -> bool {
        self.tracker.close();
        let ended = timeout(grace, self.tracker.wait()).await.is_ok();
        if !ended {
            self.given_up.cancel();
            // Those that wait end at once; one that does not let go of its thread is not waited for.
            let _ = timeout(CUT_OFF, self.tracker.wait()).await;
        }
        ended
    }
}

/// Runs `task`, and `strike` within it.
async fn beside<T>(strike: Option<impl Future<Output = ()>>, task: impl Future<Output = T>) -> T {
    let Some(strike) = strike else { return task.await };
    let mut task = pin!(task);
    tokio::select! {
        biased;
        ended = &mut task => return ended,
        () = strike => {}
    }
    task.await
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

    task_names! {
        /// The tasks of these tests.
        enum Task {
            Watch = "watch",
            Another = "another",
            Asked = "asked",
            CutOff = "cut off",
            Unasked = "unasked",
            Serves = "serves",
            Endless = "does not end",
        }
    }

    #[tokio::test]
    async fn a_task_that_panics_is_named_with_its_words() {
        let (tasks, shutdown) = (Tasks::<Task>::default(), CancellationToken::new());
        tasks.spawn(Task::Watch, &shutdown, async { panic!("no {}", "way") });
        let fallen = tasks.fallen().await;
        assert_eq!(
            fallen.to_string(),
            "the task \"watch\" panicked: no way: this is a fault of Fleetmesh, please report it"
        );
        tasks.spawn(Task::Another, &shutdown, async {});
        assert!(tasks.end(LONG).await);
        assert_eq!(tasks.first_fallen(), Some(fallen), "the first is the cause");
    }

    #[tokio::test]
    async fn a_task_that_returns_unasked_has_fallen_and_one_that_was_asked_has_not() {
        let (tasks, shutdown) = (Tasks::<Task>::default(), CancellationToken::new());
        tasks.spawn(Task::Asked, &shutdown, shutdown.clone().cancelled_owned());
        tasks.spawn_until(Task::CutOff, &shutdown, pending());
        assert!(timeout(Duration::from_millis(20), tasks.fallen()).await.is_err());
        shutdown.cancel();
        assert!(tasks.end(LONG).await);
        assert_eq!(tasks.first_fallen(), None);
        tasks.spawn(Task::Unasked, &CancellationToken::new(), async {});
        assert_eq!(tasks.fallen().await, Fallen::Ended { task: "unasked" });
    }

    #[tokio::test]
    async fn a_task_that_fails_says_why_and_one_that_does_not_end_is_cut_off() {
        let (tasks, shutdown) = (Tasks::<Task>::default(), CancellationToken::new());
        tasks.try_spawn(Task::Serves, &shutdown, async { Err("the port is gone") });
        assert_eq!(tasks.fallen().await.to_string(), "the port is gone");
        let held = Arc::new(());
        let never = Arc::clone(&held);
        tasks.spawn(Task::Endless, &shutdown, async move {
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
    async fn tasks_that_stand_apart_fall_together_and_end_alone() {
        let (tasks, shutdown) = (Tasks::<Task>::default(), CancellationToken::new());
        let apart = tasks.apart();
        let (held, others) = (Arc::new(()), Arc::new(()));
        for (tasks, held) in [(&tasks, Arc::clone(&held)), (&apart, Arc::clone(&others))] {
            tasks.spawn(Task::Endless, &shutdown, async move {
                pending::<()>().await;
                drop(held)
            });
        }
        assert!(!tasks.end(Duration::ZERO).await);
        assert_eq!((Arc::strong_count(&held), Arc::strong_count(&others)), (1, 2));
        apart.spawn(Task::Watch, &shutdown, async { panic!("no way") });
        assert!(matches!(tasks.fallen().await, Fallen::Panicked { task: "watch", .. }));
        drop(apart.cut_off_on_drop());
        assert!(apart.end(LONG).await, "those that wait end at once");
        assert_eq!(Arc::strong_count(&others), 1);
    }

    #[tokio::test]
    async fn what_strikes_a_task_while_it_runs_is_its_own_panic() {
        let strike = Strike::at(Task::Watch, || panic!("struck"));
        let tasks = Tasks::struck(strike.clone());
        let shutdown = CancellationToken::new();
        let go_on = || shutdown.clone().cancelled_owned();
        tasks.spawn(Task::Another, &shutdown, go_on());
        tasks.spawn(Task::Watch, &shutdown, go_on());
        strike.begun().await;
        assert!(timeout(Duration::from_millis(20), tasks.fallen()).await.is_err());
        strike.strike();
        assert!(matches!(tasks.fallen().await, Fallen::Panicked { task: "watch", .. }));
        shutdown.cancel();
        assert!(tasks.end(LONG).await, "the other goes on, and ends when it is asked to");
    }

    /// The worker of the operator holds a reconcile: wrapped without care it filled the stack of a thread.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_large_task_takes_little_of_the_stack() {
        let (tasks, shutdown) = (Tasks::<Task>::default(), CancellationToken::new());
        let work = |stop: CancellationToken| async move {
            let large = [1_u8; 32 * 1024];
            stop.cancelled().await;
            assert_eq!(large.iter().filter(|byte| **byte == 1).count(), large.len());
        };
        tasks.spawn(Task::Watch, &shutdown, work(shutdown.clone()));
        tasks.spawn_until(Task::CutOff, &shutdown, work(CancellationToken::new()));
        shutdown.cancel();
        assert!(tasks.end(LONG).await);
        assert_eq!(tasks.first_fallen(), None);
    }

    #[tokio::test]
    async fn what_panics_is_a_value() {
        assert_eq!(caught(async { 1 }).await, Ok(1));
        assert_eq!(caught(async { std::panic::panic_any(5) }).await, Err(Panicked("without words".into())));
    }
}
