//! Which names a proxy may ask for. Pure.
//!
//! Names that a proxy asks for are kept for as long as its stream, and looked at whenever something changes. Names that this control
//! plane never uses are not kept: they could never be served.

use fleetmesh_model::ResourceId;

use super::StreamError;
use crate::snapshot::{ResourceType, names as given};

/// The longest name that is given: of a cluster, with the names of a mesh and of a node.
const LONGEST: usize = 600;

/// Those of `names` that a proxy of `node` could be served. When it asks for others only, an empty name stands for them,
/// which nothing has: to ask for nothing would be something else.
///
/// # Errors
/// [`StreamCode::ResourceExhausted`](super::StreamCode::ResourceExhausted) for more than `most`.
pub fn servable(
    kind: ResourceType,
    node: &ResourceId,
    names: Vec<String>,
    most: Option<usize>,
) -> Result<Vec<String>, StreamError> {
    let asked = !names.is_empty();
    let mut kept: Vec<String> = Vec::new();
    for name in names.into_iter().filter(|name| is_given(kind, node.mesh_name(), name)) {
        within(kind, kept.len() + 1, most)?;
        kept.push(name);
    }
    if asked && kept.is_empty() {
        kept.push(String::new());
    }
    kept.shrink_to_fit();
    Ok(kept)
}

/// Whether a proxy may name so many resources at once.
///
/// # Errors
/// [`StreamCode::ResourceExhausted`](super::StreamCode::ResourceExhausted) for more than `most`.
pub fn within(kind: ResourceType, count: usize, most: Option<usize>) -> Result<(), StreamError> {
    match most.filter(|most| count > *most) {
        Some(most) => Err(StreamError::resource_exhausted(format!(
            "the request names more than {most} resources of type {}: raise --max-names-per-request",
            kind.name()
        ))),
        None => Ok(()),
    }
}

/// Whether a resource of this type of a mesh may have the name.
pub fn is_given(kind: ResourceType, mesh: &str, name: &str) -> bool {
    if name.len() > LONGEST {
        return false;
    }
    let of_mesh = |start: &str| {
        let rest = name.strip_prefix(start).and_then(|rest| rest.strip_prefix(mesh));
        rest.is_some_and(|rest| rest.starts_with('_'))
    };
    match kind {
        ResourceType::Cluster => name == "*" || of_mesh("cds_egress_") || of_mesh("cds_ingress_"),
        ResourceType::Endpoint => of_mesh("cds_egress_"),
        ResourceType::Secret => {
            let starts = [given::CERTIFICATE_SECRET, given::TRUST_SECRET, given::ACM_TRUST_SECRET];
            let hash = starts.iter().find_map(|start| name.strip_prefix(start));
            let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            hash.is_some_and(|hash| hash.len() == given::SECRET_DIGITS && hash.bytes().all(is_digit))
        }
        ResourceType::Listener => {
            let port = name.strip_prefix(given::GATEWAY_LISTENER);
            ["*", given::EGRESS_LISTENER].contains(&name)
                || port.is_some_and(|port| port.parse::<u16>().is_ok())
        }
        ResourceType::Route => {
            let rest = name.strip_prefix("rds_egress_").or_else(|| name.strip_prefix("rds_ingress_"));
            let parts = rest.and_then(|rest| rest.rsplit_once('_'));
            parts.is_some_and(|(protocol, port)| {
                ["http", "http2", "grpc", "tcp"].contains(&protocol) && port.parse::<u16>().is_ok()
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(kind: ResourceType, names: &[&str]) -> Vec<String> {
        let names = names.iter().map(ToString::to_string).collect();
        servable(kind, &ResourceId::virtual_node("apps", "a"), names, Some(3)).expect("few")
    }

    #[test]
    fn what_is_given_is_kept_and_nothing_else() {
        use ResourceType::{Cluster, Endpoint, Listener, Route, Secret};
        for (kind, names) in [
            (Cluster, vec!["*", "cds_egress_apps_b_http_80", "cds_ingress_apps_a_http_80"]),
            (Endpoint, vec!["cds_egress_apps_b_http_80"]),
            (Secret, vec!["file_certificate_0123456789abcdef", "file_trust_0123456789abcdef"]),
            (Listener, vec!["*", "lds_ingress_0.0.0.0_15000", "lds_egress_0.0.0.0_15001"]),
            (Listener, vec!["lds_ingress_0.0.0.0_80", "lds_ingress_0.0.0.0_65535"]),
            (Route, vec!["rds_egress_http2_80", "rds_ingress_grpc_65535"]),
        ] {
            assert_eq!(kept(kind, &names), names);
            assert_eq!(kept(kind, &[]), Vec::<String>::new(), "nothing named stays nothing named");
            assert_eq!(
                kept(kind, &["x", &"y".repeat(10_000)]),
                [""],
                "and is not the same as nothing that exists"
            );
        }
        assert_eq!(kept(Listener, &["lds_ingress_0.0.0.0_65536", "lds_egress_0.0.0.0_80"]), [""]);
        assert_eq!(kept(Cluster, &["cds_egress_other_b_http_80", "cds_egress_apps"]), [""]);
        assert_eq!(kept(Secret, &["file_trust_0123456789abcde", "file_trust_0123456789ABCDEF", "*"]), [""]);
        assert_eq!(
            kept(Route, &["rds_egress_http2_65536", "rds_egress_x_80", "rds_egress_tcp_80"]),
            ["rds_egress_tcp_80"]
        );
    }

    #[test]
    fn more_than_the_limit_is_refused_and_no_limit_is_none() {
        let names = || (0..4).map(|port| format!("rds_egress_http_{port}")).collect::<Vec<_>>();
        let node = ResourceId::virtual_node("apps", "a");
        let refused = servable(ResourceType::Route, &node, names(), Some(3)).expect_err("four");
        assert_eq!(refused.code.number(), 8, "{refused}");
        assert_eq!(servable(ResourceType::Route, &node, names(), None).expect("any").len(), 4);
    }
}
