//! Access for `cargo xtask fuzz` (`tests/fuzz`) to parsers that are not part of this crate's interface. Nothing else uses it, and it
//! may change at any time.

use fleetmesh_api::join::JoinRequest;
use fleetmesh_mesh::grant::StsCaller;
use http::HeaderMap;
use rustls::pki_types::CertificateDer;

use crate::join::StsEndpoint;
use crate::join::{document, proof, sts};

/// Reads the body of a request to join, and makes of it the headers of the request to STS.
///
/// # Errors
/// The message for the instance; none when the body is no JSON of such a request.
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
