//! Lists, in pages that show one revision.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::history::History;
use super::state::{Key, State, Stored};
use crate::status::{Status, StatusCause};

/// What the token of a page begins with, as kube-apiserver has it.
const TOKEN_VERSION: &str = "meta.k8s.io/v1";

const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.";

/// Which objects, and how many at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The store.
    pub store: String,
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// At most so many; 0 is no bound.
    pub limit: u64,
    /// Where the last page ended.
    pub token: Option<String>,
    /// The revision that the list has to show.
    pub exact: Option<u64>,
}

/// A list, or a part of one.
#[derive(Clone, Debug)]
pub struct Page {
    /// The objects in their order.
    pub objects: Vec<Arc<Stored>>,
    /// The revision that all pages show.
    pub revision: u64,
    /// Where the next page begins, if there is more.
    pub next: Option<String>,
    /// How many objects are left.
    pub remaining: u64,
}

/// The objects of `query` that are selected.
///
/// # Errors
/// 400 for a token that is none, 410 for a revision that is forgotten, 504 for one that is not there yet.
pub fn page(
    state: &State,
    history: &History,
    query: &Query,
    selects: impl Fn(&Stored) -> bool,
) -> Result<Page, Status> {
    let Query { store, namespace, limit, token, exact } = query;
    let token = token.as_deref().map(Token::read).transpose()?;
    let revision = token.as_ref().map(|token| token.revision).or(*exact);
    if let Some(revision) = revision {
        not_newer(state, revision)?;
    }
    let namespace = namespace.as_deref();
    let now = state.revision();
    let selected: Vec<Arc<Stored>> = match revision.filter(|revision| *revision != now) {
        None => state.all(store, namespace).filter(|object| selects(object)).cloned().collect(),
        Some(revision) => {
            let objects = history.at(state, store, namespace, revision);
            let objects = match token {
                Some(_) => objects.map_err(|_| Status::resource_expired(TOO_OLD))?,
                None => objects?,
            };
            objects.into_values().filter(|object| selects(object)).collect()
        }
    };
    let revision = revision.unwrap_or(now);
    let after = token.map(|token| Key::new(store, &token.namespace, &token.name));
    let first = after.map_or(0, |after| selected.partition_point(|object| object.key <= after));
    let rest = selected.get(first..).unwrap_or_default();
    let length = match usize::try_from(*limit) {
        Ok(0) | Err(_) => rest.len(),
        Ok(limit) => limit.min(rest.len()),
    };
    let objects = rest[..length].to_vec();
    let remaining = (rest.len() - length) as u64;
    let last = objects.last().filter(|_| remaining > 0);
    let next = last.map(|last| Token::of(&last.key, revision).write());
    Ok(Page { objects, revision, next, remaining })
}

/// Whether `revision` has been.
///
/// # Errors
/// 504, as a client takes it that asked another server of the same API before.
pub fn not_newer(state: &State, revision: u64) -> Result<(), Status> {
    let current = state.revision();
    if revision <= current {
        return Ok(());
    }
    let message = format!("Too large resource version: {revision}, current: {current}");
    let cause = StatusCause {
        reason: "ResourceVersionTooLarge".to_owned(),
        message: "Too large resource version".to_owned(),
        field: String::new(),
    };
    let mut status = Status::timeout(format!("Timeout: {message}")).caused_by(vec![cause]);
    if let Some(details) = &mut status.details {
        details.retry_after_seconds = 1;
    }
    Err(status)
}

/// Where a page ended.
struct Token {
    revision: u64,
    namespace: String,
    name: String,
}

impl Token {
    fn of(key: &Key, revision: u64) -> Self {
        Self { revision, namespace: key.namespace.clone(), name: key.name.clone() }
    }

    fn write(&self) -> String {
        let Self { revision, namespace, name } = self;
        let token = json!({ "v": TOKEN_VERSION, "rv": revision, "start": format!("{namespace}/{name}\0") });
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn read(text: &str) -> Result<Self, Status> {
        let wrong = |why: &str| Status::bad_request(format!("continue key is not valid: {why}"));
        let bytes =
            URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| wrong("illegal base64 data"))?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))?;
        if token["v"] != TOKEN_VERSION {
            return Err(wrong("server does not recognize this encoded version"));
        }
        let revision = token["rv"].as_u64().filter(|revision| *revision > 0);
        let revision = revision.ok_or_else(|| wrong("incorrect encoded start resourceVersion"))?;
        let start = token["start"].as_str().unwrap_or_default().trim_end_matches('\0');
        let (namespace, name) = start.split_once('/').ok_or_else(|| wrong("it names no object"))?;
        Ok(Self { revision, namespace: namespace.to_owned(), name: name.to_owned() })
    }
}
