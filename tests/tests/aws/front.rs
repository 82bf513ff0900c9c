//! A stand-in for what moto does not do. In front of it, it refuses an action as AWS would, or carries it out and loses
//! the reply; and it knows the client tokens of EC2, which moto ignores: a request that is repeated with its token gets
//! the answer that the first one got and is not carried out again, and another request with that token is refused, as
//! EC2's API reference says ("Ensuring idempotency"). Everything else goes to moto, and what was asked is written down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use fleetmesh_testbed::front::{self, Asked, FrontAnswer, Upstream, refusal};
use http::StatusCode;

/// What happens to an action.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// It is refused with this status and code.
    Refuses(u16, &'static str),
    /// It is carried out, and its reply is lost, this many times.
    LosesReply(u32),
    /// It finds no instance; for `DescribeInstances`.
    FindsNothing,
}

const NOTHING: &str =
    "<DescribeInstancesResponse><requestId>1</requestId><reservationSet/></DescribeInstancesResponse>";

/// A request, and how it ended.
#[derive(Clone, Debug)]
pub struct FrontCall {
    /// `CreateFleet`.
    pub action: String,
    /// Its body: a form of EC2's and IAM's Query protocol, or Cloud Map's JSON.
    pub body: String,
    /// Whether it was carried out, now or, by its token, before.
    pub done: bool,
    /// When it was answered.
    pub at: Instant,
}

impl FrontCall {
    /// Whether it is this action and names `id`.
    pub fn is(&self, action: &str, id: &str) -> bool {
        self.action == action && self.body.contains(id)
    }
}

#[derive(Default)]
struct FrontState {
    upstream: String,
    manners: BTreeMap<String, Manner>,
    calls: Vec<FrontCall>,
    /// The requests that were carried out with a client token, and their answers.
    tokens: BTreeMap<(String, String), (String, FrontAnswer)>,
}

/// The front on a free port, which ends when dropped.
pub struct AwsFront {
    state: Arc<Mutex<FrontState>>,
    front: front::Front,
}

impl AwsFront {
    pub async fn start() -> Self {
        let state = Arc::<Mutex<FrontState>>::default();
        let shared = Arc::clone(&state);
        let front = front::Front::start(move |asked, way| answer(Arc::clone(&shared), asked, way));
        Self { state, front: front.await.unwrap() }
    }

    /// Puts it in front of moto; gives its own address.
    pub fn before(&self, moto: &str) -> String {
        moto.clone_into(&mut self.state.lock().unwrap().upstream);
        self.front.url.clone()
    }

    /// From now on an action is met like this; as usual with `None`.
    pub fn meets(&self, action: &str, manner: Option<Manner>) {
        let mut state = self.state.lock().unwrap();
        match manner {
            Some(manner) => state.manners.insert(action.to_owned(), manner),
            None => state.manners.remove(action),
        };
    }

    /// How often an action was asked for.
    pub fn count(&self, action: &str) -> usize {
        self.state.lock().unwrap().calls.iter().filter(|call| call.action == action).count()
    }

    /// The first request of this action that names `id` and was carried out: its place in the order, and itself.
    pub fn done(&self, action: &str, id: &str) -> (usize, FrontCall) {
        let calls = self.calls();
        let found = calls.into_iter().enumerate().find(|(_, call)| call.done && call.is(action, id));
        found.unwrap_or_else(|| panic!("nobody asked for {action} of {id}"))
    }

    /// What was asked, in order.
    pub fn calls(&self) -> Vec<FrontCall> {
        self.state.lock().unwrap().calls.clone()
    }
}

/// What is asked for and how, as far as the front has to know.
struct FrontRequest {
    action: String,
    body: String,
    protocol: FrontProtocol,
}

#[derive(Clone, Copy, PartialEq)]
enum FrontProtocol {
    Ec2,
    Query,
    Json,
}

impl FrontRequest {
    fn of(asked: &Asked) -> Self {
        let body = String::from_utf8_lossy(asked.body()).into_owned();
        if let Some(target) = asked.headers().get("x-amz-target") {
            let action = target.to_str().unwrap().rsplit('.').next().unwrap_or_default().to_owned();
            return Self { action, body, protocol: FrontProtocol::Json };
        }
        let protocol =
            if body.contains("Version=2016-11-15") { FrontProtocol::Ec2 } else { FrontProtocol::Query };
        let action = parameter(&body, "Action").unwrap_or_default();
        Self { action, body, protocol }
    }

    /// The action and its client token, where the token makes it idempotent.
    fn token(&self) -> Option<(String, String)> {
        let token = parameter(&self.body, "ClientToken").filter(|_| self.protocol == FrontProtocol::Ec2)?;
        Some((self.action.clone(), token))
    }

    fn refused(&self, status: u16, code: &str) -> FrontAnswer {
        let error = format!("<Error><Code>{code}</Code><Message>{code} from the front</Message></Error>");
        let body = match self.protocol {
            FrontProtocol::Ec2 => {
                format!("<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>")
            }
            FrontProtocol::Query => format!("<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"),
            FrontProtocol::Json => format!(r#"{{"__type":"{code}","message":"{code} from the front"}}"#),
        };
        refusal(StatusCode::from_u16(status).unwrap(), &body)
    }
}

/// A parameter of a form; none of ours holds a character that a form escapes.
fn parameter(body: &str, name: &str) -> Option<String> {
    body.split('&').find_map(|pair| Some(pair.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

async fn answer(state: Arc<Mutex<FrontState>>, asked: Asked, way: Upstream) -> Option<FrontAnswer> {
    let request = FrontRequest::of(&asked);
    let (manner, known, upstream) = {
        let mut state = state.lock().unwrap();
        let manner = state.manners.get(&request.action).copied();
        if let Some(Manner::LosesReply(times)) = manner {
            state.manners.insert(request.action.clone(), Manner::LosesReply(times.saturating_sub(1)));
        }
        let known = request.token().and_then(|token| state.tokens.get(&token).cloned());
        (manner, known, state.upstream.clone())
    };
    let answer = match (manner, known) {
        (Some(Manner::Refuses(status, code)), _) => request.refused(status, code),
        (Some(Manner::FindsNothing), _) => FrontAnswer::new(NOTHING.into()),
        (_, Some((body, answer))) if body == request.body => answer,
        (_, Some(_)) => request.refused(400, "IdempotentParameterMismatch"),
        (_, None) => way.forward(&upstream, asked).await,
    };
    let done = answer.status().is_success();
    let mut state = state.lock().unwrap();
    if let Some(token) = request.token().filter(|_| done) {
        state.tokens.insert(token, (request.body.clone(), answer.clone()));
    }
    let FrontRequest { action, body, protocol: _ } = request;
    state.calls.push(FrontCall { action, body, done, at: Instant::now() });
    (!matches!(manner, Some(Manner::LosesReply(times)) if times > 0)).then_some(answer)
}
