//! Failures of the SDK as core's classes. No I/O.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use fleetmesh_core::{Failure, FailureClass};
use fleetmesh_model::causes::in_one_line;

/// Whose the endpoint is that was called: it decides what a silent one means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalledEndpoint {
    /// One that was given, or a service that AWS runs.
    Running,
    /// AWS's App Mesh, which AWS ended.
    AppMeshAtAws,
}

/// What `error` of `operation` means.
pub fn failure<E>(operation: &str, endpoint: CalledEndpoint, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let (class, message) = match error {
        SdkError::ServiceError(context) => {
            let error = context.err();
            let status = context.raw().status().as_u16();
            let code = error.code().unwrap_or_default();
            let message = error.message().unwrap_or("the endpoint gave no message").to_owned();
            (class_of(code, &message, status), message)
        }
        SdkError::TimeoutError(_) => {
            transport(endpoint, &format!("no answer in time: {}", in_one_line(error)))
        }
        SdkError::ResponseError(context) => {
            let status = context.raw().status().as_u16();
            (if status >= 500 { FailureClass::Server } else { FailureClass::Malformed }, in_one_line(error))
        }
        _ => transport(endpoint, &in_one_line(error)),
    };
    Failure { class, operation: operation.to_owned(), message }
}

/// The class of an error that the endpoint answered: by its code (those of App Mesh, IAM, EC2, Systems Manager and Cloud
/// Map), and for an unknown code by its status.
pub fn class_of(code: &str, message: &str, status: u16) -> FailureClass {
    match code {
        // EC2 sees a new instance profile some seconds after IAM returned it to us.
        "InvalidParameterValue" if message.contains("IAM Instance Profile") => FailureClass::Unsettled,
        // Their ids come from EC2 itself, all of whose parts know them some seconds later.
        "InvalidInstanceID.NotFound"
        | "InvalidLaunchTemplateId.NotFound"
        | "InvalidLaunchTemplateId.VersionNotFound"
        | "InvalidAssociationID.NotFound" => FailureClass::Unsettled,
        // It is made when EC2 does not show it.
        "InvalidLaunchTemplateName.AlreadyExistsException" => FailureClass::Unsettled,
        "NotFoundException" | "NoSuchEntity" | "ParameterNotFound" | "NamespaceNotFound"
        | "ServiceNotFound" | "InstanceNotFound" => FailureClass::NotFound,
        code if code.ends_with(".NotFound") || code.ends_with("NotFoundException") => FailureClass::NotFound,
        "ConflictException"
        | "EntityAlreadyExists"
        | "ConcurrentModification"
        | "IdempotentParameterMismatch"
        | "IncorrectState"
        | "IncorrectInstanceState"
        | "ResourceNotReady" => FailureClass::Conflict,
        "ResourceInUseException" | "ResourceInUse" | "DeleteConflict" => FailureClass::InUse,
        "BadRequestException" | "ValidationException" | "ValidationError" | "TooManyTagsException" => {
            FailureClass::Invalid
        }
        "LimitExceededException"
        | "LimitExceeded"
        | "ResourceLimitExceeded"
        | "InstanceLimitExceeded"
        | "VcpuLimitExceeded"
        | "MaxSpotInstanceCountExceeded"
        | "MaxFleetCountExceeded"
        | "InsufficientHostCapacity"
        | "UnfulfillableCapacity"
        | "SpotMaxPriceTooLow"
        | "InsufficientInstanceCapacity"
        | "InsufficientFreeAddressesInSubnet" => FailureClass::Limit,
        "TooManyRequestsException"
        | "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "EC2ThrottledException"
        | "SlowDown" => FailureClass::Throttled,
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" | "ForbiddenException" => {
            FailureClass::Denied
        }
        "UnrecognizedClientException"
        | "AuthFailure"
        | "InvalidSignatureException"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "MissingAuthenticationTokenException"
        | "InvalidClientTokenId"
        | "IncompleteSignatureException"
        | "SignatureDoesNotMatch" => FailureClass::Credentials,
        _ => match status {
            429 => FailureClass::Throttled,
            401 => FailureClass::Credentials,
            403 => FailureClass::Denied,
            404 => FailureClass::NotFound,
            409 => FailureClass::Conflict,
            400..=499 => FailureClass::Invalid,
            _ => FailureClass::Server,
        },
    }
}

const AWS_ENDED: &str =
    " (no --app-mesh-endpoint is given, so this is AWS's App Mesh, which AWS ended on 2026-09-30)";

/// Failures before an answer came: no credentials, no such host, no connection.
fn transport(endpoint: CalledEndpoint, text: &str) -> (FailureClass, String) {
    let ended = endpoint == CalledEndpoint::AppMeshAtAws;
    let lower = text.to_ascii_lowercase();
    let no_host = ["dns error", "failed to lookup address", "name or service not known", "no such host"];
    let class = if ["credential", "identity", "no providers in chain"].iter().any(|word| lower.contains(word))
    {
        FailureClass::Credentials
    } else if ended && no_host.iter().any(|word| lower.contains(word)) {
        FailureClass::Ended
    } else {
        FailureClass::Unreachable
    };
    // Who forgot the endpoint has no use for AWS's credentials or a silent host of AWS's, and should know.
    let hint = if class != FailureClass::Ended && ended { AWS_ENDED } else { "" };
    (class, format!("{text}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_host_is_the_end_of_app_mesh_only_at_aws() {
        let text = "dispatch failure: dns error: failed to lookup address information";
        assert_eq!(transport(CalledEndpoint::AppMeshAtAws, text).0, FailureClass::Ended);
        assert_eq!(transport(CalledEndpoint::Running, text).0, FailureClass::Unreachable);
        let (class, message) = transport(CalledEndpoint::AppMeshAtAws, "connection refused");
        assert_eq!(class, FailureClass::Unreachable);
        assert!(message.contains("AWS ended on 2026-09-30"), "{message}");
        assert!(!transport(CalledEndpoint::Running, "connection refused").1.contains("AWS"));
        let text = "no providers in chain provided credentials";
        assert_eq!(transport(CalledEndpoint::Running, text).0, FailureClass::Credentials);
    }

    #[test]
    fn codes_decide_before_statuses() {
        assert_eq!(class_of("LimitExceededException", "", 400), FailureClass::Limit);
        assert_eq!(class_of("ResourceInUseException", "", 409), FailureClass::InUse);
        assert_eq!(class_of("", "", 409), FailureClass::Conflict);
        assert_eq!(class_of("", "", 503), FailureClass::Server);
        assert_eq!(class_of("SomethingNew", "", 400), FailureClass::Invalid);
        assert_eq!(class_of("NoSuchEntity", "", 404), FailureClass::NotFound);
        assert_eq!(class_of("InvalidInstanceID.NotFound", "", 400), FailureClass::Unsettled);
        assert_eq!(class_of("InvalidSubnetID.NotFound", "", 400), FailureClass::NotFound);
        assert_eq!(class_of("InvalidLaunchTemplateName.NotFoundException", "", 400), FailureClass::NotFound);
        assert_eq!(class_of("UnauthorizedOperation", "", 403), FailureClass::Denied);
        let message =
            "Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name";
        assert_eq!(class_of("InvalidParameterValue", message, 400), FailureClass::Unsettled);
        assert_eq!(class_of("InvalidParameterValue", "the subnet is invalid", 400), FailureClass::Invalid);
    }
}
