//! What a fleet's owner has around a canary: webhooks, and a Prometheus. One small server of ours stands for both, because
//! what they say is up to the test: each webhook is a path that answers with a status, and `/api/v1/query` answers in the
//! words of Prometheus' HTTP API. It says nothing about a real Prometheus beyond that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fleetmesh_testbed::front::{Asked, Front, FrontAnswer, refusal};
use fleetmesh_testbed::wait;
use http::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::bed::SOON;

/// What Prometheus does.
#[derive(Clone, Copy, Debug)]
pub enum UserPrometheus {
    /// The connection is cut: it is down.
    Down,
    /// The query gives no series.
    Empty,
    /// The query gives one series with this value.
    Gives(f64),
}

/// Webhooks and Prometheus. A webhook that nothing was said about agrees.
pub struct CanaryUser {
    front: Front,
    state: Arc<Mutex<UserState>>,
}

struct UserState {
    prometheus: UserPrometheus,
    webhooks: BTreeMap<String, (u16, &'static str)>,
    asked: Vec<(String, Value)>,
}

impl CanaryUser {
    pub async fn start() -> Self {
        let state =
            UserState { prometheus: UserPrometheus::Down, webhooks: BTreeMap::new(), asked: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let front = Front::start(move |asked, _| {
            let answer = shared.lock().unwrap().answer(&asked);
            async move { answer }
        });
        Self { front: front.await.unwrap(), state }
    }

    /// The address.
    pub fn url(&self) -> &str {
        &self.front.url
    }

    /// The providers `user`, for namespaces with this label.
    pub fn providers(&self, label: (&str, &str)) -> Value {
        let provider = |kind: &str, mut spec: Value| {
            spec["address"] = json!(self.url());
            spec["allowedNamespaces"] =
                json!({ "from": "Selector", "selector": { "matchLabels": { (label.0): label.1 } } });
            let metadata = json!({ "name": "user" });
            json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec })
        };
        let items = [
            provider("MetricProvider", json!({ "type": "Prometheus" })),
            provider("WebhookProvider", json!({ "allowPath": true })),
        ];
        json!({ "apiVersion": "v1", "kind": "List", "items": items })
    }

    /// The webhook of a type, as a Route names it.
    pub fn webhook(kind: &str) -> Value {
        json!({ "type": kind, "provider": "user", "path": format!("/{kind}"), "timeout": "2s" })
    }

    /// The Prometheus, as a Route names it.
    pub fn source(query: &str) -> Value {
        json!({ "prometheus": { "provider": "user", "query": query } })
    }

    /// What the webhook of a type answers from now on.
    pub fn answers(&self, kind: &str, status: u16, words: &'static str) {
        self.state.lock().unwrap().webhooks.insert(kind.to_owned(), (status, words));
    }

    /// What Prometheus does from now on.
    pub fn prometheus(&self, prometheus: UserPrometheus) {
        self.state.lock().unwrap().prometheus = prometheus;
    }

    /// The bodies that the webhook of a type got, call by call; for `/api/v1/query` the queries.
    pub fn asked(&self, kind: &str) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        state.asked.iter().filter(|(path, _)| path == kind).map(|(_, body)| body.clone()).collect()
    }

    /// Awaits that a webhook was asked `times` more.
    pub async fn is_asked_again(&self, kind: &str, times: usize) {
        let before = self.asked(kind).len();
        wait::until(&format!("{kind} is asked again"), SOON, async || {
            Ok((self.asked(kind).len() >= before + times).then_some(()))
        })
        .await
        .unwrap();
    }
}

impl UserState {
    fn answer(&mut self, asked: &Asked) -> Option<FrontAnswer> {
        let path = asked.uri().path().trim_start_matches('/').to_owned();
        if path == "api/v1/query" {
            self.asked.push((path, json!(asked.uri().query())));
            return self.query();
        }
        self.asked.push((path.clone(), serde_json::from_slice(asked.body()).unwrap_or_default()));
        let (status, words) = self.webhooks.get(&path).copied().unwrap_or((200, ""));
        Some(refusal(StatusCode::from_u16(status).ok()?, words))
    }

    fn query(&self) -> Option<FrontAnswer> {
        let result = match self.prometheus {
            UserPrometheus::Down => return None,
            UserPrometheus::Empty => json!([]),
            UserPrometheus::Gives(value) => {
                json!([{ "metric": {}, "value": [1_435_781_451.781, value.to_string()] }])
            }
        };
        let data = json!({ "resultType": "vector", "result": result });
        Some(FrontAnswer::new(Bytes::from(json!({ "status": "success", "data": data }).to_string())))
    }
}
