//! Free TCP ports for programs that cannot choose one themselves.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, Result};

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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free TCP port")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
