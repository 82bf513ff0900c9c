//! A proxy of ours between the control plane and moto, which does what moto cannot be made to: throttle, in the words
//! that AWS's service uses, and go away and come back with what it knew. It is a stand-in for the network and for AWS's
//! front, for nothing else.

use std::sync::{Arc, Mutex};

use fleetmesh_testbed::front;
use http::StatusCode;

/// What the proxy does with requests.
#[derive(Clone, Debug)]
pub enum CloudMapManner {
    /// They go to this endpoint; when it does not answer, the proxy answers 502.
    Forward(String),
    /// They are too many.
    Throttle,
}

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The operation: `DiscoverInstances`.
    pub operation: String,
    pub status: StatusCode,
}

struct CloudMapState {
    manner: CloudMapManner,
    answered: Vec<Answered>,
}

pub struct CloudMapFront {
    pub url: String,
    state: Arc<Mutex<CloudMapState>>,
    _front: front::Front,
}

impl CloudMapFront {
    pub async fn start(manner: CloudMapManner) -> Self {
        let state = Arc::new(Mutex::new(CloudMapState { manner, answered: Vec::new() }));
        let shared = Arc::clone(&state);
        let front = front::Front::start(move |asked, way| {
            let state = Arc::clone(&shared);
            async move {
                let target = asked.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
                let operation = target.and_then(|target| target.split('.').next_back());
                let operation = operation.unwrap_or_default().to_owned();
                let manner = state.lock().unwrap().manner.clone();
                let answer = match manner {
                    CloudMapManner::Throttle => throttled(),
                    CloudMapManner::Forward(upstream) => way.forward(&upstream, asked).await,
                };
                state.lock().unwrap().answered.push(Answered { operation, status: answer.status() });
                Some(answer)
            }
        });
        let front = front.await.unwrap();
        Self { url: front.url.clone(), state, _front: front }
    }

    /// Changes what the proxy does, and forgets what it answered.
    pub fn set(&self, manner: CloudMapManner) {
        *self.state.lock().unwrap() = CloudMapState { manner, answered: Vec::new() };
    }

    /// What it answered since it does what it does, in order.
    pub fn answered(&self) -> Vec<Answered> {
        self.state.lock().unwrap().answered.clone()
    }
}

fn throttled() -> front::FrontAnswer {
    let body = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
    let mut answer = front::refusal(StatusCode::BAD_REQUEST, body);
    answer.headers_mut().insert("content-type", "application/x-amz-json-1.1".parse().unwrap());
    answer
}
