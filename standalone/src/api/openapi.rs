//! The OpenAPI documents, `/openapi/v2` and `/openapi/v3`, as kube-apiserver serves them. Those of version 3, which every kubectl
//! reads, are written once the API is ready; that of version 2 takes megabytes and is written when somebody asks for it. What asks
//! for one first waits for it.

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::response::Response;
use fleetmesh_standalone_core::openapi::{Document, OpenApiV2, OpenApiV3, PROTOBUF, PROTOBUF_ACCEPTED};
use fleetmesh_standalone_core::resource::Resources;
use fleetmesh_standalone_core::status::Status;
use http::header::{ACCEPT, CACHE_CONTROL, EXPIRES, LOCATION};
use http::request::Parts;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

use super::answer::{self, JSON};
use super::header;

/// The Kubernetes whose kinds are served beside ours.
const VERSION: &str = "1.36";
const V2: &str = "/openapi/v2";
const V3: &str = "/openapi/v3";
/// How long a document stays what it is that was asked for by its hash: for ever.
const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);

/// What is made once.
type Once<T> = LazyLock<T, Box<dyn FnOnce() -> T + Send>>;

/// The documents.
pub(super) struct OpenApiPages {
    v2: Once<OpenApiV2>,
    v3: Once<OpenApiV3>,
}

impl OpenApiPages {
    /// Those of `resources`.
    pub(super) fn new(resources: Arc<Resources>) -> Self {
        let of_v2 = Arc::clone(&resources);
        Self {
            v2: LazyLock::new(Box::new(move || OpenApiV2::new(&of_v2, VERSION))),
            v3: LazyLock::new(Box::new(move || OpenApiV3::new(&resources, VERSION))),
        }
    }

    /// Makes the documents of version 3, unless that is done. Takes some ten milliseconds of a processor.
    pub(super) fn make(&self) {
        LazyLock::force(&self.v3);
    }

    /// What is at `path`; nothing when that is none of these. A path below them that is not known is 404, a form that is not
    /// served 406, both without a body.
    ///
    /// # Errors
    /// 405: it is not read.
    pub(super) fn answer(&self, head: &Parts, path: &str) -> Result<Option<Response>, Status> {
        if !path.starts_with("/openapi/") {
            return Ok(None);
        }
        if head.method != Method::GET {
            return Err(Status::method_not_allowed());
        }
        Ok(Some(match path.strip_prefix(V3).map(|rest| rest.trim_matches('/')) {
            Some("") => json(head, self.v3.index()),
            Some(group) => self.group(head, group),
            None if path == V2 => self.v2(head),
            None => empty(StatusCode::NOT_FOUND),
        }))
    }

    fn v2(&self, head: &Parts) -> Response {
        let accepted = header(head, ACCEPT);
        match PROTOBUF_ACCEPTED.iter().any(|one| accepted.contains(one)) {
            true => found(head, &self.v2.protobuf, PROTOBUF),
            false => json(head, &self.v2.json),
        }
    }

    /// The document of a version of a group: for ever, when it is asked for by its hash.
    fn group(&self, head: &Parts, path: &str) -> Response {
        let Some((document, address)) = self.v3.group(path).zip(self.v3.address(path)) else {
            return empty(StatusCode::NOT_FOUND);
        };
        let query = head.uri.query().unwrap_or_default();
        let hash = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "hash");
        let Some((_, hash)) = hash else { return json(head, document) };
        if hash != document.hash {
            let mut moved = empty(StatusCode::MOVED_PERMANENTLY);
            answer::insert(&mut moved, LOCATION, &address);
            return moved;
        }
        let mut response = json(head, document);
        answer::insert(&mut response, CACHE_CONTROL, "public, immutable");
        let expires = Timestamp::now() + YEAR;
        if let Ok(expires) = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&expires) {
            answer::insert(&mut response, EXPIRES, &expires);
        }
        response
    }
}

/// A document in JSON, or that there is no other form of it.
fn json(head: &Parts, document: &Document) -> Response {
    let accepted = header(head, ACCEPT);
    let any = ["json", "*/*", "application/*"].iter().any(|form| accepted.contains(form));
    if accepted.is_empty() || any { found(head, document, JSON) } else { empty(StatusCode::NOT_ACCEPTABLE) }
}

fn found(head: &Parts, document: &Document, media_type: &'static str) -> Response {
    answer::tagged(head, media_type, document.body.clone(), &document.etag())
}

fn empty(code: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    response
}
