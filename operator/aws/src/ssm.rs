//! Systems Manager: parameters that contain ids of AMIs. Only one of its 140 operations is called, by a signed request (AWS JSON
//! 1.1): the SDK's crate for it would take minutes to compile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetmesh_core::fleet::is_ami_id;
use fleetmesh_core::{Failure, FailureClass};
use fleetmesh_signing::{Bounds, JsonError, JsonOperation, ServiceError};
use serde_json::{Value, json};

use crate::connection::AwsConnection;
use crate::error::class_of;
use crate::metering::Called;
use crate::transport::Http;

const OPERATION: &str = "GetParameter";
const GET_PARAMETER: JsonOperation =
    JsonOperation { service: "ssm", host: "ssm", service_id: "ssm", target: "AmazonSSM.GetParameter" };
/// A parameter has 8 KiB at the most.
const BOUNDS: Bounds = Bounds { limit: Duration::from_secs(10), longest: 64 * 1024 };

/// Systems Manager of the connection's region.
#[derive(Clone, Debug)]
pub struct Ssm {
    connection: Arc<AwsConnection>,
    http: Http,
}

impl Ssm {
    /// Systems Manager through `connection`: with its region, its credentials and its rate of reads.
    pub fn new(connection: Arc<AwsConnection>) -> Self {
        Self { connection, http: Http::new() }
    }

    /// The id of the AMI that the parameter `name` holds. A value that is none is dropped here: it may be a secret of
    /// somebody who is not the one that named the parameter.
    ///
    /// # Errors
    /// `NotFound` when there is no such parameter, `Invalid` when it does not hold an AMI's id; else what the transport or the
    /// service says. One request is made: a later reconcile makes the next.
    pub async fn image(&self, name: &str) -> Result<String, Failure> {
        self.connection.shared().await.read().await;
        let begun = Instant::now();
        let (sent, answer) = self.get_parameter(name).await;
        let failed = answer.as_ref().err().map(|failure| failure.class);
        self.connection.meter.called(&Called {
            service: GET_PARAMETER.service.to_owned(),
            operation: OPERATION,
            failed,
            took: begun.elapsed(),
            attempts: sent.into(),
            throttled: (failed == Some(FailureClass::Throttled)).into(),
        });
        let value = answer.map_err(|mut failure| {
            // Systems Manager does not say which one it misses.
            failure.message = format!("{} (parameter {name})", failure.message);
            failure
        })?;
        if is_ami_id(&value) {
            return Ok(value);
        }
        let message = format!(
            "the parameter {name} does not hold an AMI's id, which is ami- and 8 to 17 hexadecimal digits; what it holds is not shown"
        );
        Err(failure(FailureClass::Invalid, message))
    }

    /// Whether a request was sent, and the value of the parameter.
    async fn get_parameter(&self, name: &str) -> (bool, Result<String, Failure>) {
        let shared = self.connection.shared().await;
        let config = &shared.config;
        let region = match self.connection.region(OPERATION).await {
            Ok(region) => region,
            Err(failure) => return (false, Err(failure)),
        };
        let input = json!({ "Name": name });
        let answer = GET_PARAMETER.call(config, &region, &self.http.connector(), &input, BOUNDS).await;
        (
            answer.as_ref().err().is_none_or(JsonError::was_sent),
            answer.map_err(failed).and_then(|answer| value(&answer)),
        )
    }
}

fn failure(class: FailureClass, message: String) -> Failure {
    Failure { class, operation: OPERATION.to_owned(), message }
}

/// The parameter's value in an answer.
fn value(answer: &Value) -> Result<String, Failure> {
    let value = answer["Parameter"]["Value"].as_str().map(str::to_owned);
    value.ok_or_else(|| failure(FailureClass::Malformed, "the answer holds no parameter".to_owned()))
}

fn failed(error: JsonError) -> Failure {
    match error {
        JsonError::NoCredentials(reason) => failure(FailureClass::Credentials, reason),
        JsonError::Malformed(reason) => failure(FailureClass::Invalid, reason),
        JsonError::Unreachable(reason) => failure(FailureClass::Unreachable, reason),
        JsonError::Refused(ServiceError { status, code, message }) => {
            let message =
                if message.is_empty() { "the endpoint gave no message".to_owned() } else { message };
            failure(class_of(&code, &message, status), message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_value_or_a_failure_of_its_class() {
        assert_eq!(value(&json!({"Parameter": {"Name": "a", "Value": "ami-1"}})).unwrap(), "ami-1");
        assert_eq!(value(&json!({})).unwrap_err().class, FailureClass::Malformed);
        let of = |status, code: &str, message: &str| {
            let error = ServiceError { status, code: code.to_owned(), message: message.to_owned() };
            failed(JsonError::Refused(error))
        };
        assert_eq!(of(400, "ParameterNotFound", "ParameterNotFound").class, FailureClass::NotFound);
        assert_eq!(of(400, "ThrottlingException", "Rate exceeded").class, FailureClass::Throttled);
        assert_eq!(of(400, "AccessDeniedException", "no").class, FailureClass::Denied);
        assert_eq!(of(503, "", "").class, FailureClass::Server);
        assert_eq!(of(503, "", "").message, "the endpoint gave no message");
    }
}
