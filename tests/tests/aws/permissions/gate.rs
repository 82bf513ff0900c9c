//! A stand-in for IAM in front of App Mesh: moto has no App Mesh that the operator can use, and our control plane takes
//! every signature. It refuses each operation that a policy does not name, in AWS's words; resources and conditions it does
//! not look at. What is not App Mesh's does not exist, as at AWS, so that instances count without proxies.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use fleetmesh_model::Kind;
use fleetmesh_testbed::front::{Asked, Front, FrontAnswer, Upstream, refusal};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::actions;

#[derive(Default)]
struct GateState {
    upstream: String,
    allowed: BTreeSet<String>,
}

/// The gate on a free port, which ends when dropped.
pub struct Gate {
    state: Arc<Mutex<GateState>>,
    front: Front,
}

impl Gate {
    pub async fn start(policy: &Value) -> Self {
        let state = Arc::new(Mutex::new(GateState { upstream: String::new(), allowed: actions(policy) }));
        let shared = Arc::clone(&state);
        let front = Front::start(move |asked, way| answer(Arc::clone(&shared), asked, way)).await.unwrap();
        Self { state, front }
    }

    /// Puts it in front of a control plane; gives its own address.
    pub fn before(&self, control_plane: &str) -> String {
        control_plane.clone_into(&mut self.state.lock().unwrap().upstream);
        self.front.url.clone()
    }

    /// From now on these actions are allowed.
    pub fn allow(&self, actions: &BTreeSet<String>) {
        self.state.lock().unwrap().allowed.clone_from(actions);
    }
}

async fn answer(state: Arc<Mutex<GateState>>, asked: Asked, way: Upstream) -> Option<FrontAnswer> {
    let Some(operation) = operation(asked.method(), asked.uri().path()) else {
        return Some(refusal(StatusCode::FORBIDDEN, "<UnknownOperationException/>"));
    };
    let action = format!("appmesh:{operation}");
    let upstream = {
        let state = state.lock().unwrap();
        state.allowed.contains(&action).then(|| state.upstream.clone())
    };
    let Some(upstream) = upstream else { return Some(refused(&action, asked.uri().path())) };
    Some(way.forward(&upstream, asked).await)
}

fn refused(action: &str, path: &str) -> FrontAnswer {
    let words = format!(
        "User: operator is not authorized to perform: {action} on resource: {path} because no identity-based policy allows the {action} action"
    );
    let mut answer = refusal(StatusCode::FORBIDDEN, &json!({ "message": words }).to_string());
    answer.headers_mut().insert("x-amzn-errortype", "AccessDeniedException".parse().unwrap());
    answer
}

/// The operation of App Mesh's API that a request is; `None` when it is none that the operator uses.
fn operation(method: &Method, path: &str) -> Option<String> {
    let segments: Vec<&str> = path.strip_prefix("/v20190125/")?.split('/').collect();
    match segments[..] {
        ["tags"] => return Some("ListTagsForResource".to_owned()),
        ["tag"] => return Some("TagResource".to_owned()),
        ["untag"] => return Some("UntagResource".to_owned()),
        _ => {}
    }
    let collection = |segment: &&str| kind(segment);
    if let Some(kind) = segments.last().and_then(collection) {
        return (method == Method::PUT).then(|| format!("Create{kind}"));
    }
    let kind = segments.iter().rev().nth(1).and_then(collection)?;
    let verb = [(Method::GET, "Describe"), (Method::PUT, "Update"), (Method::DELETE, "Delete")];
    verb.into_iter().find(|(known, _)| known == method).map(|(_, verb)| format!("{verb}{kind}"))
}

fn kind(collection: &str) -> Option<&'static str> {
    let mut kinds = Kind::ALL.into_iter().map(Kind::info);
    kinds.find(|kind| kind.collection == collection).map(|kind| kind.name)
}
