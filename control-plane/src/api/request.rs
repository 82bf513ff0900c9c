//! The bodies of requests: reads them within a bound and takes them apart by member. Unknown members are rejected.

use axum::body::{Body, Bytes};
use fleetmesh_mesh::refusal::Refusal;
use http_body_util::{BodyExt, Limited};
use serde_json::{Map, Value};

/// The largest body, in bytes. The largest spec that the bounds allow is smaller.
pub const LARGEST: usize = 2 * 1024 * 1024;

/// All of `body`.
///
/// # Errors
/// A bad request when it is too large or was cut off.
pub async fn arrived(body: Body) -> Result<Bytes, Refusal> {
    let collected = Limited::new(body, LARGEST).collect().await.map_err(|error| {
        let message = format!("the body was cut off or is larger than {LARGEST} bytes: {error}");
        Refusal::bad_request(message)
    })?;
    Ok(collected.to_bytes())
}

/// A request's body: a JSON object whose members are taken one by one.
#[derive(Debug)]
pub struct Members(Map<String, Value>);

impl Members {
    /// Reads `body`.
    ///
    /// # Errors
    /// A bad request when it is no JSON object.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        let body = serde_json::from_slice(body);
        Self::of(body.map_err(|error| Refusal::bad_request(format!("the body is not JSON: {error}")))?)
    }

    /// Those of a body that was read.
    ///
    /// # Errors
    /// As of [`Self::read`].
    pub fn of(body: Value) -> Result<Self, Refusal> {
        match body {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(Refusal::bad_request("the body is not a JSON object")),
        }
    }

    /// Takes the member `name`; null counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// Takes the string member `name`.
    ///
    /// # Errors
    /// A bad request when it is something else.
    pub fn take_string(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Refusal::bad_request(format!("{name}: {other} is not a string"))),
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// A bad request that names a member nobody took: ignoring it would hide a misspelling.
    pub fn finish(self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                Err(Refusal::bad_request(format!("{name}: there is no such member; check its name")))
            }
        }
    }
}
