//! Answers that are no object: Kubernetes' `Status`, with the reason, code, message and causes that kube-apiserver gives.
//!
//! The constructors are named like those of apimachinery's `errors` package, whose words they have.

mod field;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Map, Value, json};

pub use field::{FieldError, FieldErrorKind};

/// `text` in quotes, as Go's `%q` has it.
#[must_use]
pub fn quoted(text: &str) -> String {
    crate::go::quote(text)
}

/// Why a request is not done, as `Status` of group `""`, version `v1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The status code of HTTP.
    pub code: u16,
    /// The reason in one word, for programs.
    pub reason: &'static str,
    /// The reason in words, for people.
    pub message: String,
    /// What it is about.
    pub details: Option<Box<StatusDetails>>,
}

/// What a [`Status`] is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatusDetails {
    /// The name of the object, or empty.
    pub name: String,
    /// The API group, or empty.
    pub group: String,
    /// The kind for [`Status::invalid`], else the plural name of the resource; or empty.
    pub kind: String,
    /// The uid of the object, or empty.
    pub uid: String,
    /// What is wrong, each with the member that it is about.
    pub causes: Vec<StatusCause>,
    /// After how many seconds the same request may succeed; 0 when that is unknown.
    pub retry_after_seconds: u32,
}

/// One of the causes of a [`Status`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusCause {
    /// Such as `FieldValueInvalid`.
    pub reason: String,
    /// In words.
    pub message: String,
    /// The path of the member, such as `spec.listeners[0]`; or empty.
    pub field: String,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

