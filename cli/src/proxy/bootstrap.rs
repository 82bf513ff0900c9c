//! `fleetmesh proxy bootstrap`: its flags. [`fleetmesh_instance::bootstrap`] renders.

use std::net::IpAddr;

use clap::{Args, ValueEnum};
use fleetmesh_instance::bootstrap::{self, Bootstrap, ControlPlaneAddress, RenderError, virtual_node};

/// Options of `fleetmesh proxy bootstrap`.
#[derive(Clone, Debug, Args)]
pub struct BootstrapArgs {
    /// The virtual node that this proxy runs, as an ARN or its last part.
    ///
    /// Short form: mesh/apps/virtualNode/serviceB. Full form:
    /// arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB.
    #[arg(long, env = "FLEETMESH_RESOURCE", value_name = "ARN", value_parser = virtual_node)]
    pub resource: String,

    /// The id of the EC2 instance that this proxy runs on, for example i-0123456789abcdef0.
    ///
    /// By it the operator knows which instance of a fleet is ready. Without it the control plane distinguishes proxies by
    /// the address that they connect from, which a Unix socket does not have.
    #[arg(long, env = "FLEETMESH_INSTANCE_ID", value_name = "ID")]
    pub instance_id: Option<String>,

    /// Where the control plane serves proxies: unix:/PATH, https://HOST:PORT, http://HOST:PORT or HOST:PORT.
    ///
    /// This is what `fleetmesh control-plane` was given as --ads-listen. An address that is not on this machine is served
    /// over TLS with certificates on both sides (https://): the proxy's is in --cert-dir.
    #[arg(long, env = "FLEETMESH_CONTROL_PLANE", value_name = "ADDRESS")]
    pub control_plane: ControlPlaneAddress,

    /// The folder with the proxy's certificate and the control plane's CA, as `fleetmesh certs issue` writes them; used
    /// with https:// alone.
    ///
    /// They have to be there when Envoy starts. Files that are replaced there are taken in without a restart.
    #[arg(long, env = "FLEETMESH_CERT_DIR", value_name = "DIR", default_value = bootstrap::CERT_DIR)]
    pub cert_dir: String,

    /// The Unix socket of the secret discovery service (SDS) on this host, for example SPIRE's agent.
    ///
    /// Certificates and authorities that a virtual node names as `sds` come from there. Nothing connects to it before a virtual
    /// node names one. It is what AWS's image takes as APPMESH_SDS_SOCKET_PATH.
    #[arg(long, env = "FLEETMESH_SDS_SOCKET", value_name = "PATH", default_value = bootstrap::SDS_SOCKET,
          value_parser = bootstrap::sds_socket)]
    pub sds_socket: String,

    /// The loopback address of Envoy's admin interface.
    ///
    /// The admin interface can stop the proxy and shows its configuration, and knows no passwords: an address that
    /// other machines reach is refused.
    #[arg(long, env = "FLEETMESH_ADMIN_ADDRESS", value_name = "IP", default_value = "127.0.0.1", value_parser = loopback)]
    pub admin_address: IpAddr,

    /// The port of Envoy's admin interface; 0 lets Envoy take a free one.
    #[arg(long, env = "FLEETMESH_ADMIN_PORT", value_name = "PORT", default_value_t = bootstrap::ADMIN_PORT)]
    pub admin_port: u16,

    /// How many connections Envoy accepts at once; more are closed, so that a flood cannot exhaust its memory.
    #[arg(long, env = "FLEETMESH_MAX_CONNECTIONS", value_name = "COUNT", default_value_t = bootstrap::MAX_CONNECTIONS,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,

    /// Report to the control plane how many requests went to each virtual node and what came of them; =false does not.
    ///
    /// Canaries are judged by it. Needs a control plane that serves Envoy's load reporting service (LRS); with one that
    /// does not, Envoy asks again every 5 s and logs each refusal.
    #[arg(
        long,
        env = "FLEETMESH_LOAD_REPORTING",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value = "true",
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        value_parser = clap::builder::BoolishValueParser::new()
    )]
    pub load_reporting: bool,

    /// The format to print; Envoy distinguishes them by the name of its file (.yaml, .json).
    #[arg(short, long, env = "FLEETMESH_BOOTSTRAP_OUTPUT", value_enum, default_value_t = BootstrapFormat::Yaml)]
    pub output: BootstrapFormat,
}

/// A format that Envoy reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BootstrapFormat {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

/// The bootstrap for `args` as text that ends with a line break.
pub fn render(args: &BootstrapArgs) -> Result<String, RenderError> {
    let bootstrap = Bootstrap {
        resource: args.resource.clone(),
        instance_id: args.instance_id.clone(),
        control_plane: args.control_plane.clone(),
        cert_dir: args.cert_dir.clone(),
        sds_socket: args.sds_socket.clone(),
        admin_address: args.admin_address,
        admin_port: args.admin_port,
        max_connections: args.max_connections,
        load_reporting: args.load_reporting,
    };
    match args.output {
        BootstrapFormat::Yaml => bootstrap.yaml(),
        BootstrapFormat::Json => bootstrap.json(),
    }
}

fn loopback(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| format!("{text:?} is not an IP address"))?;
    if address.is_loopback() {
        Ok(address)
    } else {
        Err(format!(
            "{address} is not a loopback address: use 127.0.0.1 or ::1, and a tunnel to reach it from afar"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_both_forms_of_a_virtual_node() {
        for text in [
            "mesh/apps/virtualNode/serviceB",
            "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB",
        ] {
            assert_eq!(virtual_node(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn rejects_other_resources_by_their_kind() {
        let error = virtual_node("mesh/apps/virtualRouter/serviceB").expect_err("a router");
        assert_eq!(
            error,
            "mesh/apps/virtualRouter/serviceB is a VirtualRouter, and a proxy runs a VirtualNode or a VirtualGateway, as in mesh/MESH/virtualNode/NAME"
        );
        assert!(
            virtual_node("serviceB")
                .expect_err("a bare name")
                .contains("expected mesh/MESH/virtualNode/NAME")
        );
    }

    #[test]
    fn rejects_an_admin_interface_that_others_reach() {
        assert!(loopback("0.0.0.0").expect_err("any address").contains("not a loopback address"));
        assert!(loopback("localhost").expect_err("a name").contains("not an IP address"));
        assert_eq!(loopback("::1"), Ok(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])));
    }
}
