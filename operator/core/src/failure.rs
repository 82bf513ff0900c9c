//! Why a call failed, in classes that decide on retries, reasons and metrics. Pure data.

use fleetmesh_crds::Reason;

/// The class of a failed call. Bounded: it is a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureClass {
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

impl FailureClass {
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
            Self::Server | Self::Malformed => Reason::EndpointFailed,
            Self::Conflict => Reason::EndpointConflict,
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
    pub class: FailureClass,
    /// The operation, for example `UpdateRoute`.
    pub operation: String,
    /// What the endpoint or the transport said, for a person; no secrets.
    pub message: String,
}

/// Whom a call was made of, as far as the way out of its failure depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// The App Mesh endpoint.
    AppMesh,
    /// Another service of AWS.
    Aws,
}

impl Failure {
    /// The failure, and the way out where its class has one. These texts are written here only.
    pub fn in_words(&self, of: Callee) -> String {
        let way_out = match (self.class, of) {
            (FailureClass::Ended, _) => {
                ". AWS ended App Mesh on 2026-09-30. Run `fleetmesh control-plane` and start the operator with --app-mesh-endpoint pointing at it"
            }
            (FailureClass::Unreachable, Callee::AppMesh) => {
                ". The operator keeps trying; check --app-mesh-endpoint and the network"
            }
            (FailureClass::Unreachable, Callee::Aws) => {
                ". The operator keeps trying; check the network and AWS_ENDPOINT_URL"
            }
            (FailureClass::Throttled | FailureClass::Server, Callee::Aws) => ". The operator keeps trying",
            (FailureClass::Unsettled, _) => {
                ". AWS does not know everywhere yet, or any more, what it made or showed a moment ago; the operator tries again"
            }
            (FailureClass::Credentials, _) => ". Give the operator valid AWS credentials",
            (FailureClass::Denied, Callee::AppMesh) => ". Allow the operator's identity this action",
            (FailureClass::Denied, Callee::Aws) => {
                ". Allow the operator's identity this action: `fleetmesh iam policy` prints all that it needs, within the flags that it shares with the operator"
            }
            (FailureClass::Conflict, Callee::AppMesh) => {
                ". Change what stands in its way, or this; the operator tries again by itself"
            }
            // EC2 runs out of instances, which no quota of the account's is about.
            (FailureClass::Limit, _) if self.operation != "CreateFleet" => {
                ". Delete what is not needed or raise the quota"
            }
            (FailureClass::NotFound, Callee::Aws) => ". Create it, or name another",
            (
                FailureClass::Throttled
                | FailureClass::Server
                | FailureClass::Conflict
                | FailureClass::NotFound
                | FailureClass::InUse
                | FailureClass::Limit
                | FailureClass::Invalid
                | FailureClass::Malformed,
                _,
            ) => "",
        };
        format!("{self}{way_out}")
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.operation, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_is_of_the_class_and_of_whom_was_called() {
        let words = |class, operation: &str, of| {
            Failure { class, operation: operation.to_owned(), message: "no".to_owned() }.in_words(of)
        };
        for (class, operation, of, way_out) in [
            (FailureClass::Denied, "GetRole", Callee::Aws, "`fleetmesh iam policy` prints all that it needs"),
            (
                FailureClass::Denied,
                "UpdateRoute",
                Callee::AppMesh,
                "Allow the operator's identity this action",
            ),
            (FailureClass::Unreachable, "GetRole", Callee::Aws, "check the network and AWS_ENDPOINT_URL"),
            (
                FailureClass::Unreachable,
                "UpdateRoute",
                Callee::AppMesh,
                "check --app-mesh-endpoint and the network",
            ),
            (FailureClass::Limit, "CreateRole", Callee::Aws, "raise the quota"),
        ] {
            let words = words(class, operation, of);
            assert!(words.starts_with(&format!("{operation}: no. ")) && words.contains(way_out), "{words}");
        }
        assert_eq!(
            words(FailureClass::Limit, "CreateFleet", Callee::Aws),
            "CreateFleet: no",
            "no quota is in the way"
        );
        assert_eq!(words(FailureClass::Conflict, "GetRole", Callee::Aws), "GetRole: no");
    }
}
