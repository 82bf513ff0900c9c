//! Failures of the SDK as core's classes. No I/O.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use fleetmesh_core::{Class, Failure};
use fleetmesh_model::causes::in_one_line;

/// Whose the endpoint is that was called: it decides what a silent one means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// One that was given, or a service that AWS runs.
    Running,
    /// AWS's App Mesh, which AWS ended.
    AppMeshAtAws,
}

/// What `error` of `operation` means.
pub fn failure<E>(operation: &str, endpoint: Endpoint, error: &SdkError<E, HttpResponse>) -> Failure
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
            (if status >= 500 { Class::Server } else { Class::Malformed }, in_one_line(error))
        }
        _ => transport(endpoint, &in_one_line(error)),
    };
    Failure { class, operation: operation.to_owned(), message }
}

/// The class of an error that the endpoint answered: by its code (those of App Mesh, IAM, EC2, Systems Manager and Cloud
/// Map), and for an unknown code by its status.
pub(crate) fn class_of(code: &str, message: &str, status: u16) -> Class {
    match code {
        // IAM tells EC2 of a new instance profile some seconds after it told us.
        "InvalidParameterValue" if message.contains("IAM Instance Profile") => Class::Unsettled,
        // Their ids come from EC2 itself, which tells all of its parts some seconds later.
        "InvalidInstanceID.NotFound"
        | "InvalidLaunchTemplateId.NotFound"
        | "InvalidLaunchTemplateId.VersionNotFound"
        | "InvalidAssociationID.NotFound" => Class::Unsettled,
        // It is made when EC2 does not show it.
        "InvalidLaunchTemplateName.AlreadyExistsException" => Class::Unsettled,
        "NotFoundException" | "NoSuchEntity" | "ParameterNotFound" | "NamespaceNotFound"
        | "ServiceNotFound" | "InstanceNotFound" => Class::NotFound,
        code if code.ends_with(".NotFound") || code.ends_with("NotFoundException") => Class::NotFound,
        "ConflictException"
        | "EntityAlreadyExists"
        | "ConcurrentModification"
        | "IdempotentParameterMismatch"
        | "IncorrectState"
        | "IncorrectInstanceState"
        | "ResourceNotReady" => Class::Conflict,
        "ResourceInUseException" | "ResourceInUse" | "DeleteConflict" => Class::InUse,
        "BadRequestException" | "ValidationException" | "ValidationError" | "TooManyTagsException" => {
            Class::Invalid
        }
        "LimitExceededException"
        | "LimitExceeded"
        | "ResourceLimitExceeded"
        | "InstanceLimitExceeded"
        | "VcpuLimitExceeded"
        | "MaxSpotInstanceCountExceeded"
        | "InsufficientInstanceCapacity"
        | "InsufficientFreeAddressesInSubnet" => Class::Limit,
        "TooManyRequestsException"
        | "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "EC2ThrottledException"
        | "SlowDown" => Class::Throttled,
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" | "ForbiddenException" => {
            Class::Denied
        }
        "UnrecognizedClientException"
        | "AuthFailure"
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
fn transport(endpoint: Endpoint, text: &str) -> (Class, String) {
    let ended = endpoint == Endpoint::AppMeshAtAws;
    let lower = text.to_ascii_lowercase();
    let no_host = ["dns error", "failed to lookup address", "name or service not known", "no such host"];
    let class = if ["credential", "identity", "no providers in chain"].iter().any(|word| lower.contains(word))
    {
        Class::Credentials
    } else if ended && no_host.iter().any(|word| lower.contains(word)) {
        Class::Ended
    } else {
        Class::Unreachable
    };
    // Who forgot the endpoint has no use for AWS's credentials or a silent host of AWS's, and should know.
    let hint = if class != Class::Ended && ended { AWS_ENDED } else { "" };
    (class, format!("{text}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_host_is_the_end_of_app_mesh_only_at_aws() {
        let text = "dispatch failure: dns error: failed to lookup address information";
        assert_eq!(transport(Endpoint::AppMeshAtAws, text).0, Class::Ended);
        assert_eq!(transport(Endpoint::Running, text).0, Class::Unreachable);
        let (class, message) = transport(Endpoint::AppMeshAtAws, "connection refused");
        assert_eq!(class, Class::Unreachable);
        assert!(message.contains("AWS ended on 2026-09-30"), "{message}");
        assert!(!transport(Endpoint::Running, "connection refused").1.contains("AWS"));
        let text = "no providers in chain provided credentials";
        assert_eq!(transport(Endpoint::Running, text).0, Class::Credentials);
    }

    #[test]
    fn codes_decide_before_statuses() {
        assert_eq!(class_of("LimitExceededException", "", 400), Class::Limit);
        assert_eq!(class_of("ResourceInUseException", "", 409), Class::InUse);
        assert_eq!(class_of("", "", 409), Class::Conflict);
        assert_eq!(class_of("", "", 503), Class::Server);
        assert_eq!(class_of("SomethingNew", "", 400), Class::Invalid);
        assert_eq!(class_of("NoSuchEntity", "", 404), Class::NotFound);
        assert_eq!(class_of("InvalidInstanceID.NotFound", "", 400), Class::Unsettled);
        assert_eq!(class_of("InvalidSubnetID.NotFound", "", 400), Class::NotFound);
        assert_eq!(class_of("InvalidLaunchTemplateName.NotFoundException", "", 400), Class::NotFound);
        assert_eq!(class_of("UnauthorizedOperation", "", 403), Class::Denied);
        let message =
            "Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name";
        assert_eq!(class_of("InvalidParameterValue", message, 400), Class::Unsettled);
        assert_eq!(class_of("InvalidParameterValue", "the subnet is invalid", 400), Class::Invalid);
    }
}
