//! watch: a stream of changes, one JSON object a line.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use fleetmesh_standalone_core::route::ListOptions;
use fleetmesh_standalone_core::status::Status;
use fleetmesh_standalone_core::store::{EventKind, Ledger, Stored, list};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use super::view::{View, event_line};
use super::{ApiRequest, answer};
use crate::store::Store;

/// How long a watch lasts that does not say so, at the least, and how much longer at the most.
const LIFE: Duration = Duration::from_secs(30 * 60);
/// How often a watch is sent a bookmark that wants them.
const BOOKMARK: Duration = Duration::from_secs(60);

type Selects = Box<dyn Fn(&Stored) -> bool + Send + Sync>;

/// A watch under way.
struct Watch {
    store: Arc<Store>,
    view: View,
    /// Which store and namespace.
    name: String,
    namespace: Option<String>,
    selects: Selects,
    revisions: Receiver<u64>,
    /// Everything until this revision was sent, or is ready.
    seen: u64,
    ready: VecDeque<String>,
    /// Whether a line about an object was made.
    has_begun: bool,
    bookmarks: Option<Interval>,
    end: Pin<Box<Sleep>>,
    shutdown: CancellationToken,
    is_over: bool,
}

impl ApiRequest<'_> {
    pub(super) fn watch(&self) -> Result<Response, Status> {
        let options = ListOptions::read(&self.parameters, true)?;
        let life = match options.timeout {
            Some(seconds) if seconds > 0 => Duration::from_secs(seconds),
            _ => LIFE + LIFE.mul_f64(fastrand::f64()),
        };
        let store = Arc::clone(&self.api.store);
        let bookmarks = options.bookmarks.then(|| {
            let mut bookmarks = interval_at(Instant::now() + BOOKMARK, BOOKMARK);
            bookmarks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            bookmarks
        });
        let mut watch = Watch {
            revisions: store.revisions(),
            view: self.view()?,
            name: self.resource().store.clone(),
            namespace: self.route.namespace.clone(),
            selects: Box::new(self.selector()?),
            seen: options.revision.unwrap_or_default(),
            ready: VecDeque::new(),
            has_begun: false,
            bookmarks,
            end: Box::pin(sleep(life)),
            shutdown: self.api.shutdown.clone(),
            is_over: false,
            store: Arc::clone(&store),
        };
        store.read(|ledger| watch.begin(ledger, &options))?;
        let lines = futures::stream::unfold(watch, |mut watch| async move {
            let lines = watch.next().await?;
            Some((Ok::<Bytes, std::convert::Infallible>(lines), watch))
        });
        Ok(answer::json(200, Body::from_stream(lines)))
    }
}

impl Watch {
    /// Begins with what there is, unless the watch goes on from a revision.
    fn begin(&mut self, ledger: &Ledger, options: &ListOptions) -> Result<(), Status> {
        if let Some(revision) = options.revision {
            list::not_newer(&ledger.state, revision)?;
        }
        let is_fresh = options.revision.unwrap_or_default() == 0;
        let begins = options.initial_events.unwrap_or(is_fresh);
        if begins {
            for object in ledger.state.all(&self.name, self.namespace.as_deref()) {
                if (self.selects)(object) {
                    let line = self.view.event(EventKind::Added, object, !self.has_begun);
                    self.has_begun = true;
                    self.ready.push_back(line);
                }
            }
        }
        if begins || is_fresh {
            self.seen = ledger.state.revision();
        }
        if options.initial_events == Some(true) && options.bookmarks {
            self.ready.push_back(self.view.bookmark(self.seen, true));
        }
        Ok(())
    }

    /// What comes next, as much as there is; nothing when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.ready.is_empty() {
                let lines: String = self.ready.drain(..).collect();
                return Some(lines.into());
            }
            if self.is_over {
                return None;
            }
            self.gather();
            if self.ready.is_empty() {
                self.wait().await;
            }
        }
    }

    /// Reads what has changed since.
    fn gather(&mut self) {
        self.revisions.mark_unchanged();
        let store = Arc::clone(&self.store);
        store.read(|ledger| match ledger.history.after(self.seen) {
            Ok(events) => {
                for event in events {
                    let key = &event.object.key;
                    let is_ours = key.store == self.name
                        && self.namespace.as_ref().is_none_or(|namespace| key.namespace == *namespace);
                    if let Some((kind, object)) = event.seen(&self.selects).filter(|_| is_ours) {
                        let line = self.view.event(kind, object, !self.has_begun);
                        self.has_begun = true;
                        self.ready.push_back(line);
                    }
                }
                self.seen = ledger.state.revision();
            }
            Err(status) => {
                self.ready.push_back(event_line("ERROR", &status.to_value().to_string()));
                self.is_over = true;
            }
        });
    }

    /// Until there is something to send, or the watch is over.
    async fn wait(&mut self) {
        let seen = self.seen;
        let tick = async {
            match &mut self.bookmarks {
                Some(bookmarks) => _ = bookmarks.tick().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.revisions.changed() => self.is_over = changed.is_err(),
            () = tick => self.ready.push_back(self.view.bookmark(seen, false)),
            () = &mut self.end => self.finish(),
            () = self.shutdown.cancelled() => self.is_over = true,
        }
    }

    /// A watch that wants bookmarks ends with one, so that the next goes on from there.
    fn finish(&mut self) {
        self.is_over = true;
        if self.bookmarks.is_some() {
            self.ready.push_back(self.view.bookmark(self.seen, false));
        }
    }
}
