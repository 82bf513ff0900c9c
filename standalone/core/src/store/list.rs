//! Lists, in pages that show one revision.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Value, json};

use super::history::Ledger;
use super::span::Span;
use super::state::{Key, State, Stored};
use crate::go;
use crate::status::{Status, StatusCause};

/// As Go reads it: bits behind the last byte are passed over.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

/// What the token of a page begins with, as kube-apiserver has it.
const TOKEN_VERSION: &str = "meta.k8s.io/v1";

const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.";

/// Which objects, and how many at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The store.
    pub store: String,
    /// One namespace, or all; empty for what is in none.
    pub namespace: Option<String>,
    /// One name, or all.
    pub name: Option<String>,
    /// At most so many; 0 is no bound.
    pub limit: u64,
    /// Where the last page ended.
    pub token: Option<String>,
    /// The revision that the list has to show.
    pub exact: Option<u64>,
    /// Whether somebody wants to know how many are left.
    pub counts: bool,
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
    /// How many objects are left, if there are any and somebody wants to know.
    pub remaining: Option<u64>,
}

/// The objects of `query` that are selected. What it costs is the length of the page, and for the first of several pages that are
/// counted the length of the list; the others are known by the token.
///
/// # Errors
/// 400 for a token that is none, 410 for a revision that is forgotten, 504 for one that is not there yet.
pub fn page(ledger: &Ledger, query: &Query, selects: impl Fn(&Stored) -> bool) -> Result<Page, Status> {
    let Query { store, namespace, name, limit, token, exact, counts } = query;
    let token = token.as_deref().map(Token::read).transpose()?;
    let revision = token.as_ref().map(|token| token.revision).or(*exact);
    if let Some(revision) = revision {
        not_newer(&ledger.state, revision)?;
    }
    let revision = revision.unwrap_or_else(|| ledger.state.revision());
    let after = token.as_ref().map(|token| Key::new(store, &token.namespace, &token.name));
    let span = Span { store, namespace: namespace.as_deref(), name: name.as_deref(), after: after.as_ref() };
    let all = ledger.at(span, revision).map_err(|status| match token {
        Some(_) => Status::resource_expired(TOO_OLD),
        None => status,
    })?;
    let mut selected = all.filter(|object| selects(object));
    let length = usize::try_from(*limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let objects: Vec<Arc<Stored>> = selected.by_ref().take(length).cloned().collect();
    let Some(last) = objects.last().filter(|_| selected.next().is_some()) else {
        return Ok(Page { objects, revision, next: None, remaining: None });
    };
    let remaining = counts.then(|| match token.as_ref().and_then(|token| token.left) {
        Some(left) => left.saturating_sub(objects.len() as u64).max(1),
        None => 1 + selected.count() as u64,
    });
    let next = Token::of(&last.key, revision, remaining).write();
    Ok(Page { objects, revision, next: Some(next), remaining })
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
    /// How many came after it, if they were counted. kube-apiserver has no such member, and nobody but this API reads tokens.
    left: Option<u64>,
}

impl Token {
    fn of(key: &Key, revision: u64, left: Option<u64>) -> Self {
        Self { revision, namespace: key.namespace.clone(), name: key.name.clone(), left }
    }

    fn write(&self) -> String {
        let Self { revision, namespace, name, left } = self;
        let start = format!("{namespace}/{name}\0");
        let token = json!({ "v": TOKEN_VERSION, "rv": revision, "start": start, "left": left });
        URL_SAFE.encode(token.to_string())
    }

    fn read(text: &str) -> Result<Self, Status> {
        let invalid = |why: String| Status::bad_request(format!("invalid continue token: {why}"));
        let wrong = |why: String| invalid(format!("continue key is not valid: {why}"));
        let bytes = URL_SAFE.decode(text).map_err(|error| {
            let why = go::base64_error(text).map(|at| format!("illegal base64 data at input byte {at}"));
            wrong(why.unwrap_or_else(|| error.to_string()))
        })?;
        let token: Value = serde_json::from_slice(&bytes)
            .map_err(|error| wrong(go::syntax_error(&bytes).unwrap_or_else(|| error.to_string())))?;
        let version = token["v"].as_str().unwrap_or_default();
        if version != TOKEN_VERSION {
            return Err(wrong(format!("server does not recognize this encoded version {version}")));
        }
        let revision = token["rv"].as_u64().filter(|revision| *revision > 0);
        let unversioned = || wrong(format!("incorrect encoded start resourceVersion (version {version})"));
        let revision = revision.ok_or_else(unversioned)?;
        let key = token["start"].as_str().unwrap_or_default();
        if key.is_empty() {
            return Err(wrong(format!("encoded start key empty (version {version})")));
        }
        let start = key.trim_end_matches('\0').split_once('/');
        let (namespace, name) = start.ok_or_else(|| wrong(key.to_owned()))?;
        let left = token["left"].as_u64();
        Ok(Self { revision, namespace: namespace.to_owned(), name: name.to_owned(), left })
    }
}

#[test]
fn what_is_no_token_is_explained_as_go_explains_it() {
    let encoded = |token: &str| URL_SAFE.encode(token);
    for (token, why) in [
        ("x".to_owned(), "illegal base64 data at input byte 0"),
        ("garbage".to_owned(), "invalid character '\\u0081' looking for beginning of value"),
        (encoded("{}"), "server does not recognize this encoded version "),
        (
            encoded(r#"{"v":"meta.k8s.io/v1"}"#),
            "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
        ),
        (encoded(r#"{"v":"meta.k8s.io/v1","rv":7}"#), "encoded start key empty (version meta.k8s.io/v1)"),
        (encoded(r#"{"v":"meta.k8s.io/v1","rv":7,"start":"a"}"#), "a"),
    ] {
        let Err(status) = Token::read(&token) else { panic!("{token} is a token") };
        assert_eq!(status.message, format!("invalid continue token: continue key is not valid: {why}"));
    }
}
