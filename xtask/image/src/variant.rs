//! The two images: the whole program for Kubernetes, and the proxy commands alone for instances.

use anyhow::{Result, bail};

/// Bytes that the binary of instances stays below: each instance fetches it before it can take traffic.
const PROXY_BOUND: u64 = 12_000_000;

/// Which image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Operator, control plane and all other commands.
    Full,
    /// `fleetmesh proxy …`.
    Proxy,
}

impl Variant {
    /// The image's name, without a registry. The chart's `image.repository` has the first as its default.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "fleetmesh",
            Self::Proxy => "fleetmesh-proxy",
        }
    }

    /// Whether a binary of `bytes` may be shipped.
    ///
    /// # Errors
    /// It is too large.
    pub fn check_size(self, bytes: u64) -> Result<()> {
        if self == Self::Proxy && bytes >= PROXY_BOUND {
            bail!(
                "the binary has {bytes} bytes, and instances fetch one of less than {PROXY_BOUND}: see what came \
                 into `cargo tree --package fleetmesh --no-default-features --features proxy`"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_size_bounds_what_instances_fetch() {
        assert!(Variant::Proxy.check_size(PROXY_BOUND - 1).is_ok());
        assert!(Variant::Proxy.check_size(PROXY_BOUND).is_err());
        assert!(Variant::Full.check_size(PROXY_BOUND).is_ok());
    }
}
