//! Bodies in `application/vnd.kubernetes.protobuf`, which clients that are generated from Kubernetes' types send without a way
//! back to JSON: `kubectl create namespace`, `auth can-i`, each Secret of a Helm release.
//!
//! A body is the four bytes `k8s\0` and a message `Unknown` with the type and the bytes of the object's own message
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding>). [`decode`] gives the object as the API
//! server itself would write it in JSON: what Go's encoder omits is absent, and what it always writes is there. So everything
//! behind it knows JSON alone.

mod kinds;
mod members;
mod meta;
mod reviews;

use k8s_pb::apimachinery::pkg::runtime::Unknown;
use prost::Message as _;
use serde_json::Value;

use crate::body;

/// The media type of such a body.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What a body begins with.
const PREFIX: &[u8] = b"k8s\0";

/// What is wrong with a body, in kube-apiserver's words, except for [`Cause::Malformed`], whose detail is that of another decoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No byte at all.
    #[error("empty data")]
    Empty,
    /// It does not begin with `k8s\0`.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Prefix,
    /// Nothing follows the prefix.
    #[error("empty body")]
    NoMessage,
    /// The envelope or the object is no message of its type, or holds a value that JSON has no form for.
    #[error("{0}")]
    Malformed(String),
    /// No kind that is served here has such a message.
    #[error(
        "no kind {kind:?} is registered for version {api_version:?} in scheme \"pkg/runtime/scheme.go:111\""
    )]
    Unregistered {
        /// As in `apiVersion`.
        api_version: String,
        /// As in `kind`.
        kind: String,
    },
    /// It is of another kind than the request is about.
    #[error("converting ({from}) to ({to}): unknown conversion")]
    OtherKind {
        /// The type that it is of, as Go names it.
        from: String,
        /// The type that it would have to be.
        to: String,
    },
}

impl From<prost::DecodeError> for Cause {
    fn from(error: prost::DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Why a body is not the object that a request is about. Its text is what the API server answers in a `BadRequest` to options;
/// for objects see [`Error::message`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Error {
    /// What is wrong.
    pub cause: Cause,
    /// The version, without its group, and the kind that the body says it is of, if it could be read so far.
    pub read_as: Option<(String, String)>,
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self { cause, read_as: None }
    }
}

impl Error {
    /// The message of a `BadRequest` to a request with `sent` for an object of `kind`.
    pub fn message(&self, kind: &str, sent: &[u8]) -> String {
        let cause = &self.cause;
        match &self.read_as {
            Some((version, read)) => {
                format!("{read} in version {version:?} cannot be handled as a {kind}: {cause}")
            }
            None => body::unrecognized(kind, cause, sent),
        }
    }
}

/// The object in `body`, with `apiVersion` and `kind`, for a request that is about the kind `expected.1` of the `apiVersion`
/// `expected.0`. What the envelope leaves out of these two is taken from there. An object of the same kind in another version
/// is given as it is: the API server compares versions later.
///
/// # Errors
/// `body` is no such message, or one of a kind that is not served here or not asked for.
pub fn decode(body: &[u8], expected: (&str, &str)) -> Result<Value, Error> {
    if body.is_empty() {
        return Err(Cause::Empty.into());
    }
    let message = body.strip_prefix(PREFIX).ok_or(Cause::Prefix)?;
    if message.is_empty() {
        return Err(Cause::NoMessage.into());
    }
    let unknown = Unknown::decode(message).map_err(Cause::from)?;
    let written = unknown.type_meta.unwrap_or_default();
    let or = |text: Option<String>, default: &str| {
        text.filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned())
    };
    let (api_version, kind) = (or(written.api_version, expected.0), or(written.kind, expected.1));
    let raw = unknown.raw.unwrap_or_default();
    let object = kinds::decode(&api_version, &kind, &raw).and_then(|object| {
        if kind == expected.1 { Ok(object) } else { Err(other_kind((&api_version, &kind), expected)) }
    });
    let version = api_version.rsplit('/').next().unwrap_or_default();
    let mut object =
        object.map_err(|cause| Error { cause, read_as: Some((version.to_owned(), kind.clone())) })?;
    if let Some(members) = object.as_object_mut() {
        members.insert("apiVersion".to_owned(), api_version.into());
        members.insert("kind".to_owned(), kind.into());
    }
    Ok(object)
}

/// What is wrong with an object of the type `read`, an `apiVersion` and a kind, in a request that is about `expected`; nothing when
/// both are of one kind. The API server compares versions later.
pub(crate) fn mismatch(read: (&str, &str), expected: (&str, &str)) -> Option<Error> {
    let cause = if !kinds::is_known(read.0, read.1) {
        Cause::Unregistered { api_version: read.0.to_owned(), kind: read.1.to_owned() }
    } else if read.1 != expected.1 {
        other_kind(read, expected)
    } else {
        return None;
    };
    let version = read.0.rsplit('/').next().unwrap_or_default();
    Some(Error { cause, read_as: Some((version.to_owned(), read.1.to_owned())) })
}

/// Objects are converted to the API server's own types, which it names by their group; options have none.
fn other_kind(read: (&str, &str), expected: (&str, &str)) -> Cause {
    let version = read.0.rsplit('/').next().unwrap_or_default();
    let from = format!("{version}.{}", read.1);
    if kinds::is_options(expected.1) {
        if !kinds::is_options(read.1) {
            return Cause::Unregistered { api_version: read.0.to_owned(), kind: read.1.to_owned() };
        }
        return Cause::OtherKind { from, to: format!("v1.{}", expected.1) };
    }
    let group =
        expected.0.split_once('/').map_or("core", |(group, _)| group.split('.').next().unwrap_or_default());
    Cause::OtherKind { from, to: format!("{group}.{}", expected.1) }
}

#[cfg(test)]
mod tests;
