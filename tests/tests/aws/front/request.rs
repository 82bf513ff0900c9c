//! What is asked for and how, and the errors of each protocol.

use std::collections::BTreeMap;

use fleetmesh_testbed::front::{Asked, FrontAnswer, refusal};
use http::StatusCode;
use http::header::HeaderMap;

use super::launch::{LaunchRequest, PoolError};

/// What is asked for and how, as far as the front has to know.
pub struct FrontRequest {
    pub action: String,
    pub body: String,
    protocol: FrontProtocol,
}

#[derive(Clone, Copy, PartialEq)]
pub enum FrontProtocol {
    Ec2,
    Query,
    Json,
}

impl FrontRequest {
    pub fn of(asked: &Asked) -> Self {
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
    pub fn token(&self) -> Option<(String, String)> {
        let token = parameter(&self.body, "ClientToken").filter(|_| self.protocol == FrontProtocol::Ec2)?;
        Some((self.action.clone(), token))
    }

    pub fn refused(&self, status: u16, code: &str) -> FrontAnswer {
        self.refused_with(status, code, &format!("{code} from the front"))
    }

    /// The same with these words.
    pub fn refused_with(&self, status: u16, code: &str, words: &str) -> FrontAnswer {
        let error = format!("<Error><Code>{code}</Code><Message>{words}</Message></Error>");
        let body = match self.protocol {
            FrontProtocol::Ec2 => {
                format!("<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>")
            }
            FrontProtocol::Query => format!("<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"),
            FrontProtocol::Json => format!(r#"{{"__type":"{code}","message":"{words}"}}"#),
        };
        refusal(StatusCode::from_u16(status).unwrap(), &body)
    }
}

/// A parameter of a form; none of ours holds a character that a form escapes.
fn parameter(body: &str, name: &str) -> Option<String> {
    body.split('&').find_map(|pair| Some(pair.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

impl FrontRequest {
    /// All parameters of a form; those that anybody looks at hold no character that a form escapes.
    fn parameters(&self) -> BTreeMap<String, String> {
        let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.body.split('&').filter_map(pair).collect()
    }

    /// The launch that is asked for, if it is one of type `instant`.
    pub fn launch(&self) -> Option<LaunchRequest> {
        (self.action == "CreateFleet").then(|| LaunchRequest::read(&self.parameters()))
    }

    /// The first of the instances `protected` that is to be terminated.
    pub fn terminates<'a>(&self, protected: &'a [String]) -> Option<&'a String> {
        protected.iter().find(|id| self.action == "TerminateInstances" && self.body.contains(*id))
    }
}

/// An answer to CreateFleet that launched nothing.
pub fn nothing_launched() -> FrontAnswer {
    let body = "<CreateFleetResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>0</requestId><fleetId>fleet-0</fleetId><errorSet/><fleetInstanceSet/></CreateFleetResponse>";
    FrontAnswer::new(body.into())
}

/// Adds errors to an answer to CreateFleet; each names its override.
pub fn add_errors(answer: FrontAnswer, request: &LaunchRequest, errors: &[PoolError]) -> FrontAnswer {
    if errors.is_empty() {
        return answer;
    }
    let (parts, body) = answer.into_parts();
    let items: String = errors.iter().map(|error| item(request, error)).collect();
    let text = String::from_utf8_lossy(&body).into_owned();
    let text = if text.contains("</errorSet>") {
        text.replacen("</errorSet>", &format!("{items}</errorSet>"), 1)
    } else {
        let text = text.replacen("<errorSet/>", "", 1);
        let end = "</CreateFleetResponse>";
        assert!(text.contains(end), "{text}");
        text.replacen(end, &format!("<errorSet>{items}</errorSet>{end}"), 1)
    };
    let mut answer = FrontAnswer::new(text.into());
    *answer.status_mut() = parts.status;
    *answer.headers_mut() = without_length(parts.headers);
    answer
}

/// The length is another now.
fn without_length(mut headers: HeaderMap) -> HeaderMap {
    headers.remove(http::header::CONTENT_LENGTH);
    headers
}

fn item(request: &LaunchRequest, error: &PoolError) -> String {
    let PoolError { code, message, pool } = error;
    let pool = request.overrides.get(*pool).map(|(type_, subnet)| {
        let subnet = subnet.as_ref().map(|id| format!("<subnetId>{id}</subnetId>")).unwrap_or_default();
        format!(
            "<launchTemplateAndOverrides><overrides><instanceType>{type_}</instanceType>{subnet}</overrides></launchTemplateAndOverrides>"
        )
    });
    format!(
        "<item>{}<lifecycle>on-demand</lifecycle><errorCode>{code}</errorCode><errorMessage>{message}</errorMessage></item>",
        pool.unwrap_or_default()
    )
}
