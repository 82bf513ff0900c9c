//! A refusal as whoever asked gets it: in the error shape of the App Mesh API's model, which the endpoints beside that API use too.

use axum::body::Body;
use axum::response::IntoResponse;
use fleetmesh_mesh::refusal::Refusal;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

/// A refused request, to be answered.
#[derive(Clone, Debug)]
pub struct RefusalResponse(pub Refusal);

impl From<Refusal> for RefusalResponse {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for RefusalResponse {
    fn into_response(self) -> Response<Body> {
        let Self(Refusal { class, message }) = self;
        let status = StatusCode::from_u16(class.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json_response(status, &json!({ "message": message }));
        response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(class.shape()));
        response
    }
}

/// An answer with this body.
pub fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
