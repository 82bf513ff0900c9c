//! The types and the reasons of conditions, each once. Pure data.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Defines an enum whose variants are the words that Kubernetes sees, with `ALL`, `as_str`, `meaning` and `Display`.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $meaning:literal])+ $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $meaning])+ $variant,)+ }

        impl $name {
            /// Every word, in the order of the definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word as it stands in a status, in CamelCase.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// The word that stands in a status.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }

            /// What the word means, as its documentation says.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($meaning),+).trim_ascii(),)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// The types of conditions, in the order in which a resource reaches them; `IdentityReady` and `FleetReady` are those
    /// of virtual nodes with `iam` and `fleet`, `Deprecated` is virtual nodes' alone, those after it are of routes with
    /// `canary`, the others are the same on every kind.
    ConditionType {
        /// The spec is valid, and the App Mesh name is this resource's.
        Accepted,
        /// Everything that the spec names exists at the endpoint.
        ResolvedRefs,
        /// The endpoint has the object as the spec says; where the endpoint reports on proxies, so has every connected proxy.
        Programmed,
        /// IAM has the node's role, policy and instance profile as the spec says.
        IdentityReady,
        /// All instances of the node run from the newest launch template and are ready.
        FleetReady,
        /// All of the above, but for a backend that does not exist yet. Its reason is that of the first condition that is not True.
        Ready,
        /// A promotion took the virtual node's last request away; it retires (virtual nodes only).
        Deprecated,
        /// A rollout is under way and does not wait for a person (routes with `canary` only).
        Progressing,
        /// A rollout waits for a person (routes with `canary` only).
        Paused,
        /// Every metric that decides passed when it was last judged (routes with `canary` only).
        AnalysisHealthy,
        /// The spec's targets are the stable ones (routes with `canary` only).
        Promoted,
        /// Nothing goes on until a person acts; the stable targets, or the weights of the step, go on serving, and `Ready` is
        /// about these (routes with `canary` only).
        Stalled,
    }
}

