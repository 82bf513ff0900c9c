//! watch: a stream of changes, one JSON object a line.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use fleetmesh_standalone_core::route::ListOptions;
use fleetmesh_standalone_core::status::Status;
use fleetmesh_standalone_core::store::{EventKind, Key, Ledger, Span, Stored, list};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use super::chunk::Chunks;
use super::read::Selection;
use super::view::{View, event_line};
use super::{ApiRequest, answer};
use crate::store::Store;

/// How long a watch lasts that does not say so, at the least, and how much longer at the most.
const LIFE: Duration = Duration::from_secs(30 * 60);
/// How often a watch is sent a bookmark that wants them.
const BOOKMARK: Duration = Duration::from_secs(60);

/// Objects that are looked at between two pauses for others, at most.
const LOOKED_AT: usize = 512;

/// A watch under way. It holds where it is and no object: what it has not sent is looked up when the connection takes more. One that
/// falls so far behind that this is forgotten ends with 410, as a watch begins that asks for what is forgotten.
struct Watch {
    store: Arc<Store>,
    view: View,
    /// Which store, namespace and name.
    name: String,
    namespace: Option<String>,
    object: Option<String>,
    selection: Selection,
    revisions: Receiver<u64>,
    /// Until where the objects of `seen` were written, while the watch begins with them.
    beginning: Option<Beginning>,
    /// Everything until this revision was written.
    seen: u64,
    chunks: Chunks,
    /// Whether a line about an object was written.
    has_begun: bool,
    bookmarks: Option<Interval>,
    end: Pin<Box<Sleep>>,
    shutdown: CancellationToken,
    is_over: bool,
}

/// What a watch begins with.
struct Beginning {
    /// The last object that was looked at.
    after: Option<Key>,
    /// Whether a bookmark says that this is all.
    is_marked: bool,
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
        let selection = self.selector()?;
        let (seen, beginning) = store.read(|ledger| begin(ledger, &options))?;
        let watch = Watch {
            revisions: store.revisions(),
            view: self.view()?,
            name: self.resource().store.clone(),
            namespace: self.one_namespace(),
            object: self.one_name(&selection),
            selection,
            beginning,
            seen,
            chunks: Chunks::default(),
            has_begun: false,
            bookmarks,
            end: Box::pin(sleep(life)),
            shutdown: self.api.shutdown.clone(),
            is_over: false,
            store,
        };
        let lines = futures::stream::unfold(watch, |mut watch| async move {
            let lines = watch.next().await?;
            Some((Ok::<Bytes, std::convert::Infallible>(lines), watch))
        });
        Ok(answer::json(200, Body::from_stream(lines)))
    }
}

/// From which revision a watch goes on, and what it begins with, unless it goes on from one that it names.
fn begin(ledger: &Ledger, options: &ListOptions) -> Result<(u64, Option<Beginning>), Status> {
    if let Some(revision) = options.revision {
        list::not_newer(&ledger.state, revision)?;
    }
    let from = options.revision.unwrap_or_default();
    let begins = options.initial_events.unwrap_or(from == 0);
    let is_marked = options.initial_events == Some(true) && options.bookmarks;
    let beginning = begins.then_some(Beginning { after: None, is_marked });
    Ok((if begins || from == 0 { ledger.state.revision() } else { from }, beginning))
}

impl Watch {
    /// What comes next; nothing when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.chunks.take() {
                return Some(piece);
            }
            if self.is_over || self.shutdown.is_cancelled() {
                return None;
            }
            if Instant::now() >= self.end.deadline() {
                self.finish();
                continue;
            }
            let is_behind = if self.beginning.is_some() { self.go_through() } else { self.gather() };
            if !self.chunks.is_empty() {
                continue;
            }
            if is_behind {
                tokio::task::yield_now().await;
            } else {
                self.wait().await;
            }
        }
    }

    /// Writes objects that were there in the beginning, and says whether there may be more at once.
    fn go_through(&mut self) -> bool {
        let store = Arc::clone(&self.store);
        let Some(Beginning { after, is_marked }) = self.beginning.take() else { return false };
        let (name, namespace, object) = (self.name.clone(), self.namespace.clone(), self.object.clone());
        let span = Span {
            store: &name,
            namespace: namespace.as_deref(),
            name: object.as_deref(),
            after: after.as_ref(),
        };
        store.read(|ledger| match ledger.at(span, self.seen) {
            Ok(objects) => {
                for (looked_at, object) in objects.enumerate() {
                    if self.selection.has(object) {
                        self.write(EventKind::Added, object);
                    }
                    if looked_at == LOOKED_AT || self.chunks.is_full() {
                        self.beginning = Some(Beginning { after: Some(object.key.clone()), is_marked });
                        return true;
                    }
                }
                if is_marked {
                    self.chunks.push(&self.view.bookmark(self.seen, true));
                }
                true
            }
            Err(status) => self.fail(&status),
        })
    }

    /// Writes what has changed since, and says whether there may be more at once.
    fn gather(&mut self) -> bool {
        self.revisions.mark_unchanged();
        let store = Arc::clone(&self.store);
        store.read(|ledger| match ledger.history.after(self.seen) {
            Ok(events) => {
                for (looked_at, event) in events.enumerate() {
                    if looked_at == LOOKED_AT || self.chunks.is_full() {
                        return true;
                    }
                    self.seen = event.object.revision;
                    if !self.span().has(&event.object.key) {
                        continue;
                    }
                    if let Some((kind, object)) = event.seen(|object| self.selection.has(object)) {
                        self.write(kind, object);
                    }
                }
                self.seen = ledger.state.revision();
                false
            }
            Err(status) => self.fail(&status),
        })
    }

    fn span(&self) -> Span<'_> {
        Span { name: self.object.as_deref(), ..Span::new(&self.name, self.namespace.as_deref()) }
    }

    fn write(&mut self, kind: EventKind, object: &Stored) {
        self.view.event(kind, object, !self.has_begun, &mut self.chunks);
        self.has_begun = true;
    }

    /// What there was is forgotten.
    fn fail(&mut self, status: &Status) -> bool {
        self.chunks.push(&event_line("ERROR", &status.to_value().to_string()));
        self.is_over = true;
        false
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
            () = tick => self.chunks.push(&self.view.bookmark(seen, false)),
            () = &mut self.end => self.finish(),
            () = self.shutdown.cancelled() => self.is_over = true,
        }
    }

    /// A watch that wants bookmarks ends with one, so that the next goes on from there.
    fn finish(&mut self) {
        self.is_over = true;
        if self.bookmarks.is_some() && self.beginning.is_none() {
            self.chunks.push(&self.view.bookmark(self.seen, false));
        }
    }
}