/// A resource by its plural name and group, as messages have it: `meshes.fleetmesh.dev`, `secrets`.
fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn about(mut self, group: &str, kind: &str, name: &str) -> Self {
        let (name, group, kind) = (name.to_owned(), group.to_owned(), kind.to_owned());
        self.details = Some(Box::new(StatusDetails { name, group, kind, ..StatusDetails::default() }));
        self
    }

    /// With these causes in its details.
    #[must_use]
    pub fn caused_by(mut self, causes: Vec<StatusCause>) -> Self {
        self.details.get_or_insert_default().causes = causes;
        self
    }

    /// 404: there is no object `name` of the resource with this plural name.
    pub fn not_found(group: &str, plural: &str, name: &str) -> Self {
        let message = format!("{} {} not found", qualified(plural, group), quoted(name));
        Self::new(404, "NotFound", message).about(group, plural, name)
    }

    /// 404: nothing is served at that path.
    pub fn no_such_path() -> Self {
        let mut status = Self::new(404, "NotFound", "the server could not find the requested resource");
        status.details = Some(Box::default());
        status
    }

    /// 404 in plain text: neither a group nor a resource of Kubernetes itself is at that path.
    pub fn page_not_found() -> Self {
        Self::new(404, "", "404 page not found")
    }

    /// Whether it is answered as plain text.
    pub fn is_plain(&self) -> bool {
        self.code == 404 && self.reason.is_empty()
    }

    /// 409: an object `name` is there already.
    pub fn already_exists(group: &str, plural: &str, name: &str) -> Self {
        let message = format!("{} {} already exists", qualified(plural, group), quoted(name));
        Self::new(409, "AlreadyExists", message).about(group, plural, name)
    }

    /// 409: the object is not as the request has it; `why` says how.
    pub fn conflict(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let which = qualified(plural, group);
        let message = format!("Operation cannot be fulfilled on {which} {}: {why}", quoted(name));
        Self::new(409, "Conflict", message).about(group, plural, name)
    }

    /// 409: server-side apply would take members that others manage.
    pub fn apply_conflict(message: impl Into<String>, causes: Vec<StatusCause>) -> Self {
        Self::new(409, "Conflict", message).caused_by(causes)
    }

    /// 422: the object breaks rules of its kind.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let message = format!("{} {} is invalid", qualified(kind, group), quoted(name));
        let message = match field::together(errors) {
            None => message,
            Some(why) => format!("{message}: {why}"),
        };
        let causes = errors.iter().map(FieldError::cause).collect();
        Self::new(422, "Invalid", message).about(group, kind, name).caused_by(causes)
    }

    /// 403: the request may not be done; `why` says what keeps it.
    pub fn forbidden(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let which = qualified(plural, group);
        let message = if name.is_empty() {
            format!("{which} is forbidden: {why}")
        } else {
            format!("{which} {} is forbidden: {why}", quoted(name))
        };
        Self::new(403, "Forbidden", message).about(group, plural, name)
    }

    /// 403: the request is not for this listener, whatever it asks for.
    pub fn not_for_this_listener(why: impl Into<String>) -> Self {
        let mut status = Self::new(403, "Forbidden", why);
        status.details = Some(Box::default());
        status
    }

    /// 401: nobody knows who asks.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 400: the request says nothing that could be done.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 405: the resource has no such verb.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        let mut status = Self::new(405, "MethodNotAllowed", message);
        status.details = Some(Box::default());
        status
    }

    /// 406: no answer has a media type that the request accepts.
    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", accepted.join(", "));
        Self::new(406, "NotAcceptable", message)
    }

    /// 410: that resource version is older than what is remembered.
    pub fn resource_expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request entity is too large: limit is {limit}");
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 415: the body has a media type that is not read here.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 415: a patch has a media type that none of the kind has. kube-apiserver does not say which there are.
    pub fn unsupported_patch() -> Self {
        let mut status = Self::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
        status.details = Some(Box::default());
        status
    }

    /// 413: a JSON patch has too many operations.
    pub fn too_many_operations(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 422: a patch does not fit the object. kube-apiserver does not say why.
    pub fn unprocessable() -> Self {
        let message = "the server rejected our request due to an error in our request";
        let mut status = Self::new(422, "Invalid", message);
        status.details = Some(Box::default());
        status
    }

    /// 500 without a reason: kube-apiserver has no better answer.
    pub fn unexplained(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// 500: a fault of this program or of its storage.
    pub fn internal_error(why: impl fmt::Display) -> Self {
        let causes =
            vec![StatusCause { reason: String::new(), message: why.to_string(), field: String::new() }];
        Self::new(500, "InternalError", format!("Internal error occurred: {why}")).caused_by(causes)
    }

    /// 501: Kubernetes does this, and this program does not; `what` names it.
    pub fn not_implemented(what: impl fmt::Display) -> Self {
        let message = format!(
            "fleetmesh standalone does not serve {what}: docs/standalone.md lists what it serves; Kubernetes serves the rest"
        );
        Self::new(501, "NotImplemented", message)
    }

    /// 503: not now; the same request may succeed after `seconds`.
    pub fn service_unavailable(why: impl Into<String>, seconds: u32) -> Self {
        let mut status = Self::new(503, "ServiceUnavailable", why);
        let details = StatusDetails { retry_after_seconds: seconds, ..StatusDetails::default() };
        status.details = Some(Box::new(details));
        status
    }

    /// 504: it was not done in time, or nobody knows whether it was.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(504, "Timeout", message)
    }

    /// As the body of an answer.
    pub fn to_value(&self) -> Value {
        let Self { code, reason, message, details } = self;
        let mut value = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
        });
        if reason.is_empty()
            && let Some(members) = value.as_object_mut()
        {
            members.remove("reason");
        }
        if let Some(details) = details {
            value["details"] = details.to_value();
        }
        value["code"] = json!(code);
        value
    }

    /// The body that answers a deletion that left nothing of the object.
    pub fn deleted(group: &str, plural: &str, name: &str, uid: &str) -> Value {
        let details = StatusDetails {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: plural.to_owned(),
            uid: uid.to_owned(),
            ..StatusDetails::default()
        };
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": details.to_value(),
        })
    }
}

impl StatusDetails {
    fn to_value(&self) -> Value {
        let Self { name, group, kind, uid, causes, retry_after_seconds } = self;
        let mut value = Map::new();
        for (member, text) in [("name", name), ("group", group), ("kind", kind), ("uid", uid)] {
            if !text.is_empty() {
                value.insert(member.into(), text.as_str().into());
            }
        }
        if !causes.is_empty() {
            value.insert("causes".into(), causes.iter().map(StatusCause::to_value).collect());
        }
        if *retry_after_seconds > 0 {
            value.insert("retryAfterSeconds".into(), (*retry_after_seconds).into());
        }
        value.into()
    }
}

impl StatusCause {
    fn to_value(&self) -> Value {
        let mut value = Map::new();
        for (member, text) in [("reason", &self.reason), ("message", &self.message), ("field", &self.field)] {
            if !text.is_empty() {
                value.insert(member.into(), text.as_str().into());
            }
        }
        value.into()
    }
}
