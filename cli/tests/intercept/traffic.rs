//! Where connections arrive while interception is enabled.

use crate::namespace::{INSTANCE, Namespace, REMOTE};
use crate::{APPLICATION, PROXY, intercept_ok};

/// An instance with an Envoy's two ports and an application, and another machine with some services.
fn fleet() -> (Namespace, Namespace) {
    let (instance, remote) = Namespace::pair();
    instance.serve(15000, "ingress");
    instance.serve(15001, "egress");
    instance.serve(8000, "application");
    for port in [22, 80, 3306] {
        remote.serve(port, "remote");
    }
    for address in ["169.254.169.254/32", "192.0.2.7/32", "2001:db8::7/128"] {
        remote.add_address(address);
    }
    (instance, remote)
}

fn who(answer: Option<&str>) -> Option<String> {
    answer.map(str::to_owned)
}

fn outgoing(backend: &str) {
    let (instance, _remote) = fleet();
    assert_eq!(instance.ask(APPLICATION, REMOTE[0], 80), who(Some("remote")), "before anything is enabled");
    intercept_ok(&instance, &["enable", "--backend", backend, "--ignored-egress-ports", "3306"]);

    assert_eq!(instance.ask(APPLICATION, REMOTE[0], 80), who(Some("egress")));
    assert_eq!(instance.ask(APPLICATION, "192.0.2.7", 80), who(Some("egress")));
    assert_eq!(
        instance.ask(APPLICATION, REMOTE[0], 12345),
        who(Some("egress")),
        "a port where nobody listens"
    );
    assert_eq!(instance.ask(PROXY, REMOTE[0], 80), who(Some("remote")), "the proxy itself");
    assert_eq!(instance.ask(APPLICATION, REMOTE[0], 22), who(Some("remote")), "SSH, always");
    assert_eq!(instance.ask(APPLICATION, REMOTE[0], 3306), who(Some("remote")), "an ignored port");
    assert_eq!(instance.ask(APPLICATION, "169.254.169.254", 80), who(Some("remote")), "an ignored address");
    assert_eq!(instance.ask(APPLICATION, "127.0.0.1", 8000), who(Some("application")), "a local connection");
    assert_eq!(instance.ask(APPLICATION, REMOTE[1], 80), who(Some("remote")), "IPv6, off by default");

    intercept_ok(&instance, &["disable"]);
    assert_eq!(instance.ask(APPLICATION, REMOTE[0], 80), who(Some("remote")), "after disable");
}

fn incoming(backend: &str) {
    let (instance, remote) = fleet();
    intercept_ok(&instance, &["enable", "--backend", backend, "--app-ports", "8000,8001"]);
    assert_eq!(remote.ask(APPLICATION, INSTANCE[0], 8000), who(Some("ingress")));
    assert_eq!(remote.ask(APPLICATION, INSTANCE[0], 8001), who(Some("ingress")));
    assert_eq!(remote.ask(APPLICATION, INSTANCE[0], 8002), None, "a port that is not the application's");
    assert_eq!(remote.ask(APPLICATION, INSTANCE[1], 8000), who(Some("application")), "IPv6, off by default");
    assert_eq!(instance.ask(PROXY, INSTANCE[0], 8000), who(Some("application")), "from the machine itself");

    intercept_ok(&instance, &["enable", "--backend", backend, "--app-ports", ""]);
    assert_eq!(remote.ask(APPLICATION, INSTANCE[0], 8000), who(Some("application")), "no application port");
    assert_eq!(instance.ask(APPLICATION, REMOTE[0], 80), who(Some("egress")), "outgoing ones all the same");
}

fn ipv6(backend: &str) {
    let (instance, remote) = fleet();
    let options =
        ["enable", "--ipv6", "--ignored-ips", "2001:db8::/32,169.254.169.254", "--backend", backend];
    intercept_ok(&instance, &options);
    for family in [0, 1] {
        assert_eq!(instance.ask(APPLICATION, REMOTE[family], 80), who(Some("egress")));
        assert_eq!(instance.ask(PROXY, REMOTE[family], 80), who(Some("remote")));
        assert_eq!(instance.ask(APPLICATION, REMOTE[family], 22), who(Some("remote")));
        assert_eq!(remote.ask(APPLICATION, INSTANCE[family], 8000), who(Some("ingress")));
    }
    assert_eq!(instance.ask(APPLICATION, "2001:db8::7", 80), who(Some("remote")), "an ignored range");
    assert_eq!(instance.ask(APPLICATION, "::1", 8000), who(Some("application")));
}

