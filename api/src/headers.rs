//! Names of HTTP headers, in lower case.

/// In the answers to Describe, Create and Update of the App Mesh API: the members of the spec that are stored and not in force, as
/// paths with commas between them. Absent when all of it is. Why is in [`crate::unserved`].
pub const UNSERVED: &str = "x-fleetmesh-unserved";
/// In every answer of the App Mesh API of an endpoint that takes commits ([`crate::commits`]): the most parts of one. AWS's has none.
pub const COMMITS: &str = "x-fleetmesh-commits";
/// In the request to STS by which an instance joins: the challenge, and what it is for ([`crate::join::bound`]).
pub const CHALLENGE: &str = "x-fleetmesh-challenge";
/// The time of a signature (Signature Version 4), as `YYYYMMDDTHHMMSSZ`.
pub const AMZ_DATE: &str = "x-amz-date";
/// The token of the session whose credentials signed (Signature Version 4).
pub const AMZ_SECURITY_TOKEN: &str = "x-amz-security-token";
