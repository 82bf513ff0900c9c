//! Whether the App Mesh endpoint answers. Without resources nobody else would find out: it is asked for a mesh that need not exist
//! until it gives an answer of App Mesh's, and what it gives instead is in the log and on `/readyz`. Afterwards the conditions of
//! resources say what becomes of their calls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fleetmesh_core::{Failure, FailureClass};
use fleetmesh_model::ResourceId;
use tracing::{info, warn};

use crate::cloud::AppMeshClient;

/// The mesh that is asked for. That there is none is an answer, and so is that the operator may not know.
const ASKED_FOR: &str = "fleetmesh-operator-looks-for-the-endpoint";
/// The pause before the endpoint is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is known of the endpoint. Clones are the same.
#[derive(Clone, Debug)]
pub struct EndpointAnswer(Arc<Mutex<Option<String>>>);

impl Default for EndpointAnswer {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some("the App Mesh endpoint has not answered yet".to_owned()))))
    }
}

impl EndpointAnswer {
    /// Why the endpoint is of no use yet; `None` once it answered.
    pub fn missing(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, missing: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = missing;
    }

    /// Asks the endpoint until it answers. Then, or when it answered before, it waits for ever.
    pub async fn look(self, app_mesh: Arc<AppMeshClient>) {
        let mut pause = PAUSE;
        while self.missing().is_some() {
            match app_mesh.describe(&ResourceId::mesh(ASKED_FOR)).await.err().filter(is_no_answer) {
                None => {
                    info!("the App Mesh endpoint answers");
                    self.set(None);
                }
                Some(failure) => {
                    let words = failure.in_words(fleetmesh_core::failure::Callee::AppMesh);
                    warn!("the App Mesh endpoint does not answer: {words}");
                    self.set(Some(format!("the App Mesh endpoint does not answer: {words}")));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        std::future::pending().await
    }
}

/// Whether nobody answered who serves App Mesh's API to anybody.
fn is_no_answer(failure: &Failure) -> bool {
    match failure.class {
        FailureClass::Unreachable
        | FailureClass::Ended
        | FailureClass::Malformed
        | FailureClass::Server
        | FailureClass::Credentials => true,
        FailureClass::Throttled
        | FailureClass::Conflict
        | FailureClass::NotFound
        | FailureClass::Unsettled
        | FailureClass::InUse
        | FailureClass::Denied
        | FailureClass::Limit
        | FailureClass::Invalid => false,
    }
}
