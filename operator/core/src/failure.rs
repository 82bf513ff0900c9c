//! Why a call failed, in classes that decide about retries, reasons and metrics. Pure data.

use fleetmesh_crds::Reason;

/// The class of a failed call. Bounded: it is a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The endpoint limits the rate of calls.
    Throttled,
    /// The endpoint failed by itself (5xx); the same call may succeed later.
    Server,
    /// No answer: connection refused or lost, or no answer in time. The call may have been carried out.
    Unreachable,
    /// AWS's App Mesh host does not exist any more.
    Ended,
    /// An object of that name exists, or it changed meanwhile.
    Conflict,
    /// The object, or one that it needs, does not exist.
    NotFound,
    /// What was made or shown a moment ago is not known everywhere yet, or any more.
    Unsettled,
    /// Others refer to the object.
    InUse,
    /// Credentials are missing, wrong or expired.
    Credentials,
    /// The credentials do not allow the call.
    Denied,
    /// A quota is used up.
    Limit,
    /// The request is refused for what it says.
    Invalid,
    /// The answer could not be understood.
    Malformed,
}

impl Class {
    /// The class as a label of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::Unreachable => "unreachable",
            Self::Ended => "ended",
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::Unsettled => "unsettled",
            Self::InUse => "in_use",
            Self::Credentials => "credentials",
            Self::Denied => "denied",
            Self::Limit => "limit",
            Self::Invalid => "invalid",
            Self::Malformed => "malformed",
        }
    }

    /// Whether the same call may succeed without anybody acting.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Throttled
                | Self::Server
                | Self::Unreachable
                | Self::Unsettled
                | Self::Conflict
                | Self::Malformed
        )
    }

    /// The reason that a condition gives for a failure of this class.
    pub fn reason(self) -> Reason {
        match self {
            Self::Throttled => Reason::Throttled,
            Self::Server | Self::Conflict | Self::Malformed => Reason::EndpointFailed,
            Self::Unreachable => Reason::EndpointUnreachable,
            Self::Ended => Reason::AppMeshEnded,
            Self::NotFound => Reason::RefNotFound,
            Self::Unsettled => Reason::Pending,
            Self::InUse => Reason::DeletionBlocked,
            Self::Credentials => Reason::CredentialsInvalid,
            Self::Denied => Reason::AccessDenied,
            Self::Limit => Reason::LimitExceeded,
            Self::Invalid => Reason::Rejected,
        }
    }
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure.
    pub class: Class,
    /// The operation, for example `UpdateRoute`.
    pub operation: String,
    /// What the endpoint or the transport said, for a person; no secrets.
    pub message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.operation, self.message)
    }
}
