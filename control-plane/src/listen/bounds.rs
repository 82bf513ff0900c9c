//! The bounds on what callers from other hosts may use of a listener. Pure data.

/// Bounds for one source, an IPv4 address or an IPv6 /64, at each listener that other hosts reach.
///
/// A connection of a proxy with a good certificate counts for its holder and not for its source; one of a caller whose
/// request was signed counts no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// TLS handshakes of one source that may be under way, at least 1; the others of it wait for their turn.
    pub handshakes: u32,
    /// Connections of one source that may wait for their TLS handshake, at least 64; beyond that its oldest is closed.
    pub waiting: u32,
    /// Connections of one source that may be open without proof of who is there, at least 8; beyond that its oldest is closed.
    pub connections: u32,
    /// Connections with one certificate, or with those of one instance that joined, that may be open without a stream, at least
    /// 8; beyond that the oldest of them is closed.
    pub idle: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { handshakes: 256, waiting: 8192, connections: 256, idle: 64 }
    }
}
