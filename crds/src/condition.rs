//! The types and the reasons of conditions, each once. Pure data.

use std::fmt;

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
    /// of virtual nodes with `iam` and `fleet`, the others are the same on every kind.
    ConditionType {
        /// The spec is valid, and the App Mesh name is this resource's.
        Accepted,
        /// Everything that the spec names exists at the endpoint.
        ResolvedRefs,
        /// The endpoint has the object as the spec says; where the endpoint tells, so has every connected proxy.
        Programmed,
        /// IAM has the node's role, policy and instance profile as the spec says.
        IdentityReady,
        /// All instances of the node run from the newest launch template and are ready.
        FleetReady,
        /// All of the others. Its reason is that of the first condition that is not True.
        Ready,
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
        /// The write waits for a referent that does not exist yet; it continues by itself when the referent appears.
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
        /// An older resource claims the same App Mesh name; the message says which.
        NameConflict,
        /// The mesh does not allow resources of this namespace.
        NamespaceNotAllowed,
        /// A quota of the endpoint is used up.
        LimitExceeded,

        // The user has to act: `ResolvedRefs`.
        /// Something that the spec names does not exist; the message lists it.
        RefNotFound,

        // The user has to act: `Programmed`.
        /// The control plane does not serve a member yet, or cannot as things are; the message has its path, and why.
        FieldNotServed,
        /// A proxy refused the configuration; the message has the proxy's own words.
        ProxyRejected,

        // The user has to act: `FleetReady`.
        /// EC2 gave fewer instances than were asked for; the message has EC2's own words. The operator keeps trying.
        LaunchFailed,
        /// Instances run, but their proxies did not connect in time; they are replaced one after the other.
        InstancesUnhealthy,

        // The endpoint.
        /// The endpoint does not answer.
        EndpointUnreachable,
        /// The endpoint answers with errors of its own (5xx).
        EndpointFailed,
        /// The endpoint is AWS's App Mesh, which AWS ended; point the operator at a Fleetmesh control plane.
        AppMeshEnded,
        /// The operator's credentials are missing, expired or wrong.
        CredentialsInvalid,
        /// The operator's credentials do not allow the call; the message names the action.
        AccessDenied,
        /// The endpoint limits the rate of calls; the operator goes on more slowly.
        Throttled,

        // Deletion.
        /// The App Mesh object is being deleted.
        Deleting,
        /// The App Mesh object cannot be deleted while others refer to it; the message lists them.
        DeletionBlocked,
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
