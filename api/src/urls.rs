//! Paths of the control plane's endpoints besides the App Mesh API.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// `GET`: how far the objects of a mesh got among its proxies. `{mesh}` stands for the mesh's name ([`of_mesh`]).
pub const DISTRIBUTION: &str = "/fleetmesh/v1/meshes/{mesh}/distribution";
/// `GET`: what the proxies report of the requests that they send. `{mesh}` stands for the mesh's name ([`of_mesh`]).
pub const LOADS: &str = "/fleetmesh/v1/meshes/{mesh}/loads";
/// `GET`: what of a mesh is stored and not in force. `{mesh}` stands for the mesh's name ([`of_mesh`]).
pub const UNSERVED: &str = "/fleetmesh/v1/meshes/{mesh}/unserved";
/// `POST`: several changes that are decided together. `{mesh}` stands for the mesh's name ([`of_mesh`]).
pub const COMMITS: &str = "/fleetmesh/v1/meshes/{mesh}/commits";
/// `POST`: a challenge ([`crate::join::ChallengeRequest`]).
pub const JOIN_CHALLENGE: &str = "/fleetmesh/v1/join/challenge";
/// `POST`: a certificate ([`crate::join::JoinRequest`]).
pub const JOIN: &str = "/fleetmesh/v1/join";

/// The path `template` of the mesh called `mesh`, percent-encoded.
pub fn of_mesh(template: &str, mesh: &str) -> String {
    template.replace("{mesh}", &escape(mesh))
}

/// What is percent-encoded: all but letters, digits and the other unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes what is not unreserved (RFC 3986), for a segment of a path or a value of a query.
pub fn escape(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_mesh_are_percent_encoded() {
        assert_eq!(of_mesh(DISTRIBUTION, "apps"), "/fleetmesh/v1/meshes/apps/distribution");
        assert_eq!(of_mesh(LOADS, "a/b ü.~"), "/fleetmesh/v1/meshes/a%2Fb%20%C3%BC.~/loads");
    }
}
