//! The configuration that a stock Envoy starts with: its identity and the address of its control plane. Pure.

mod control_plane;
mod document;
pub mod secrets;

use std::net::{IpAddr, Ipv4Addr};

pub use control_plane::ControlPlaneAddress;
use fleetmesh_model::Arn;

/// The port of Envoy's admin interface unless somebody chose another; that of AWS's image too.
pub const ADMIN_PORT: u16 = 9901;
/// How many connections Envoy accepts at once unless somebody chose another number.
pub const MAX_CONNECTIONS: u32 = 50_000;

/// Where the certificates of a proxy are unless somebody chose another folder.
pub const CERT_DIR: &str = "/var/lib/fleetmesh/certs";

/// The Unix socket of the host's secret discovery service unless somebody chose another.
pub const SDS_SOCKET: &str = "/run/fleetmesh/sds.sock";

/// What a bootstrap says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// The virtual node, as `mesh/apps/virtualNode/serviceB` or as its ARN.
    pub resource: String,
    /// The EC2 instance that the proxy runs on; without it the control plane distinguishes proxies by their addresses.
    pub instance_id: Option<String>,
    /// Where the control plane serves proxies.
    pub control_plane: ControlPlaneAddress,
    /// The folder with the proxy's certificate and its control plane's CA ([`secrets`]); used with `https://` alone.
    pub cert_dir: String,
    /// The Unix socket of the host's secret discovery service, by its absolute path ([`sds_socket`]).
    pub sds_socket: String,
    /// The address of the admin interface, which has no passwords: a loopback one.
    pub admin_address: IpAddr,
    /// The port of the admin interface; 0 lets Envoy take a free one.
    pub admin_port: u16,
    /// How many connections Envoy accepts at once, at least 1.
    pub max_connections: u32,
    /// Whether Envoy reports to the control plane how many requests went to each cluster and what came of them.
    pub load_reporting: bool,
}

/// The virtual node that a proxy runs, from a command line: its ARN, or the resource part of that; as it was given.
///
/// # Errors
/// In words: `text` names nothing of App Mesh, or something that has no proxy.
pub fn virtual_node(text: &str) -> Result<String, String> {
    let resource = Arn::parse_resource(text)?;
    let kind = resource.kind();
    if !kind.info().has_proxies {
        return Err(format!(
            "{resource} is a {kind}, and a proxy runs a VirtualNode or a VirtualGateway, as in mesh/MESH/virtualNode/NAME"
        ));
    }
    Ok(text.to_owned())
}

/// The path of a Unix socket, from a command line, with or without `unix:`.
///
/// # Errors
/// In words: it is no absolute path, or too long for a socket.
pub fn sds_socket(text: &str) -> Result<String, String> {
    control_plane::unix_path(text.strip_prefix("unix:").unwrap_or(text))
}

/// The document could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot render the bootstrap: {0}")]
pub struct RenderError(String);

impl Bootstrap {
    /// The bootstrap with the defaults of `fleetmesh proxy bootstrap`.
    pub fn new(resource: impl Into<String>, control_plane: ControlPlaneAddress) -> Self {
        Self {
            resource: resource.into(),
            instance_id: None,
            control_plane,
            cert_dir: CERT_DIR.to_owned(),
            sds_socket: SDS_SOCKET.to_owned(),
            admin_address: Ipv4Addr::LOCALHOST.into(),
            admin_port: ADMIN_PORT,
            max_connections: MAX_CONNECTIONS,
            load_reporting: true,
        }
    }

    /// As YAML that ends with a line break. Fails only when the writer does.
    pub fn yaml(&self) -> Result<String, RenderError> {
        // A type's URL stays on its line however long it is, so that people and grep find it.
        self.yaml_by(serde_saphyr::ser_options! { prefer_block_scalars: false })
    }

    /// The same, indented by no more than YAML asks for: user data has a bound.
    pub(crate) fn narrow_yaml(&self) -> Result<String, RenderError> {
        self.yaml_by(serde_saphyr::ser_options! { indent_step: 1, prefer_block_scalars: false })
    }

    fn yaml_by(&self, options: serde_saphyr::SerializerOptions) -> Result<String, RenderError> {
        let text = serde_saphyr::to_string_with_options(&document::document(self), options);
        text.map(|text| ended(&text)).map_err(|error| RenderError(error.to_string()))
    }

    /// As JSON that ends with a line break. Fails only when the writer does.
    pub fn json(&self) -> Result<String, RenderError> {
        let text = serde_json::to_string_pretty(&document::document(self));
        text.map(|text| ended(&text)).map_err(|error| RenderError(error.to_string()))
    }
}

fn ended(text: &str) -> String {
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_of_secrets_is_an_absolute_path() {
        for text in ["/run/spire/agent.sock", "unix:/run/spire/agent.sock", "unix:///run/spire/agent.sock"] {
            assert_eq!(sds_socket(text).as_deref(), Ok("/run/spire/agent.sock"));
        }
        assert!(sds_socket("agent.sock").is_err_and(|said| said.contains("not an absolute path")));
        assert!(
            sds_socket(&format!("/{}", "x".repeat(107)))
                .is_err_and(|said| said.contains("at most 107 bytes"))
        );
    }
}