words! {
    /// Why a condition has its status. A message beside it names the object and the way out.
    Reason {
        // True.
        /// The spec is valid and the name is ours (`Accepted`).
        Accepted,
        /// Every reference exists (`ResolvedRefs`).
        ResolvedRefs,
        /// The endpoint and the connected proxies have it (`Programmed`).
        Programmed,
        /// IAM has everything (`IdentityReady`).
        IdentityReady,
        /// All instances are ready (`FleetReady`).
        FleetReady,
        /// Everything holds (`Ready`).
        Ready,

        // Unknown or not yet.
        /// Not yet looked at, or an earlier condition must hold first.
        Pending,
        /// Something that the spec names does not exist yet; it continues by itself when that appears. A write waits until then;
        /// for a backend nothing waits, but requests for it are not served.
        WaitingForReference,
        /// The endpoint has it, some connected proxies have not acknowledged it yet.
        ProxiesPending,

        /// Instances are being launched, replaced or ended; the message counts them.
        FleetProgressing,

        // The user has to act: `Accepted`.
        /// The spec breaks a rule; the message names field, value and bound.
        InvalidSpec,
        /// The endpoint refused the request; the message is the endpoint's.
        Rejected,
        /// An object of that name exists and is not this resource's; adopt it or take another name.
        NotOwned,
        /// Another resource has the App Mesh name; the message says which.
        NameConflict,
        /// No Mesh resource stands for the mesh; the object is written when one comes.
        MeshNotFound,
        /// The mesh does not allow resources of this namespace.
        NamespaceNotAllowed,
        /// A quota of the endpoint is used up.
        LimitExceeded,

        // The user has to act: `ResolvedRefs`.
        /// Something that the spec names does not exist; the message lists it.
        RefNotFound,
        /// The spec names a resource of another namespace that does not permit it; the message says which ReferenceGrant is
        /// missing, and where. Nothing is written until it comes.
        RefNotPermitted,

        // The user has to act: `Programmed`.
        /// A member of ACM cannot be served: a certificate, or an authority of ACM PCA that cannot be read. What depends on it is
        /// closed; the message has its path and the way out.
        AcmUnavailable,
        /// A part of the spec is stored and not in force as things are; the message has its path, and why.
        NotInForce,
        /// A proxy refused the configuration; the message has the proxy's own words.
        ProxyRejected,

        // Somebody has to act: `IdentityReady`.
        /// The operator has no permissions boundary for IAM roles (`--iam-permissions-boundary`), so it makes none.
        BoundaryRequired,
        /// The operator does not allow this name for an IAM role (`--iam-role-names`).
        NameNotAllowed,
        /// The operator does not allow to attach a managed policy that the spec names (`--iam-managed-policy`).
        PolicyNotAllowed,

        // The user has to act: `FleetReady`.
        /// The fleet has no FleetClass: it names none and none is the default, or there is none of that name. Instances stay as
        /// they are, and nothing is launched.
        ClassRequired,
        /// The FleetClass does not allow the fleet's namespace. Instances stay as they are, and nothing is launched.
        ClassNotAllowed,
        /// The FleetClass does not allow a value of the spec; the message has field, value, class and the way out. Instances stay
        /// as they are, and nothing is launched.
        ValueNotInClass,
        /// A limit of the FleetClass is reached: fewer instances are launched than were asked for. The operator keeps trying.
        ClassLimitReached,
        /// EC2 gave fewer instances than were asked for; the message has EC2's own words. The operator keeps trying.
        LaunchFailed,
        /// Instances run, but their proxies did not connect in time; they are replaced one after the other.
        InstancesUnhealthy,

        // The endpoint.
        /// The endpoint does not answer.
        EndpointUnreachable,
        /// The endpoint answers with errors of its own (5xx).
        EndpointFailed,
        /// The endpoint refuses the change because of something else in the mesh (409), which the message names.
        EndpointConflict,
        /// The endpoint is AWS's App Mesh, which AWS ended; point the operator at a Fleetmesh control plane.
        AppMeshEnded,
        /// The operator's credentials are missing, expired or wrong.
        CredentialsInvalid,
        /// The operator's credentials do not allow the call; the message names the action.
        AccessDenied,
        /// The endpoint limits the rate of calls; the operator goes on more slowly.
        Throttled,

        // The operator itself.
        /// A fault of Fleetmesh: reconciling the object panicked. The message has the panic's words. The operator tries again, more and
        /// more slowly; other objects are not touched by it.
        InternalError,

        // Deletion.
        /// The App Mesh object is being deleted.
        Deleting,
        /// The App Mesh object cannot be deleted while others refer to it; the message lists them.
        DeletionBlocked,

        // Canary: where a route is on its way (`phase`).
        /// The spec's targets are in force, and nothing is rolled out.
        Stable,
        /// A rollout is under way.
        Progressing,
        /// Nothing can be judged, or somebody has to agree; the rollout goes on by itself.
        Held,
        /// The rollout waits for a person.
        Paused,
        /// The spec's weights are in force and still watched.
        Baking,
        /// The rollout succeeded; the old targets finish their last requests.
        Draining,
        /// The rollout succeeded.
        Promoted,
        /// The rollout was given up; the stable targets serve.
        Aborted,
        /// The spec went back to the stable targets.
        RolledBack,
        /// Other targets took the rollout's place.
        Superseded,

        // Canary: what keeps a rollout where it is (`rollout.hold`).
        /// The endpoint does not have the weights yet.
        WeightsPending,
        /// A new target has no healthy endpoint, or not every caller's proxy knows it yet.
        NodeNotReady,
        /// A full window of the analysis since the step began, or since the operator did, is not over yet.
        AwaitingFreshWindow,
        /// Reports came, and no request did: there is nothing to judge.
        NoTraffic,
        /// No load report came: nobody knows.
        NoReport,
        /// Reports on the same requests contradict each other: those of callers, or of callers and the new targets' own proxies.
        ReportsDisagree,
        /// A query gave no number.
        NoData,
        /// A metric's source could not be asked.
        MetricFailed,
        /// The step had fewer requests than its `minRequests`.
        TooFewRequests,
        /// A webhook has not agreed yet.
        ConfirmationPending,
        /// A webhook does not agree; it is asked again.
        ConfirmationRefused,
        /// A webhook could not be asked.
        WebhookFailed,
        /// The step waits until somebody promotes.
        AwaitingPromotion,
        /// Somebody paused the rollout; resume it.
        PausedByUser,
        /// The rollout was held for `holdTimeout`; resume it, skip the step, or abort.
        HoldTimedOut,

        // Canary: judgement, and how a rollout ends.
        /// Every metric that decides passed.
        AnalysisPassing,
        /// A metric fails, not yet `failureLimit` times in a row.
        AnalysisFailing,
        /// A metric failed `failureLimit` times in a row.
        AnalysisFailed,
        /// A metric fell below its `abortBelow`.
        AbortThreshold,
        /// There was no progress for `progressDeadlineSeconds`.
        ProgressDeadlineExceeded,
        /// Somebody aborted the rollout.
        AbortedByUser,
        /// A rollback webhook asked for it.
        RollbackRequested,
        /// The spec names the stable targets again.
        TargetsReverted,
        /// The spec names other targets.
        TargetsChanged,
        /// `canary` was removed from the spec: its targets are in force at once.
        CanaryRemoved,
        /// Stable and new targets together are more than App Mesh allows in a route.
        TooManyTargets,

        // Canary: Events.
        /// A rollout began.
        RolloutStarted,
        /// A step's weights are being written.
        StepStarted,
        /// The rollout goes on.
        Resumed,
        /// The steps changed during the rollout, which goes on.
        PlanChanged,
        /// The targets have no request left.
        Drained,
        /// A virtual node that a promotion replaced is deprecated (`Deprecated`).
        Replaced,
        /// A virtual node that a promotion replaced has no instances any more, or is deleted.
        Retired,
        /// A virtual node that a promotion replaced is of another namespace, which does not let the route retire it: it is
        /// left alone.
        RetirementNotAllowed,

        // RouteActions.
        /// It was carried out.
        Applied,
        /// The Route does not exist, or has no rollout.
        NoRollout,
        /// It was meant for another rollout.
        StaleRollout,
        /// It was meant for another step.
        StaleStep,
        /// The rollout is not in a state that the verb is for.
        NotApplicable,
    }
}

/// A reason in a status; a word of a later version reads as `Pending`.
impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(Self::parse(&word).unwrap_or(Self::Pending))
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl JsonSchema for Reason {
    fn schema_name() -> Cow<'static, str> {
        "Reason".into()
    }

    // No enum: an operator of an earlier version must be able to read, and the definitions to keep, a later word.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_is_one_distinct_camel_case_word_that_kubernetes_allows() {
        let words: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
        for word in words {
            assert!(word.starts_with(|first: char| first.is_ascii_uppercase()), "{word}");
            assert!(word.chars().all(|letter| letter.is_ascii_alphanumeric()), "{word}");
        }
    }
}
