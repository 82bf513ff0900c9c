//! What `cargo xtask fuzz` (`tests/fuzz`) reaches of parsers that are no part of this crate's interface. Nothing else uses
//! it, and it may change at any time.

use bytes::Bytes;
use fleetmesh_api::join::JoinRequest;
use http::HeaderMap;
use prost::Message;
use rustls::pki_types::CertificateDer;

use crate::ads::load_reports::report;
pub use crate::ads::load_reports::wire::{ClusterStats, LoadStatsRequest, UpstreamLocalityStats};
use crate::join::{StsCaller, StsEndpoint};
use crate::join::{document, proof, sts};
use crate::loads::Report;
use crate::snapshot::Targets;

/// Reads a message of the load reporting service as a stream does after its first one.
///
/// # Errors
/// In words: it cannot be read, or is beyond a bound.
pub fn load_report(message: &[u8], targets: &Targets) -> Result<Report, String> {
    let message =
        LoadStatsRequest::decode(Bytes::copy_from_slice(message)).map_err(|error| error.to_string())?;
    report::read(&message.cluster_stats, targets).map_err(|status| status.to_string())
}

/// Reads the body of a request to join, and makes of it the headers of the request to STS.
///
/// # Errors
/// The words that the instance is told; none when it is no JSON of such a request.
pub fn join_headers(body: &[u8], sts: &StsEndpoint) -> Result<HeaderMap, Option<String>> {
    let request: JoinRequest = serde_json::from_slice(body).map_err(|_| None)?;
    proof::headers(&request, sts).map_err(|refusal| Some(refusal.to_string()))
}

/// Reads whom an answer of STS names.
///
/// # Errors
/// In words: it names nobody.
pub fn sts_caller(body: &[u8]) -> Result<StsCaller, String> {
    sts::caller(body)
}

/// Reads an instance identity document, of which it gives what is signed.
///
/// # Errors
/// In words: it is none, or none of `certificates` signed it.
pub fn identity_document(message: &[u8], certificates: &[CertificateDer<'_>]) -> Result<Vec<u8>, String> {
    document::cms::verify(message, certificates)
}
