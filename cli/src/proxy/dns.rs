//! The flags of `fleetmesh proxy dns`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use fleetmesh_dns::{DnsConfig, Error};
use fleetmesh_instance::bootstrap::ADMIN_PORT;
use tokio_util::sync::CancellationToken;

use super::list::{self, List};

/// The port of DNS.
const PORT: u16 = 53;

/// Resolve the names of the mesh on this machine: a service's name resolves without a record anywhere.
///
/// Answers the names of the services that this machine's virtual node may call with addresses of 198.18.0.0/15, where interception
/// finds their connections, and forwards all other names. Names come from Envoy's admin interface; they stay while Envoy restarts.
///
/// Let the machine resolve by it: `nameserver 127.0.0.153` in /etc/resolv.conf, or a drop-in of systemd-resolved with
/// DNS=127.0.0.153 and Domains=~. in it.
#[derive(Args, Clone, Debug)]
pub struct DnsArgs {
    /// Where it listens, over UDP and TCP: a loopback address, IP or IP:PORT
    #[arg(long, env = "FLEETMESH_DNS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.153", value_parser = loopback)]
    pub listen: SocketAddr,

    /// A server that knows all other names, IP or IP:PORT; repeatable. In place of those of --resolv-conf
    #[arg(long, env = "FLEETMESH_DNS_UPSTREAM", value_name = "ADDRESS", value_delimiter = ',', value_parser = server)]
    pub upstream: Vec<SocketAddr>,

    /// A file that names the servers that know all other names, as it was before this resolver was in it
    #[arg(long, env = "FLEETMESH_DNS_RESOLV_CONF", value_name = "FILE", default_value = "/etc/resolv.conf")]
    pub resolv_conf: PathBuf,

    /// The address of Envoy's admin interface: IP:PORT
    #[arg(long, env = "FLEETMESH_ADMIN", value_name = "ADDRESS", default_value_t = SocketAddr::from(([127, 0, 0, 1], ADMIN_PORT)))]
    pub admin: SocketAddr,

    /// The users whose questions are all forwarded, separated by commas: Envoy's, which asks for what is behind the services
    ///
    /// A question that comes by way of another resolver of this machine is that one's: give Envoy a resolv.conf of its own then.
    #[arg(long, env = "FLEETMESH_IGNORE_UID", value_name = "UID", default_value = "1337", value_parser = list::ids)]
    pub ignore_uid: List<u32>,

    /// The id of the user to become when the port is taken: one that reaches Envoy's admin interface. Stays the caller by default
    #[arg(long, env = "FLEETMESH_DNS_USER", value_name = "UID")]
    pub user: Option<u32>,
}

/// Answers until `shutdown`.
///
/// # Errors
/// See [`Error`].
pub async fn run(args: DnsArgs, shutdown: CancellationToken) -> Result<(), Error> {
    let config = DnsConfig {
        listen: args.listen,
        admin: args.admin,
        upstreams: args.upstream,
        resolv_conf: args.resolv_conf,
        ignored_uids: args.ignore_uid.0,
        user: args.user,
    };
    fleetmesh_dns::run(config, shutdown).await
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address = server(text)?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!(
            "{address} is not a loopback address: it answers its own machine alone, at 127.0.0.0/8 or [::1]"
        ))
    }
}

fn server(text: &str) -> Result<SocketAddr, String> {
    let alone = || text.parse::<IpAddr>().map(|address| SocketAddr::new(address, PORT));
    text.parse()
        .or_else(|_| alone())
        .map_err(|_| format!("{text:?} is not an IP address, with or without a port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_for_this_machine_alone() {
        assert_eq!(
            loopback("127.0.0.153").map(|address| address.to_string()),
            Ok("127.0.0.153:53".to_owned())
        );
        assert_eq!(loopback("[::1]:5353").map(|address| address.port()), Ok(5353));
        for text in ["0.0.0.0", "10.0.0.1:53", "::", "[::]:53"] {
            assert!(loopback(text).expect_err(text).contains("not a loopback address"), "{text}");
        }
        assert!(server("localhost").expect_err("a name").contains("not an IP address"));
        assert_eq!(server("fd00::2"), Ok("[fd00::2]:53".parse().expect("an address")));
    }
}
