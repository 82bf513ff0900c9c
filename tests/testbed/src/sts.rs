//! A stand-in for STS alone, for a demo without the rest of AWS: it says whose the sessions are that it gave. Like moto, it believes who
//! names a session's key and token, and checks no signature.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::front::{Front, FrontAnswer, refusal};

/// The account of the roles.
const ACCOUNT: &str = "123456789012";
/// The namespace of STS's answers.
const XMLNS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// A running STS.
#[derive(Debug)]
pub struct Sts {
    front: Front,
    sessions: Sessions,
}

/// The sessions by their access keys.
type Sessions = Arc<Mutex<BTreeMap<String, Session>>>;

/// A session of a role.
#[derive(Clone, Debug)]
struct Session {
    token: String,
    role: String,
    name: String,
    role_id: String,
}

impl Sts {
    /// Starts one on a free port; it knows no session yet.
    ///
    /// # Errors
    /// No port can be bound.
    pub async fn start() -> Result<Self> {
        let sessions = Sessions::default();
        let known = Arc::clone(&sessions);
        let answer = move |asked: http::Request<Bytes>, _| {
            let answer = answer(&lock(&known), asked.headers());
            async move { Some(answer) }
        };
        Ok(Self { front: Front::start(answer).await?, sessions })
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.front.url.clone()
    }

    /// The ARN of the role of this name.
    #[must_use]
    pub fn role(name: &str) -> String {
        format!("arn:aws:iam::{ACCOUNT}:role/{name}")
    }

    /// The credentials of a session of the role of this name, as EC2's metadata service words them. The session is named after the
    /// instance `id`.
    #[must_use]
    pub fn session(&self, role: &str, id: &str) -> Value {
        let mut sessions = lock(&self.sessions);
        let number = format!("{:0>16}", sessions.len() + 1);
        let (key, token) = (format!("ASIA{number}"), format!("token-of-the-stand-in-{number}"));
        let credentials = json!({
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2020-01-01T00:00:00Z",
            "AccessKeyId": key, "SecretAccessKey": "not-a-secret", "Token": token, "Expiration": "2099-01-01T00:00:00Z",
        });
        let (role, name) = (role.to_owned(), id.to_owned());
        sessions.insert(key, Session { token, role, name, role_id: format!("AROA{number}") });
        credentials
    }
}

fn lock(sessions: &Sessions) -> MutexGuard<'_, BTreeMap<String, Session>> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who signed a request with these headers, as `GetCallerIdentity` has it.
fn answer(sessions: &BTreeMap<String, Session>, headers: &HeaderMap) -> FrontAnswer {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = header("authorization").split_once("Credential=").and_then(|(_, rest)| rest.split_once('/'));
    let session = key.and_then(|(key, _)| sessions.get(key));
    let Some(session) = session.filter(|session| session.token == header("x-amz-security-token")) else {
        let error = "<Error><Type>Sender</Type><Code>InvalidClientTokenId</Code></Error>";
        let body = format!("<ErrorResponse xmlns=\"{XMLNS}\">{error}</ErrorResponse>");
        return refusal(StatusCode::FORBIDDEN, &body);
    };
    let Session { role, name, role_id, .. } = session;
    let result = format!(
        "<Arn>arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}</Arn><UserId>{role_id}:{name}</UserId><Account>{ACCOUNT}</Account>"
    );
    Response::new(Bytes::from(format!(
        "<GetCallerIdentityResponse xmlns=\"{XMLNS}\"><GetCallerIdentityResult>{result}</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_by_its_key_and_its_token_together() {
        let session = |role: &str, token: &str| Session {
            token: token.to_owned(),
            role: role.to_owned(),
            name: "i-0a".to_owned(),
            role_id: "AROA0".to_owned(),
        };
        let sessions = BTreeMap::from([
            ("ASIA1".to_owned(), session("one", "first")),
            ("ASIA2".to_owned(), session("two", "second")),
        ]);
        let asked = |key: &str, token: &str| {
            let signed = format!("AWS4-HMAC-SHA256 Credential={key}/20200101/us-west-2/sts/aws4_request, X");
            let headers = [("authorization", signed), ("x-amz-security-token", token.to_owned())];
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(name, value.parse().unwrap_or_else(|_| panic!("{value}")));
            }
            let answer = answer(&sessions, &map);
            (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
        };
        let (status, body) = asked("ASIA2", "second");
        assert!(status == 200 && body.contains("assumed-role/two/i-0a<"), "{status} {body}");
        for (key, token) in [("ASIA2", "first"), ("ASIA3", "second"), ("", "")] {
            assert_eq!(asked(key, token).0, 403, "{key} {token}");
        }
    }
}
