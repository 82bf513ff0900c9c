//! The bytes of one example of each wire type. The tests of both sides read and write these, so that neither side's bytes can
//! change alone; programs do not use them.
//!
//! An example changes only when the contract does. Programs of earlier versions keep reading and writing the former bytes: a new
//! member must be one that they may ignore, or one that is asked for.

/// The virtual node of the examples of joining.
pub const RESOURCE: &str = "mesh/apps/virtualNode/serviceB";
/// The public key of the examples of joining: the generator of P-256.
pub const PUBLIC_KEY: &str =
    "BGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=";
/// The challenge of the examples of joining.
pub const CHALLENGE_TEXT: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc";

/// A [`ChallengeRequest`](crate::join::ChallengeRequest).
pub const CHALLENGE_REQUEST: &str = include_str!("../goldens/challenge-request.json").trim_ascii_end();
/// A [`Challenge`](crate::join::Challenge).
pub const CHALLENGE: &str = include_str!("../goldens/challenge.json").trim_ascii_end();
/// A [`JoinRequest`](crate::join::JoinRequest), signed at 2025-01-02T03:04:05Z with the access key `ASIAIOSFODNN7EXAMPLE`, the secret
/// key `wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY` and the token `dG9rZW4=`.
pub const JOIN_REQUEST: &str = include_str!("../goldens/join-request.json").trim_ascii_end();
/// A [`JoinAnswer`](crate::join::JoinAnswer).
pub const JOIN_ANSWER: &str = include_str!("../goldens/join-answer.json").trim_ascii_end();
/// What [`bound`](crate::join::bound) makes of the challenge, the virtual node and the public key.
pub const BOUND_CHALLENGE: &str = include_str!("../goldens/bound-challenge.txt").trim_ascii_end();
/// A [`DistributionAnswer`](crate::distribution::DistributionAnswer) about what changed.
pub const DISTRIBUTION: &str = include_str!("../goldens/distribution.json").trim_ascii_end();
/// A [`LoadAnswer`](crate::loads::LoadAnswer).
pub const LOADS: &str = include_str!("../goldens/loads.json").trim_ascii_end();
/// An [`UnservedAnswer`](crate::unserved::UnservedAnswer).
pub const UNSERVED: &str = include_str!("../goldens/unserved.json").trim_ascii_end();
/// A [`CommitRequest`](crate::commits::CommitRequest): a router and its route speak another protocol, and a node goes.
pub const COMMIT_REQUEST: &str = include_str!("../goldens/commit-request.json").trim_ascii_end();
/// A [`CommitAnswer`](crate::commits::CommitAnswer) to it.
pub const COMMIT_ANSWER: &str = include_str!("../goldens/commit-answer.json").trim_ascii_end();
/// A [`CommitRefused`](crate::commits::CommitRefused), of the second part.
pub const COMMIT_REFUSED: &str = include_str!("../goldens/commit-refused.json").trim_ascii_end();
/// An [`ErrorBody`](crate::error::ErrorBody).
pub const ERROR: &str = include_str!("../goldens/error.json").trim_ascii_end();

/// Checks that `value` is written as `example` and read from it.
#[cfg(test)]
pub(crate) fn same<T>(value: &T, example: &str)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    assert_eq!(serde_json::to_string(value).expect("JSON"), example);
    assert_eq!(&serde_json::from_str::<T>(example).expect("of this type"), value);
}
