//! Calls of AWS that change something: written down, and made again. The ids that AWS makes up are others the second time.

use std::collections::BTreeMap;

use ::http::Request;
use fleetmesh_testbed::front::{Asked, FrontAnswer};
use fleetmesh_testbed::http;
use serde::{Deserialize, Serialize};

/// Headers that say what is asked, and of whom. The signature is with nobody's credentials.
const HEADERS: [&str; 3] = ["authorization", "content-type", "x-amz-target"];
/// What ids of launch templates and instances begin with.
const PREFIXES: [&str; 2] = ["lt-", "i-"];
/// The rest of an id: hexadecimal digits.
const DIGITS: usize = 17;

/// A call in AWS's query protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    headers: BTreeMap<String, String>,
    body: String,
    /// The ids in the answer, in order.
    ids: Vec<String>,
}

impl Call {
    /// The call that a request is, unless it only reads.
    pub fn of(asked: &Asked) -> Option<Self> {
        let body = String::from_utf8_lossy(asked.body()).into_owned();
        let header = |name: &str| asked.headers().get(name).and_then(|value| value.to_str().ok());
        let target = header("x-amz-target").and_then(|target| target.rsplit('.').next());
        let action = body.split('&').find_map(|member| member.strip_prefix("Action=")).or(target)?;
        if ["Describe", "Get", "List", "Assume", "Discover"].iter().any(|read| action.starts_with(read)) {
            return None;
        }
        let headers = HEADERS.iter().filter_map(|name| Some(((*name).to_owned(), header(name)?.to_owned())));
        Some(Self { headers: headers.collect(), ids: Vec::new(), body })
    }

    /// What is asked for.
    pub fn action(&self) -> String {
        let action = self.body.split('&').find_map(|member| member.strip_prefix("Action="));
        action.unwrap_or(&self.body).to_owned()
    }

    /// The call with what its answer has of ids.
    pub fn answered(mut self, answer: &FrontAnswer) -> Self {
        self.ids = ids(&String::from_utf8_lossy(answer.body()));
        self
    }
}

/// Makes the calls again at `endpoint`; gives the ids of now by those of then.
pub async fn again(calls: &[Call], endpoint: &str) -> BTreeMap<String, String> {
    let mut now = BTreeMap::new();
    for call in calls {
        let mut request = Request::post(format!("{endpoint}/"));
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let answer = http::exchange(request.body(renamed(&call.body, &now)).unwrap()).await.unwrap();
        let made = ids(&answer);
        assert_eq!(made.len(), call.ids.len(), "{answer}");
        now.extend(call.ids.iter().cloned().zip(made));
    }
    now
}

/// `text` with the ids of now.
pub fn renamed(text: &str, now: &BTreeMap<String, String>) -> String {
    now.iter().fold(text.to_owned(), |text, (then, now)| text.replace(then, now))
}

fn ids(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
    let is_id = |word: &&str| {
        let digits = PREFIXES.iter().find_map(|prefix| word.strip_prefix(prefix));
        digits.is_some_and(|rest| rest.len() == DIGITS && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    words.filter(is_id).map(str::to_owned).collect()
}
