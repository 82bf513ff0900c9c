//! Free TCP ports for programs that cannot choose one themselves.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use anyhow::{Context as _, Result};

/// Below what the kernel gives to outgoing connections by default, so that none of theirs takes a port whose program is
/// down for a moment.
const RANGE: Range<u16> = 10_000..32_768;
/// How many ports are tried for each that is wanted.
const TRIES: usize = 1_000;

/// `N` different ports of 127.0.0.1 that were free a moment ago. Another process may take one before it is used, so
/// the caller tries again when its program cannot bind.
///
/// # Errors
/// No port can be bound.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    // All are held until all are known, so that they differ.
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let mut tried = (0..TRIES).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, fastrand::u16(RANGE))));
        let listener = tried.find_map(Result::ok).context("no free TCP port")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_are_nobodys_by_chance() -> Result<()> {
        let ports: [u16; 50] = free()?;
        let different: std::collections::BTreeSet<u16> = ports.into_iter().collect();
        assert_eq!(different.len(), ports.len());
        assert!(ports.iter().all(|port| RANGE.contains(port)), "{ports:?}");
        Ok(())
    }
}
