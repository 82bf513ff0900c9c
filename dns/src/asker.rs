//! Which user of this machine asks. Envoy resolves the names of what is behind a service, which are often the service's own: it is to
//! get the addresses that are there, and not the virtual one that would lead to itself.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::forward::Transport;

/// Where in a line of the kernel's table the local address is, and from there the user.
const LOCAL: usize = 1;
const USER: usize = 5;

/// How often the tables are read until they have the asker. One may be left out while others come and go, in one of a hundred
/// readings beside busy neighbours: the kernel gives a table in pieces.
const READINGS: usize = 4;

/// The users who have a socket of `transport` at `asker`, each once; none that are known when the system does not say.
pub async fn users(asker: SocketAddr, transport: Transport) -> BTreeSet<u32> {
    let name = match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    };
    let mut found = BTreeSet::new();
    for _ in 0..READINGS {
        for family in ["", "6"] {
            let table = tokio::fs::read_to_string(format!("/proc/net/{name}{family}")).await;
            found.extend(listed(&table.unwrap_or_default(), asker));
        }
        if !found.is_empty() {
            break;
        }
    }
    found
}

/// The users of the sockets in `table`, as in proc_pid_net(5), that a message from `asker` may be of.
fn listed(table: &str, asker: SocketAddr) -> Vec<u32> {
    let of = |line: &str| {
        let mut words = line.split_whitespace().skip(LOCAL);
        let (address, port) = words.next()?.split_once(':')?;
        let same = u16::from_str_radix(port, 16).ok()? == asker.port() && is(address, asker.ip());
        words.nth(USER).filter(|_| same)?.parse().ok()
    };
    table.lines().filter_map(of).collect()
}

/// Whether `text` is `address` in the kernel's spelling, or all addresses.
fn is(text: &str, address: IpAddr) -> bool {
    // Words of 32 bits, each a number in the machine's own order.
    let words =
        text.as_bytes().chunks(8).map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok());
    let Some(words) = words.collect::<Option<Vec<u32>>>() else { return false };
    let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
    let found = match (<[u8; 4]>::try_from(bytes.as_slice()), <[u8; 16]>::try_from(bytes.as_slice())) {
        (Ok(bytes), _) => IpAddr::from(bytes),
        (_, Ok(bytes)) => IpAddr::from(bytes).to_canonical(),
        _ => return false,
    };
    found.is_unspecified() || found == address.to_canonical()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use tokio::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[tokio::test]
    async fn a_socket_is_its_users() {
        let own = std::fs::metadata("/proc/self").expect("this process").uid();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let stream =
            TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        let address = stream.local_addr().expect("an address");
        assert_eq!(users(address, Transport::Tcp).await, [own].into());
        for bound in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            let socket = UdpSocket::bind(bound).await.expect("a socket");
            let port = socket.local_addr().expect("an address").port();
            let asker = SocketAddr::from(([127, 0, 0, 1], port));
            assert_eq!(users(asker, Transport::Udp).await, [own].into(), "{bound}");
            let elsewhere = SocketAddr::from(([127, 0, 0, 1], port.wrapping_add(1).max(1)));
            let others = users(elsewhere, Transport::Udp).await;
            assert!(others.len() <= 1, "{others:?}");
        }
    }

    #[test]
    fn a_line_says_address_port_and_user() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        let line = "  12: 0100007F:D431 3500007F:0035 01 00000000:00000000 00:00000000 00000000  1337        0 4242 2\n";
        let table = [head, line, "nonsense\n", "1: X:Y\n"].concat();
        let asker = |text: &str| text.parse::<SocketAddr>().expect("an address");
        assert_eq!(listed(&table, asker("127.0.0.1:54321")), [1337]);
        assert!(listed(&table, asker("127.0.0.2:54321")).is_empty());
        assert!(listed(&table, asker("127.0.0.1:54322")).is_empty());
    }
}