fn group(backend: &str) {
    let (instance, _remote) = fleet();
    intercept_ok(&instance, &["enable", "--ignore-uid", "", "--ignore-gid", "1337", "--backend", backend]);
    assert_eq!(instance.ask(PROXY, REMOTE[0], 80), who(Some("remote")));
    assert_eq!(instance.ask(APPLICATION, REMOTE[0], 80), who(Some("egress")));
}

fn guarded(backend: &str) {
    let (instance, remote) = fleet();
    remote.add_address("fd00:ec2::254/128");
    instance.serve(9901, "admin");
    // What somebody else lets pass, and put first.
    for program in ["iptables", "ip6tables"] {
        instance.run(program, &["-A", "OUTPUT", "-j", "ACCEPT"]);
    }
    let metadata = ["169.254.169.254", "fd00:ec2::254"].map(|address| (address, 80, "remote"));
    let admin = ["127.0.0.1", "::1", INSTANCE[0]].map(|address| (address, 9901, "admin"));
    let ask = |uid, gid, (address, port, _)| instance.ask_as(uid, gid, address, port);
    let options = ["enable", "--backend", backend, "--ignored-ips", "169.254.169.254,fd00:ec2::254"];
    intercept_ok(&instance, &options);
    for place in metadata.into_iter().chain(admin) {
        assert_eq!(
            ask(APPLICATION, APPLICATION, place),
            who(Some(place.2)),
            "{place:?} is everybody's by default"
        );
    }
    let guard = ["--guard-metadata", "--guard-ports", "9901", "--guard-denied-gids", "1338"];
    intercept_ok(&instance, &[&options[..], &guard].concat());
    for place in metadata.into_iter().chain(admin) {
        assert_eq!(ask(0, 0, place), who(Some(place.2)), "{place:?} for root");
        assert_eq!(ask(PROXY, PROXY, place), who(Some(place.2)), "{place:?} for the proxy");
        assert_eq!(ask(APPLICATION, APPLICATION, place), None, "{place:?} for anybody else");
        assert_eq!(ask(0, 1338, place), None, "{place:?} for root of a group that is denied");
        assert_eq!(ask(PROXY, 1338, place), None, "{place:?} for the proxy's user in such a group");
    }
    assert_eq!(
        instance.ask(APPLICATION, "127.0.0.1", 8000),
        who(Some("application")),
        "nothing else is guarded"
    );
    assert_eq!(
        instance.ask(APPLICATION, REMOTE[0], 9901),
        who(Some("egress")),
        "nor that port of other machines"
    );
}

#[test]
fn metadata_and_admin_are_for_root_and_the_proxy_by_iptables() {
    guarded("iptables");
}

#[test]
fn metadata_and_admin_are_for_root_and_the_proxy_by_nft() {
    guarded("nft");
}

#[test]
fn outgoing_connections_go_to_the_proxy_by_iptables() {
    outgoing("iptables");
}

#[test]
fn outgoing_connections_go_to_the_proxy_by_nft() {
    outgoing("nft");
}

#[test]
fn incoming_connections_go_to_the_proxy_by_iptables() {
    incoming("iptables");
}

#[test]
fn incoming_connections_go_to_the_proxy_by_nft() {
    incoming("nft");
}

#[test]
fn ipv6_goes_to_the_proxy_by_iptables() {
    ipv6("iptables");
}

#[test]
fn ipv6_goes_to_the_proxy_by_nft() {
    ipv6("nft");
}

#[test]
fn a_group_identifies_the_proxy_by_iptables() {
    group("iptables");
}

#[test]
fn a_group_identifies_the_proxy_by_nft() {
    group("nft");
}
