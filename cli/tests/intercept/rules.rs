//! Which rules are in the kernel after a command: exactly those of its options, and nobody else's are touched.

use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::{command, intercept, intercept_ok};

const BACKENDS: [&str; 2] = ["iptables", "nft"];

/// Everything that can be guarded.
const GUARD: [&str; 5] = ["--guard-metadata", "--guard-ports", "9901,9902", "--guard-denied-gids", "1338"];

/// A namespace with rules of somebody else, in the chains that ours are called from.
fn shared() -> Namespace {
    let namespace = Namespace::new();
    for program in ["iptables", "ip6tables"] {
        for chain in ["PREROUTING", "OUTPUT"] {
            namespace.run(program, &["-t", "nat", "-A", chain, "-p", "tcp", "--dport", "9", "-j", "RETURN"]);
        }
        namespace.run(program, &["-A", "INPUT", "-p", "udp", "--dport", "9", "-j", "DROP"]);
    }
    namespace.run("nft", &["add table inet somebody { chain c { type nat hook output priority 0; }; }"]);
    namespace
}

fn status(namespace: &Namespace) -> (Option<i32>, Value) {
    let output = intercept(namespace, &["status", "-o", "json"]);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn disable_restores_what_was_there() {
    for backend in BACKENDS {
        let namespace = shared();
        let before = namespace.rules();
        intercept_ok(&namespace, &[&["enable", "--ipv6", "--backend", backend], &GUARD[..]].concat());
        assert_ne!(namespace.rules(), before);
        assert_eq!(intercept_ok(&namespace, &["disable"]), "interception is disabled\n");
        assert_eq!(namespace.rules(), before, "{backend}");
        assert_eq!(intercept_ok(&namespace, &["disable"]), "interception was not enabled\n");
    }
}

#[test]
fn disable_of_nothing_makes_nothing() {
    let namespace = Namespace::new();
    intercept_ok(&namespace, &["disable"]);
    assert_eq!(namespace.rules(), "");
}

#[test]
fn enabling_twice_changes_nothing() {
    for backend in BACKENDS {
        let namespace = shared();
        let options = ["enable", "--ipv6", "--backend", backend, "--ignored-ips", "10.0.0.0/8,fd00:ec2::254"];
        let options = [&options[..], &GUARD].concat();
        assert!(intercept_ok(&namespace, &options).starts_with("interception is enabled"));
        let once = namespace.rules();
        assert!(intercept_ok(&namespace, &options).starts_with("interception was enabled like this already"));
        assert_eq!(namespace.rules(), once, "{backend}");
    }
}

#[test]
fn other_options_leave_only_their_own_rules() {
    let ports: Vec<String> = (8000..8040).map(|port| port.to_string()).collect();
    let many = ports.join(",");
    for backend in BACKENDS {
        let (changed, fresh) = (shared(), shared());
        let last = ["enable", "--backend", backend, "--app-ports", &many, "--ignore-gid", "7"];
        intercept_ok(&changed, &["enable", "--backend", backend, "--ipv6", "--ignored-ips", "fd00::/8"]);
        intercept_ok(&changed, &[&["enable", "--backend", backend, "--app-ports", ""], &GUARD[..]].concat());
        intercept_ok(&changed, &last);
        intercept_ok(&fresh, &last);
        assert_eq!(changed.rules(), fresh.rules(), "{backend}");
    }
}

#[test]
fn another_backend_takes_over_completely() {
    for (first, second) in [("iptables", "nft"), ("nft", "iptables")] {
        let (moved, fresh) = (shared(), shared());
        intercept_ok(&moved, &[&["enable", "--ipv6", "--backend", first], &GUARD[..]].concat());
        intercept_ok(&moved, &["enable", "--backend", second]);
        intercept_ok(&fresh, &["enable", "--backend", second]);
        assert_eq!(moved.rules(), fresh.rules(), "{first} to {second}");
        // An open choice stays with what is in use.
        assert!(intercept_ok(&moved, &["enable"]).contains(&format!("already ({second})")));
    }
}

#[test]
fn status_shows_the_options_in_force() {
    for backend in BACKENDS {
        let namespace = shared();
        assert_eq!(status(&namespace), (Some(3), json!({"state": "disabled"})));
        intercept_ok(&namespace, &["enable", "--backend", backend, "--ignored-egress-ports", "25"]);
        let options = json!({
            "ignoredUids": [1337],
            "ignoredGids": [],
            "ingress": {"appPorts": [8000], "port": 15000},
            "egressPort": 15001,
            "ignoredNetworks": ["169.254.169.254", "169.254.170.2"],
            "ignoredEgressPorts": [22, 25],
            "ipv6": false,
        });
        let enabled = json!({"state": "enabled", "backend": backend, "options": options});
        assert_eq!(status(&namespace), (Some(0), enabled));
        let text = String::from_utf8(intercept(&namespace, &["status"]).stdout).unwrap();
        assert!(text.contains("application ports 8000 -> Envoy's port 15000"), "{text}");
        assert!(text.contains("ports 22, 25"), "{text}");
        intercept_ok(&namespace, &[&["enable", "--backend", backend], &GUARD[..]].concat());
        let guard =
            json!({ "metadata": true, "ports": [9901, 9902], "uids": [0, 1337], "deniedGids": [1338] });
        assert_eq!(status(&namespace).1["options"]["guard"], guard);
        let text = String::from_utf8(intercept(&namespace, &["status"]).stdout).unwrap();
        assert!(text.contains("the metadata service, port 9901 of this machine"), "{text}");
        assert!(text.contains("for users 0, 1337 only") && text.contains("not for groups 1338"), "{text}");
    }
}

#[test]
fn rules_altered_by_others_are_reported_and_mended() {
    let alterations = [
        ("iptables", ["iptables", "-t", "nat", "-F", "FLEETMESH_EGRESS"].as_slice()),
        ("iptables", &["iptables", "-t", "nat", "-A", "FLEETMESH_EGRESS", "-j", "ACCEPT"]),
        ("nft", &["nft", "insert rule inet fleetmesh egress counter accept"]),
        ("nft", &["nft", "flush chain inet fleetmesh egress"]),
        ("iptables", &["iptables", "-D", "FLEETMESH_GUARD", "-j", "DROP"]),
        ("iptables", &["ip6tables", "-F", "OUTPUT"]),
        ("nft", &["nft", "flush chain inet fleetmesh guard"]),
    ];
    for (backend, alteration) in alterations {
        let namespace = shared();
        let options = [&["enable", "--backend", backend], &GUARD[..]].concat();
        intercept_ok(&namespace, &options);
        let good = namespace.rules();
        namespace.run(alteration[0], &alteration[1..]);
        let (code, answer) = status(&namespace);
        assert_eq!((code, &answer["state"]), (Some(4), &json!("altered")), "{alteration:?}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains("run `enable`"), "{answer}");
        intercept_ok(&namespace, &options);
        assert_eq!(namespace.rules(), good, "{alteration:?}");
    }
}

#[test]
fn runs_at_the_same_time_do_not_mix() {
    for backend in BACKENDS {
        let namespace = shared();
        let before = namespace.rules();
        let children: Vec<_> = (8000..8008)
            .map(|port| {
                let port = port.to_string();
                let arguments = ["enable", "--ipv6", "--backend", backend, "--app-ports", &port];
                namespace.inside(|| command(&arguments).stdout(std::process::Stdio::null()).spawn().unwrap())
            })
            .collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        let (code, answer) = status(&namespace);
        assert_eq!(code, Some(0), "{answer}");
        assert_eq!(answer["options"]["ingress"]["appPorts"].as_array().map(Vec::len), Some(1), "{answer}");
        intercept_ok(&namespace, &["disable"]);
        assert_eq!(namespace.rules(), before, "{backend}");
    }
}
