//! Where a Fleetmesh control plane answers what the App Mesh API does not have. No I/O.

use serde::Deserialize;

/// The address of `what` about `mesh` at `endpoint`, without a query.
pub(crate) fn mesh_url(endpoint: &str, mesh: &str, what: &str) -> String {
    format!("{}/fleetmesh/v1/meshes/{}/{what}", endpoint.trim_end_matches('/'), escape(mesh))
}

/// Percent-encodes what is not unreserved (RFC 3986).
pub(crate) fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// What a refusal says in words, when it is one of a Fleetmesh control plane: a body in its shape.
pub(crate) fn refusal(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    (!refusal.message.is_empty()).then_some(refusal.message)
}
