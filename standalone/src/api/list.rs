//! Lists, written object by object.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use fleetmesh_standalone_core::store::Stored;
use jiff::Timestamp;
use serde_json::Value;

use super::answer;
use super::chunk::Chunks;
use super::view::View;

/// What begins the line of an item of a list for people.
const ITEM: &str = "\n    ";

/// A list without its items.
pub(crate) struct ListFrame {
    /// What comes before the first.
    pub head: String,
    /// What comes between two.
    pub between: &'static str,
    /// What comes behind the last.
    pub tail: String,
    /// Whether people read it.
    pub is_pretty: bool,
    /// What ages are reckoned from.
    pub now: Timestamp,
}

impl ListFrame {
    /// Of a list with no items.
    pub(crate) fn of(list: &Value, is_pretty: bool) -> Option<Self> {
        let (text, colon) = if is_pretty { (format!("{list:#}\n"), ": ") } else { (list.to_string(), ":") };
        let is_empty = |list: &Value| list.is_null() || list.as_array().is_some_and(Vec::is_empty);
        let member = ["items", "rows"].into_iter().find(|member| list.get(member).is_some_and(is_empty))?;
        let name = format!("\"{member}\"{colon}");
        // Within a text its quotes would be escaped.
        let (head, tail) = text.split_once(&format!("{name}{}", list[member]))?;
        let (open, between, close) =
            if is_pretty { ("[\n    ", ",\n    ", "\n  ]") } else { ("[", ",", "]") };
        Some(Self {
            head: format!("{head}{name}{open}"),
            between,
            tail: format!("{close}{tail}"),
            is_pretty,
            now: Timestamp::now(),
        })
    }
    /// The text of an item.
    pub(crate) fn item(&self, item: &Value) -> String {
        if self.is_pretty { format!("{item:#}").replace('\n', ITEM) } else { item.to_string() }
    }
}

/// A list under way.
struct List {
    view: View,
    objects: std::vec::IntoIter<Arc<Stored>>,
    frame: ListFrame,
    chunks: Chunks,
    has_begun: bool,
    is_over: bool,
}

impl List {
    /// The next piece; nothing when the list is over.
    fn next(&mut self) -> Option<Bytes> {
        self.write();
        self.chunks.take()
    }

    /// Writes until there is enough to be sent.
    fn write(&mut self) {
        while !self.is_over && !self.chunks.is_full() {
            match self.objects.next() {
                Some(object) => {
                    self.chunks.push(if self.has_begun { self.frame.between } else { &self.frame.head });
                    self.view.item(&object, &self.frame, &mut self.chunks);
                    self.has_begun = true;
                }
                None => {
                    self.chunks.push(&self.frame.tail);
                    self.is_over = true;
                }
            }
        }
    }
}

/// The answer with at least one object. One that is short has its length in the head.
pub(crate) fn answer(view: View, frame: ListFrame, objects: Vec<Arc<Stored>>) -> Response {
    let (objects, chunks) = (objects.into_iter(), Chunks::default());
    let mut list = List { view, objects, frame, chunks, has_begun: false, is_over: false };
    list.write();
    if list.is_over {
        return answer::json(200, list.chunks.into_bytes());
    }
    let pieces = futures::stream::unfold(list, |mut list| async move {
        let piece = list.next()?;
        Some((Ok::<Bytes, Infallible>(piece), list))
    });
    answer::json(200, Body::from_stream(pieces))
}
