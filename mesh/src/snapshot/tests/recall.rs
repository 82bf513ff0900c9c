//! What a version recalls: the clusters of the node that it was given to, and nothing else.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::client;
use super::corpus::{routed, to_a};
use crate::cloud_map::Discovered;
use crate::snapshot::{ResourceType, VersionKeys, content_version, recall};
use crate::testing::{node, version_keys};
use crate::view::MeshView;

fn calling_a() -> MeshView {
    routed("http2", &[("x", json!({"http2Route": {"action": to_a(), "match": {"prefix": "/"}}}))])
}

/// The version of the clusters of `client` as a proxy of `of` would be given it.
fn version(mesh: &MeshView, keys: &VersionKeys, of: &str) -> String {
    keys.version(&node(of), ResourceType::Cluster, client(mesh).content(ResourceType::Cluster))
}

#[test]
fn the_version_of_clusters_shows_which_they_were() {
    let (mesh, keys) = (calling_a(), version_keys(1));
    let clusters = Arc::clone(client(&mesh).content(ResourceType::Cluster));
    let version = version(&mesh, &keys, "client");
    assert_eq!(content_version(&version), clusters.version);
    let recalled = recall(&mesh, &Discovered::default(), &keys, &node("client"), &version);
    let found = &recalled["cds_egress_apps_a_http2_80"];
    assert_eq!(recalled.len(), 1, "the other target was not among them");
    assert_eq!(found.version, clusters.resources[&found.name].version);
    for nothing in ["", "0123456789abcdef", "0123456789abcdef+", "+++"] {
        assert!(
            recall(&mesh, &Discovered::default(), &keys, &node("client"), nothing).is_empty(),
            "{nothing}"
        );
    }
}

#[test]
fn an_invented_version_or_another_nodes_recalls_nothing() {
    let (mesh, keys) = (calling_a(), version_keys(1));
    let good = version(&mesh, &keys, "client");
    let nothing = |of: &str, version: &str| {
        assert!(
            recall(&mesh, &Discovered::default(), &keys, &node(of), version).is_empty(),
            "{of}: {version}"
        );
    };
    nothing("b", &good);
    nothing("client", &version(&mesh, &version_keys(2), "client"));
    // Hashes without a key, at the length of marks and at that of former versions, which had 24 bits.
    let hash = Sha256::digest([&26u64.to_be_bytes()[..], b"cds_egress_apps_a_http2_80"].concat());
    nothing("client", &format!("0123456789abcdef+{}", URL_SAFE_NO_PAD.encode(&hash[..9])));
    nothing("client", &format!("0123456789abcdef+{}", hex::encode(&hash[..3])));
    // Parts of a good mark, and good marks with one bit turned over.
    for (at, mark) in good.split('+').enumerate().skip(1) {
        nothing("client", &format!("0123456789abcdef+{}", &mark[..6]));
        nothing("client", &format!("0123456789abcdef+{mark}AAAA"));
        for bit in 0..72 {
            let mut mac = URL_SAFE_NO_PAD.decode(mark).expect("a mark");
            mac[bit / 8] ^= 1 << (bit % 8);
            nothing("client", &format!("0123456789abcdef+{}", URL_SAFE_NO_PAD.encode(mac)));
        }
        assert!(at < 10, "few clusters");
    }
}

#[test]
fn a_key_is_recognised_until_the_one_after_the_next() {
    let mesh = calling_a();
    let old = version(&mesh, &version_keys(1), "client");
    let recalled = |keys: &[u8]| {
        let keys: Vec<[u8; 32]> = keys.iter().map(|number| [*number; 32]).collect();
        recall(&mesh, &Discovered::default(), &VersionKeys::new(&keys), &node("client"), &old).len()
    };
    assert_eq!((recalled(&[1]), recalled(&[2, 1]), recalled(&[3, 2]), recalled(&[3, 2, 1])), (1, 1, 0, 0));
    let newer = version(&mesh, &VersionKeys::new([&[2; 32], &[1; 32]]), "client");
    assert_ne!(newer, old);
    assert_eq!(content_version(&newer), content_version(&old), "a proxy that has it is sent nothing");
}
