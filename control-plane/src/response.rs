//! A rejection as a response: in the error shape of the App Mesh API's model, which the endpoints beside that API use too.

use axum::body::Body;
use axum::response::IntoResponse;
use fleetmesh_api::error::ErrorBody;
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
        let mut response = json_response(status, &json!(ErrorBody { message }));
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

#[cfg(test)]
mod tests {
    use fleetmesh_api::examples;
    use http_body_util::BodyExt;

    use super::*;

    /// The very bytes that the operator's tests read.
    #[tokio::test]
    async fn the_contract_s_example_is_answered() {
        let refusal = Refusal::not_found("the mesh \"apps\" does not exist");
        let answer = RefusalResponse(refusal).into_response();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body, examples::ERROR);
    }
}
