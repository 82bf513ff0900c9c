//! AWS's manners in front of moto, which has few of them. What AWS refuses of a launch is refused here (`launch`): pools
//! that are there twice, types of another architecture than the AMI, profiles that are missing or too new; and zones may be out of
//! a type (`account`). It refuses an action as AWS would, or carries it out and loses the reply; and it knows the client tokens of
//! EC2, which moto ignores: a request that is repeated with its token gets the answer that the first one got and is not carried out
//! again, and another request with that token is refused, as EC2's API reference says ("Ensuring idempotency"). Everything else goes
//! to moto, and what was asked is written down.

mod account;
mod launch;
mod request;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Instant;

use fleetmesh_testbed::front::{self, Asked, FrontAnswer, Upstream};
use http::HeaderValue;
use tokio::runtime::{Builder, Runtime};

use account::{AwsManners, DescribedAccount};
use launch::{LaunchRequest, LaunchVerdict, PoolError, judge};
use request::{FrontRequest, add_errors, nothing_launched};

/// What happens to an action.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// It is refused with this status and code.
    Refuses(u16, &'static str),
    /// It is carried out, and its reply is lost, this many times.
    LosesReply(u32),
    /// It finds no instance; for `DescribeInstances`.
    FindsNothing,
    /// What was terminated ended for this reason, in what EC2 shows; for `DescribeInstances`.
    EndedBy(&'static str),
    /// It launches nothing, and has this code among its errors; for `CreateFleet`.
    GivesError(&'static str),
    /// It launches everything, and has this code among its errors all the same; for `CreateFleet`.
    AddsError(&'static str),
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
    of_aws: AwsManners,
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
        // A bed that tests share outlives the runtime of the test that started it.
        static RUNTIME: LazyLock<Runtime> =
            LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
        let state = Arc::<Mutex<FrontState>>::default();
        let shared = Arc::clone(&state);
        let front = front::Front::start(move |asked, way| answer(Arc::clone(&shared), asked, way));
        Self { state, front: RUNTIME.spawn(front).await.unwrap().unwrap() }
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

    /// A zone has so many instances of a type left; as many as anybody wants with `None`.
    pub fn has(&self, instance_type: &str, zone: &str, count: Option<i32>) {
        let pool = (instance_type.to_owned(), zone.to_owned());
        let capacity = &mut self.state.lock().unwrap().of_aws.capacity;
        match count {
            Some(count) => capacity.insert(pool, count),
            None => capacity.remove(&pool),
        };
    }

    /// Somebody protects an instance from termination, or takes that back.
    pub fn protect(&self, id: &str, on: bool) {
        let protected = &mut self.state.lock().unwrap().of_aws.protected;
        protected.retain(|one| one != id);
        protected.extend(on.then(|| id.to_owned()));
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
        (Some(Manner::EndedBy(code)), _) => ended_by(code, way.forward(&upstream, asked).await),
        (manner, None) => with_manners(&state, &request, manner, asked, &way, &upstream).await,
    };
    let done = answer.status().is_success();
    let mut state = state.lock().unwrap();
    if let Some(token) = request.token().filter(|_| done) {
        state.tokens.insert(token, (request.body.clone(), answer.clone()));
    }
    let FrontRequest { action, body, .. } = request;
    state.calls.push(FrontCall { action, body, done, at: Instant::now() });
    (!matches!(manner, Some(Manner::LosesReply(times)) if times > 0)).then_some(answer)
}

/// The answer to a request that has no token of an earlier one, as AWS would give it.
async fn with_manners(
    state: &Mutex<FrontState>,
    request: &FrontRequest,
    manner: Option<Manner>,
    asked: Asked,
    way: &Upstream,
    upstream: &str,
) -> FrontAnswer {
    let of_aws = state.lock().unwrap().of_aws.clone();
    if let Some(id) = request.terminates(&of_aws.protected) {
        let words = format!(
            "The instance '{id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."
        );
        return request.refused_with(400, "OperationNotPermitted", &words);
    }
    let Some(launch) = request.launch() else { return way.forward(upstream, asked).await };
    let reported =
        |code: &str| PoolError { code: code.to_owned(), message: format!("{code} from the front"), pool: 0 };
    if let Some(Manner::GivesError(code)) = manner {
        return add_errors(nothing_launched(), &launch, &[reported(code)]);
    }
    let described = http::Request::get("/fleetmesh/account").body(Default::default()).unwrap();
    let described = way.forward(upstream, described).await;
    let account = DescribedAccount::read(&String::from_utf8_lossy(described.body()));
    match judge(&launch, &account, &of_aws) {
        LaunchVerdict::Refused(code, words) => request.refused_with(400, code, &words),
        LaunchVerdict::Placed(placed, mut errors) => {
            if let Some(Manner::AddsError(code)) = manner {
                errors.push(reported(code));
            }
            let answer = place(state, &launch, &account, placed, (asked, way, upstream)).await;
            add_errors(answer, &launch, &errors)
        }
    }
}

/// moto gives every instance that ended the reason of one that somebody terminated.
fn ended_by(code: &str, answer: FrontAnswer) -> FrontAnswer {
    let text = String::from_utf8_lossy(answer.body()).replace("Client.UserInitiatedShutdown", code);
    FrontAnswer::new(text.into())
}

/// Has moto launch so many instances by each override.
async fn place(
    state: &Mutex<FrontState>,
    launch: &LaunchRequest,
    account: &DescribedAccount,
    placed: BTreeMap<usize, i32>,
    (mut asked, way, upstream): (Asked, &Upstream, &str),
) -> FrontAnswer {
    if placed.is_empty() {
        return nothing_launched();
    }
    let header: Vec<String> = placed.iter().map(|(pool, count)| format!("{pool}={count}")).collect();
    asked.headers_mut().insert("x-fleetmesh-placement", HeaderValue::from_str(&header.join(",")).unwrap());
    let answer = way.forward(upstream, asked).await;
    let capacity = &mut state.lock().unwrap().of_aws.capacity;
    for (pool, count) in placed {
        let (type_, subnet) = &launch.overrides[pool];
        let zone = account.zone(subnet.as_deref()).unwrap_or_default();
        if let Some(left) = capacity.get_mut(&(type_.clone(), zone.to_owned())) {
            *left -= count;
        }
    }
    answer
}
