//! The responses of the API: records and references to them as JSON, rejections in the model's error shapes. Pure, except for the
//! request id, which the caller makes.

use std::sync::Arc;

use axum::body::Body;
use axum::response::IntoResponse;
use fleetmesh_api::commits::MAX_PARTS;
use fleetmesh_api::headers;
use fleetmesh_api::unserved::path;
use fleetmesh_mesh::cloud_map::Discovered;
use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::refusal::{Class, Refusal};
use fleetmesh_mesh::snapshot::{not_in_force, unavailable};
use fleetmesh_mesh::view::{MeshView, Record};
use fleetmesh_model::ResourceId;
use http::{HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::response::{RefusalResponse, json_response};

/// `status.status` of a resource that is served.
const ACTIVE: &str = "ACTIVE";
/// `status.status` of a resource of which something is not served at all ([`unavailable`]).
const INACTIVE: &str = "INACTIVE";
/// `status.status` in the answer to a deletion.
pub const DELETED: &str = "DELETED";

/// What a request that succeeded is answered.
#[derive(Debug)]
pub struct Answered {
    body: Value,
    /// What of the resource's spec is not in force.
    unserved: Vec<String>,
}

impl Answered {
    /// The body.
    pub fn into_body(self) -> Value {
        self.body
    }
}

impl From<Value> for Answered {
    fn from(body: Value) -> Self {
        Self { body, unserved: Vec::new() }
    }
}

/// `record`, which is in `view`, as Create, Describe and Update answer it. Of what is `discovered`, what Cloud Map says is not looked at.
pub fn kept(
    record: &Arc<Record>,
    view: Option<&MeshView>,
    discovered: &Discovered,
    identity: &Identity,
) -> Result<Answered, Refusal> {
    let discovered = discovered.authorities_alone();
    let status = if unavailable(&discovered, &record.spec).is_empty() { ACTIVE } else { INACTIVE };
    let unserved = view.map(|view| not_in_force(view, &discovered, record)).unwrap_or_default();
    Ok(Answered { body: data(record, status, identity)?, unserved })
}

/// A resource as Create, Describe, Update and Delete answer it (`MeshData`, `RouteData`, …).
pub fn data(record: &Record, status: &str, identity: &Identity) -> Result<Value, Refusal> {
    let mut data = names(&record.id);
    let spec = serde_json::to_value(&record.spec).map_err(|error| {
        Refusal::new(
            Class::InternalServerError,
            format!("the spec of {} cannot be written: {error}", record.id),
        )
    })?;
    data.insert("spec".into(), spec);
    let mut metadata = shared_metadata(record, identity);
    metadata.insert("uid".into(), json!(record.uid));
    data.insert("metadata".into(), Value::Object(metadata));
    data.insert("status".into(), json!({ "status": status }));
    Ok(Value::Object(data))
}

/// A resource as List answers it (`MeshRef`, `RouteRef`, …).
pub fn reference(record: &Record, identity: &Identity) -> Value {
    let mut reference = names(&record.id);
    reference.append(&mut shared_metadata(record, identity));
    Value::Object(reference)
}

fn names(id: &ResourceId) -> Map<String, Value> {
    id.lineage().map(|(kind, name)| (kind.info().member.to_owned(), json!(name))).collect()
}

fn shared_metadata(record: &Record, identity: &Identity) -> Map<String, Value> {
    let members = [
        ("arn", json!(record.arn)),
        ("createdAt", epoch_seconds(record.created_at)),
        ("lastUpdatedAt", epoch_seconds(record.last_updated_at)),
        ("meshOwner", json!(identity.digits(record.id.mesh_name().owner()))),
        ("resourceOwner", json!(identity.digits(record.owner))),
        ("version", json!(record.version)),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A time as rest-json writes it: seconds since the epoch, with milliseconds as the fraction.
fn epoch_seconds(time: Timestamp) -> Value {
    let millis = time.as_millisecond();
    // Exact: milliseconds of any year that jiff knows are far below 2^53.
    #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
    let seconds = millis as f64 / 1000.0;
    json!(seconds)
}

/// The HTTP answer to a request of the App Mesh API: its body, or its refusal.
pub fn response(outcome: Result<Answered, Refusal>, request_id: &str) -> Response<Body> {
    let response = match outcome {
        Ok(Answered { body, unserved }) => with_unserved(json_response(StatusCode::OK, &body), &unserved),
        Err(refusal) => RefusalResponse(refusal).into_response(),
    };
    identified(response, request_id)
}

/// `response` with the paths of what is not in force.
fn with_unserved(mut response: Response<Body>, unserved: &[String]) -> Response<Body> {
    let paths: Vec<&str> = unserved.iter().map(|entry| path(entry)).collect();
    if let (false, Ok(paths)) = (paths.is_empty(), HeaderValue::from_str(&paths.join(", "))) {
        response.headers_mut().insert(headers::UNSERVED, paths);
    }
    response
}

/// A refusal that is no error shape of the model: one that all of AWS's services have in common.
pub fn refused(status: StatusCode, shape: &'static str, body: &Value, request_id: &str) -> Response<Body> {
    let mut response = json_response(status, body);
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(shape));
    identified(response, request_id)
}

/// `response` with what every answer has: the id of its request, and that this endpoint takes commits.
pub fn identified(mut response: Response<Body>, request_id: &str) -> Response<Body> {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response.headers_mut().insert(headers::COMMITS, HeaderValue::from(MAX_PARTS));
    response
}
