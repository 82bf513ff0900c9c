//! Free TCP ports for programs that cannot choose one themselves.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tokio::net::TcpSocket;

/// Below what the kernel gives to outgoing connections by default, so that none of theirs takes a port whose program is
/// down for a moment.
const RANGE: Range<u16> = 10_000..32_768;
/// How many ports are tried for each that is wanted.
const TRIES: usize = 1_000;

/// What this process was given: a test of it may not have begun to listen yet.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// `N` ports of 127.0.0.1 where nobody listened a moment ago, and that no other call in this process gives. Another
/// process may take one before it is used, so the caller tries again when its program cannot bind.
///
/// # Errors
/// No port can be bound.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut ports = [0; N];
    for port in &mut ports {
        let mut tried = std::iter::repeat_with(|| fastrand::u16(RANGE)).take(TRIES);
        *port = tried.find(|port| !given.contains(port) && is_free(*port)).context("no free TCP port")?;
        given.insert(*port);
    }
    Ok(ports)
}

/// Whether nobody listens there. The socket only binds: a child that is forked meanwhile has it until it executes its
/// program, and would keep others from the port if the socket listened.
fn is_free(port: u16) -> bool {
    let bind = || {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    };
    bind().is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn ports_differ_and_are_nobodys_by_chance() -> Result<()> {
        let ports = [free::<50>()?, free::<50>()?].concat();
        let different: BTreeSet<u16> = ports.iter().copied().collect();
        assert_eq!(different.len(), ports.len());
        assert!(ports.iter().all(|port| RANGE.contains(port)), "{ports:?}");
        Ok(())
    }

    #[test]
    fn where_somebody_listens_is_not_free_and_where_somebody_only_looked_is() -> Result<()> {
        let [port] = free()?;
        let looking = TcpSocket::new_v4()?;
        looking.set_reuseaddr(true)?;
        looking.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        assert!(is_free(port));
        let _listening = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        assert!(!is_free(port));
        Ok(())
    }
}
