//! Client tokens: the same request has the same token, so a request that is repeated after a lost reply or a crash is answered and
//! not carried out twice. Pure.

use fleetmesh_model::Spec;
use sha2::{Digest, Sha256};

/// Changes whenever the derivation does, so that tokens of different versions never meet.
const VERSION: &str = "fleetmesh/1";

/// The token for bringing the object of the resource `owner` from the state `base` to `spec`. `base` names the App Mesh
/// object that the request starts from (its uid and version; empty when there was never one): going back to an earlier
/// spec is another wish than the earlier one.
pub fn token(owner: &str, base: &str, spec: &Spec) -> String {
    digest(&[owner, base, &serde_json::to_string(spec).unwrap_or_default()])
}

/// The token for the wish that `parts` make up, 32 hexadecimal digits.
pub fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in [VERSION].iter().chain(parts) {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    format!("{:.32}", hex::encode(hash.finalize()))
}
