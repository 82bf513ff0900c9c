//! Stand-ins for what of AWS cannot be had in a test: an App Mesh endpoint that does not report on proxies, in front of
//! a real control plane, and one that refuses every signature, in the words that AWS's service uses.

use fleetmesh_testbed::front::{self, Front, FrontAnswer};
use http::StatusCode;

/// App Mesh's API at `upstream`; anything else does not exist, as at AWS.
pub async fn app_mesh_only(upstream: String) -> Front {
    Front::start(move |asked, way| {
        let upstream = upstream.clone();
        async move {
            Some(match asked.uri().path().starts_with("/v20190125/") {
                true => way.forward(&upstream, asked).await,
                false => front::refusal(StatusCode::FORBIDDEN, "<UnknownOperationException/>"),
            })
        }
    })
    .await
    .unwrap()
}

/// Nobody is known.
pub async fn unknown_client() -> Front {
    Front::start(|_, _| async { Some(unrecognized()) }).await.unwrap()
}

fn unrecognized() -> FrontAnswer {
    let body = r#"{"message":"The security token included in the request is invalid."}"#;
    let mut answer = front::refusal(StatusCode::FORBIDDEN, body);
    answer.headers_mut().insert("x-amzn-errortype", "UnrecognizedClientException".parse().unwrap());
    answer
}
