//! Failures of the SDK as core's classes. No I/O.

use std::error::Error;

use aws_sdk_appmesh::config::http::HttpResponse;
use aws_sdk_appmesh::error::{ProvideErrorMetadata, SdkError};
use fleetmesh_core::{Class, Failure};

/// What `error` of `operation` means. `own_endpoint` says that the endpoint was given and is not AWS's.
pub(super) fn failure<E>(operation: &str, own_endpoint: bool, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let (class, message) = match error {
        SdkError::ServiceError(context) => {
            let error = context.err();
            let status = context.raw().status().as_u16();
            let code = error.code().unwrap_or_default();
            let message = error.message().unwrap_or("the endpoint gave no message").to_owned();
            (class_of(code, status), message)
        }
        SdkError::TimeoutError(_) => transport(own_endpoint, &format!("no answer in time: {}", chain(error))),
        SdkError::ResponseError(context) => {
            let status = context.raw().status().as_u16();
            (if status >= 500 { Class::Server } else { Class::Malformed }, chain(error))
        }
        _ => transport(own_endpoint, &chain(error)),
    };
    Failure { class, operation: operation.to_owned(), message }
}

/// The class of an error that the endpoint answered, by its code and, for codes that are not App Mesh's, its status.
fn class_of(code: &str, status: u16) -> Class {
    match code {
        "NotFoundException" => Class::NotFound,
        "ConflictException" => Class::Conflict,
        "ResourceInUseException" => Class::InUse,
        "BadRequestException" | "ValidationException" | "TooManyTagsException" => Class::Invalid,
        "LimitExceededException" => Class::Limit,
        "TooManyRequestsException" | "ThrottlingException" | "Throttling" => Class::Throttled,
        "AccessDeniedException" => Class::Denied,
        "ForbiddenException" => Class::Denied,
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "MissingAuthenticationTokenException"
        | "InvalidClientTokenId"
        | "IncompleteSignatureException"
        | "SignatureDoesNotMatch" => Class::Credentials,
        _ => match status {
            429 => Class::Throttled,
            401 => Class::Credentials,
            403 => Class::Denied,
            404 => Class::NotFound,
            409 => Class::Conflict,
            400..=499 => Class::Invalid,
            _ => Class::Server,
        },
    }
}

const AWS_ENDED: &str =
    " (no --app-mesh-endpoint is given, so this is AWS's App Mesh, which AWS ended on 2026-09-30)";

/// Failures before an answer came: no credentials, no such host, no connection.
fn transport(own_endpoint: bool, text: &str) -> (Class, String) {
    let lower = text.to_ascii_lowercase();
    let no_host = ["dns error", "failed to lookup address", "name or service not known", "no such host"];
    let class = if ["credential", "identity", "no providers in chain"].iter().any(|word| lower.contains(word))
    {
        Class::Credentials
    } else if !own_endpoint && no_host.iter().any(|word| lower.contains(word)) {
        Class::Ended
    } else {
        Class::Unreachable
    };
    // Who forgot the endpoint has no use for AWS's credentials or a silent host of AWS's, and should know.
    let hint = if class != Class::Ended && !own_endpoint { AWS_ENDED } else { "" };
    (class, format!("{text}{hint}"))
}

/// An error and what caused it, in one line, without repetition.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    // Some causes span lines; a condition's message does not.
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_host_is_the_end_of_app_mesh_only_at_aws() {
        let text = "dispatch failure: dns error: failed to lookup address information";
        assert_eq!(transport(false, text).0, Class::Ended);
        assert_eq!(transport(true, text).0, Class::Unreachable);
        let (class, message) = transport(false, "connection refused");
        assert_eq!(class, Class::Unreachable);
        assert!(message.contains("AWS ended on 2026-09-30"), "{message}");
        assert!(!transport(true, "connection refused").1.contains("AWS"));
        assert_eq!(transport(false, "no providers in chain provided credentials").0, Class::Credentials);
    }

    #[test]
    fn codes_decide_before_statuses() {
        assert_eq!(class_of("LimitExceededException", 400), Class::Limit);
        assert_eq!(class_of("ResourceInUseException", 409), Class::InUse);
        assert_eq!(class_of("", 409), Class::Conflict);
        assert_eq!(class_of("", 503), Class::Server);
        assert_eq!(class_of("SomethingNew", 400), Class::Invalid);
    }
}
