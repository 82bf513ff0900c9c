//! Systems Manager: parameters that contain ids of AMIs. Only one of its 140 operations is called, by a signed request (AWS JSON
//! 1.1): the SDK's crate for it would take minutes to compile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use fleetmesh_core::fleet::is_ami_id;
use fleetmesh_core::{Failure, FailureClass};
use serde_json::{Value, json};

use crate::connection::AwsConnection;
use crate::error::class_of;
use crate::metering::Called;
use crate::signer::{RequestSigner, Unsigned};
use crate::transport::Http;

const OPERATION: &str = "GetParameter";
/// The name that requests are signed for and metrics are labelled with.
const SERVICE: &str = "ssm";
/// What says which operation a request is of; it is signed.
const HEADERS: [(&str, &str); 2] =
    [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AmazonSSM.GetParameter")];
/// How long the answer may take.
const LIMIT: Duration = Duration::from_secs(10);

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
            service: SERVICE.to_owned(),
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
        let config = &self.connection.shared().await.config;
        let region = self.connection.region().await;
        let url = endpoint(config, &region);
        let body = json!({ "Name": name }).to_string();
        let signed = match config.credentials_provider() {
            Some(credentials) => {
                let signer = RequestSigner { credentials, region, service: SERVICE };
                signer.sign("POST", &url, &HEADERS, body.as_bytes()).await
            }
            None => Err(Unsigned::NoCredentials("no providers in chain provided credentials".to_owned())),
        };
        let mut headers = match signed {
            Ok(headers) => headers,
            Err(why @ Unsigned::NoCredentials(_)) => {
                return (false, Err(failure(FailureClass::Credentials, why.to_string())));
            }
            Err(why @ Unsigned::Malformed(_)) => {
                return (false, Err(failure(FailureClass::Invalid, why.to_string())));
            }
        };
        headers.extend(HEADERS.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let answer = self.http.post_with(&url, &headers, body, LIMIT).await;
        (
            true,
            answer
                .map_err(|reason| failure(FailureClass::Unreachable, reason))
                .and_then(|(status, body)| read(status, &body)),
        )
    }
}

fn failure(class: FailureClass, message: String) -> Failure {
    Failure { class, operation: OPERATION.to_owned(), message }
}

/// Where Systems Manager of `region` is: the endpoint that was given for it or for every service (`AWS_ENDPOINT_URL_SSM`,
/// `AWS_ENDPOINT_URL`, or the same of the profile), else AWS's.
fn endpoint(config: &SdkConfig, region: &str) -> String {
    let key = ServiceConfigKey::builder()
        .service_id(SERVICE)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok();
    let of_service = config.service_config().zip(key).and_then(|(given, key)| given.load_config(key));
    let given = of_service.or_else(|| config.endpoint_url().map(str::to_owned));
    let at_aws = || {
        format!(
            "https://{}",
            host(region, config.use_fips().unwrap_or(false), config.use_dual_stack().unwrap_or(false))
        )
    };
    let endpoint = given.unwrap_or_else(at_aws);
    format!("{}/", endpoint.trim_end_matches('/'))
}

/// AWS's host for `region`, after the service's endpoint rules.
fn host(region: &str, fips: bool, dual_stack: bool) -> String {
    let service = if fips { "ssm-fips" } else { "ssm" };
    let domain = match (region.split('-').next().unwrap_or_default(), dual_stack) {
        ("cn", false) => "amazonaws.com.cn",
        ("cn", true) => "api.amazonwebservices.com.cn",
        (_, true) => "api.aws",
        _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        _ if region.starts_with("us-iso-") => "c2s.ic.gov",
        _ => "amazonaws.com",
    };
    // In GovCloud every endpoint is validated, and the plain name is the one that exists.
    let service = if region.starts_with("us-gov-") && !dual_stack { "ssm" } else { service };
    format!("{service}.{region}.{domain}")
}

/// The parameter's value in an answer.
fn read(status: u16, body: &[u8]) -> Result<String, Failure> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    if (200..300).contains(&status) {
        let value = answer["Parameter"]["Value"].as_str().map(str::to_owned);
        return value
            .ok_or_else(|| failure(FailureClass::Malformed, "the answer holds no parameter".to_owned()));
    }
    // The code may have the namespace of the model before it.
    let code = answer["__type"].as_str().and_then(|code| code.rsplit('#').next()).unwrap_or_default();
    let message = answer["message"].as_str().or(answer["Message"].as_str());
    let message = message.filter(|text| !text.is_empty()).unwrap_or(code);
    let message = if message.is_empty() { "the endpoint gave no message" } else { message };
    Err(failure(class_of(code, message, status), message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_hosts() {
        for (region, fips, dual_stack, expected) in [
            ("eu-west-1", false, false, "ssm.eu-west-1.amazonaws.com"),
            ("us-east-1", true, false, "ssm-fips.us-east-1.amazonaws.com"),
            ("us-east-1", false, true, "ssm.us-east-1.api.aws"),
            ("cn-north-1", false, false, "ssm.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", true, false, "ssm.us-gov-west-1.amazonaws.com"),
            ("us-iso-east-1", false, false, "ssm.us-iso-east-1.c2s.ic.gov"),
        ] {
            assert_eq!(host(region, fips, dual_stack), expected);
        }
    }

    #[test]
    fn a_service_s_own_endpoint_goes_before_that_of_all() {
        let config = SdkConfig::builder().endpoint_url("http://127.0.0.1:5000").build();
        assert_eq!(endpoint(&config, "eu-west-1"), "http://127.0.0.1:5000/");
        assert_eq!(
            endpoint(&SdkConfig::builder().build(), "eu-west-1"),
            "https://ssm.eu-west-1.amazonaws.com/"
        );
    }

    #[test]
    fn an_answer_is_a_value_or_a_failure_of_its_class() {
        assert_eq!(read(200, br#"{"Parameter":{"Name":"a","Value":"ami-1"}}"#).unwrap(), "ami-1");
        let class = |status, body: &[u8]| read(status, body).unwrap_err().class;
        assert_eq!(class(400, br#"{"__type":"ParameterNotFound"}"#), FailureClass::NotFound);
        assert_eq!(
            class(400, br#"{"__type":"com.amazonaws.ssm#ParameterNotFound"}"#),
            FailureClass::NotFound
        );
        assert_eq!(
            class(400, br#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#),
            FailureClass::Throttled
        );
        assert_eq!(class(400, br#"{"__type":"AccessDeniedException","Message":"no"}"#), FailureClass::Denied);
        assert_eq!(class(503, b"<html>"), FailureClass::Server);
        assert_eq!(class(200, b"{}"), FailureClass::Malformed);
        assert_eq!(read(400, br#"{"__type":"ParameterNotFound"}"#).unwrap_err().message, "ParameterNotFound");
    }
}
