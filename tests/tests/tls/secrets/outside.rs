//! Everybody whom the operator and the control plane ask, behind one address: AWS (moto), the agent that gives
//! credentials, a Prometheus, webhooks. It writes down what it was asked, so that a test knows that a secret was used.

use std::sync::{Arc, Mutex};

use fleetmesh_testbed::front::{Asked, Front, FrontAnswer, Upstream, refusal};
use http::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};

/// What is said from now on.
#[derive(Default)]
struct OutsideState {
    moto: String,
    credentials: Value,
    /// The action of AWS that is refused.
    refused: Option<&'static str>,
    webhook: (u16, bool),
    prometheus: u16,
    /// Everything that was asked: the target, headers and body of each request, and the answers of STS.
    asked: String,
}

/// The server, which ends when dropped.
pub struct Outside {
    front: Front,
    state: Arc<Mutex<OutsideState>>,
}

impl Outside {
    /// In front of `moto`; the agent gives `credentials`.
    pub async fn start(moto: &str, credentials: Value) -> Self {
        let state = OutsideState {
            moto: moto.to_owned(),
            credentials,
            webhook: (403, true),
            prometheus: 0,
            ..OutsideState::default()
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let front = Front::start(move |asked, way| answer(Arc::clone(&shared), asked, way)).await.unwrap();
        Self { front, state }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.front.url
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        self.front.url.trim_start_matches("http://")
    }

    /// From now on AWS refuses an action; none with `None`.
    pub fn refuses(&self, action: Option<&'static str>) {
        self.state.lock().unwrap().refused = action;
    }

    /// What webhooks answer from now on, and whether they say again how they were called.
    pub fn webhooks(&self, status: u16, echo: bool) {
        self.state.lock().unwrap().webhook = (status, echo);
    }

    /// The status of Prometheus' answers from now on; with 0 the connection is cut.
    pub fn prometheus(&self, status: u16) {
        self.state.lock().unwrap().prometheus = status;
    }

    /// Everything that was asked so far.
    pub fn asked(&self) -> String {
        self.state.lock().unwrap().asked.clone()
    }
}

async fn answer(state: Arc<Mutex<OutsideState>>, asked: Asked, way: Upstream) -> Option<FrontAnswer> {
    let target = asked.uri().to_string();
    let body = String::from_utf8_lossy(asked.body()).into_owned();
    let moto = {
        let mut state = state.lock().unwrap();
        state.asked.push_str(&format!("{target}\n{:?}\n{body}\n", asked.headers()));
        match target.split(['/', '?']).nth(1).unwrap_or_default() {
            "credentials" => return Some(FrontAnswer::new(Bytes::from(state.credentials.to_string()))),
            "hooks" => return state.webhook(&target),
            "prometheus" => return state.number(&target),
            _ => {}
        }
        if state.refused.is_some_and(|action| body.contains(&format!("Action={action}&"))) {
            let error = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
            return Some(refusal(StatusCode::FORBIDDEN, error));
        }
        state.moto.clone()
    };
    let answer = way.forward(&moto, asked).await;
    if body.contains("Action=AssumeRoleWithWebIdentity") {
        state.lock().unwrap().asked.push_str(&String::from_utf8_lossy(answer.body()));
    }
    Some(answer)
}

impl OutsideState {
    /// Many servers say in a refusal what they were asked for.
    fn webhook(&self, target: &str) -> Option<FrontAnswer> {
        let (status, echo) = self.webhook;
        let words = if echo { format!("Cannot POST {target}") } else { String::new() };
        Some(refusal(StatusCode::from_u16(status).ok()?, &words))
    }

    fn number(&self, target: &str) -> Option<FrontAnswer> {
        let status = StatusCode::from_u16(self.prometheus).ok()?;
        let body = match self.prometheus {
            200 => json!({ "status": "success", "data": {
                "resultType": "vector", "result": [{ "metric": {}, "value": [1_435_781_451.781, "1"] }] } }),
            _ => {
                json!({ "status": "error", "errorType": "bad_data", "error": format!("cannot answer {target}") })
            }
        };
        Some(refusal(status, &body.to_string()))
    }
}
