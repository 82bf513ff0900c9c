//! What callers of other hosts may take of a listener, as flags. Pure data.

use clap::Args;

/// Bounds for one source, an IPv4 address or an IPv6 /64, at each listener that other hosts reach.
///
/// A connection of a proxy with a good certificate counts for its holder and not for its source; one of a caller whose
/// request was signed counts no more.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many TLS handshakes of one source may be under way; the others of it wait for their turn. 1 to 1024.
    #[arg(
        long = "max-handshakes-per-source",
        env = "FLEETMESH_MAX_HANDSHAKES_PER_SOURCE",
        value_name = "COUNT",
        default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=1024)
    )]
    pub handshakes: u32,

    /// How many connections of one source may wait for their TLS handshake; beyond that its oldest is closed. 64 to 65536.
    ///
    /// A whole fleet behind one address (a NAT, a load balancer that hides its clients) that connects again is such a queue:
    /// let it be no less than the fleet.
    #[arg(
        long = "max-waiting-per-source",
        env = "FLEETMESH_MAX_WAITING_PER_SOURCE",
        value_name = "COUNT",
        default_value_t = 8192,
        value_parser = clap::value_parser!(u32).range(64..=65_536)
    )]
    pub waiting: u32,

    /// How many connections of one source may be open without proof of who is there; beyond that its oldest is closed. 8 to
    /// 65536.
    #[arg(
        long = "max-connections-per-source",
        env = "FLEETMESH_MAX_CONNECTIONS_PER_SOURCE",
        value_name = "COUNT",
        default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(8..=65_536)
    )]
    pub connections: u32,

    /// How many connections with one certificate, or with those of one instance that joined, may be open without a stream;
    /// beyond that the oldest of them is closed. 8 to 65536.
    ///
    /// A proxy opens its stream at once. Where a whole fleet shares a certificate of `fleetmesh certs issue` and connects
    /// again at once, let it be as many as connect within a moment.
    #[arg(
        long = "max-idle-connections-per-certificate",
        env = "FLEETMESH_MAX_IDLE_CONNECTIONS_PER_CERTIFICATE",
        value_name = "COUNT",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(8..=65_536)
    )]
    pub idle: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { handshakes: 256, waiting: 8192, connections: 256, idle: 64 }
    }
}
