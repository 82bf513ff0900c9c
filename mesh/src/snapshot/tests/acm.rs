//! Trust in authorities of ACM PCA: served when their certificates are known, closed and reported when they are not.

use envoy_types::pb::envoy::config::core::v3::data_source;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{Secret, secret};
use serde_json::json;

use super::bootstrap::{decoded, secret_names};
use super::tls::{PCA, clusters, file, listener, mesh, pca, policy, tls};
use crate::authorities::{Authority, Wanted, wanted};
use crate::cloud_map::Discovered;
use crate::snapshot::{ResourceType, Snapshot, recall, unavailable, unserved};
use crate::testing::{node, version_keys};
use crate::view::MeshView;

/// What is known of the authority that [`pca`] names.
fn known(outcome: Authority) -> Discovered {
    let mut known = Discovered::default();
    assert!(known.enter_authority(PCA, outcome));
    known
}

fn certificate(pem: &str) -> Discovered {
    known(Authority::Certificate(pem.into()))
}

/// The trusted certificates that the proxies of `client` are given, and the name of the secret that its cluster asks for.
fn trusted(mesh: &MeshView, discovered: &Discovered) -> (Vec<String>, Vec<String>) {
    let snapshot = Snapshot::build(mesh, discovered, &node("client")).expect("the node");
    let pem = |secret: Secret| match secret.r#type.expect("a secret") {
        secret::Type::ValidationContext(context) => {
            match context.trusted_ca.expect("authorities").specifier.expect("a source") {
                data_source::Specifier::InlineString(pem) => pem,
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    };
    let given = decoded::<Secret>(&snapshot, ResourceType::Secret).map(pem).collect();
    let asked = clusters(&snapshot).into_iter().flat_map(|(_, tls)| secret_names(&tls.expect("TLS")));
    (given, asked.map(|(name, _)| name).collect())
}

#[test]
fn an_authority_that_was_read_is_trusted_and_one_that_was_not_closes_the_way() {
    let listeners = json!([listener(80, "http2", tls("STRICT", file()))]);
    let mesh = mesh(&listeners, Some(&policy(&pca())), None);
    let (given, asked) = trusted(&mesh, &certificate("one\n"));
    assert_eq!(given, ["one\n"]);
    let [name] = asked.as_slice() else { panic!("{asked:?}") };
    assert!(name.starts_with("acm_trust_"), "{name}");
    // Another certificate is another name, so a cluster never has half of a change.
    let (_, other) = trusted(&mesh, &certificate("two\n"));
    assert_ne!(other[0], *name);
    let client = mesh.get(&node("client")).expect("the node");
    let said = |discovered: &Discovered| {
        let all = unserved(&mesh, discovered, client);
        assert_eq!(all, unavailable(discovered, &client.spec), "reported of the whole and of the spec alone");
        all
    };
    assert!(said(&certificate("one")).is_empty());
    for (discovered, why) in [
        (Discovered::default(), "it was not asked for yet"),
        (known(Authority::Failed("AccessDeniedException: no".into())), "AccessDeniedException: no"),
    ] {
        assert_eq!(trusted(&mesh, &discovered), (Vec::new(), Vec::new()), "no way at all");
        let [entry] = said(&discovered).try_into().expect("one entry");
        let path = "spec.backends[0].virtualService.clientPolicy.tls.validation.trust.acm";
        let words = format!("{path}: there is no certificate of {PCA} ({why}), so nothing is sent");
        assert!(entry.starts_with(&words), "{entry}");
        assert!(entry.contains("acm-pca:GetCertificateAuthorityCertificate"), "{entry}");
    }
    // All that a policy names have to be known.
    let mut two = pca();
    let others = two["acm"]["certificateAuthorityArns"].as_array_mut().expect("a list");
    others.push(json!(PCA.replace("/x", "/y")));
    let two = super::tls::mesh(&listeners, Some(&policy(&two)), None);
    let mut one = certificate("one\n");
    assert_eq!(trusted(&two, &one).0, Vec::<String>::new());
    one.enter_authority(&PCA.replace("/x", "/y"), Authority::Certificate("two\n".into()));
    assert_eq!(trusted(&two, &one).0, ["one\ntwo\n"]);
}

#[test]
fn a_failure_takes_no_certificate_away_and_what_nobody_wants_is_forgotten() {
    let mut known = certificate("one");
    assert!(!known.enter_authority(PCA, Authority::Failed("away".into())));
    assert!(!known.enter_authority(PCA, Authority::Certificate("one".into())), "the same is no change");
    assert!(known.enter_authority(PCA, Authority::Certificate("two".into())));
    assert_eq!(known.authority(PCA).map(AsRef::as_ref), Some("two"));
    let listeners = json!([listener(80, "http2", None)]);
    let mesh = mesh(&listeners, Some(&policy(&pca())), None);
    assert!(!known.retain_authorities(&wanted([&mesh], |_| false)));
    assert!(known.retain_authorities(&Wanted::default()));
    assert_eq!((known.authority(PCA), known.authority_failure(PCA)), (None, None));
}

#[test]
fn after_a_restart_clusters_that_trust_an_authority_are_recalled() {
    let keys = version_keys(1);
    let listeners = json!([listener(80, "http2", tls("STRICT", file()))]);
    let mesh = mesh(&listeners, None, Some(&policy(&pca())));
    let discovered = certificate("one");
    let given = Snapshot::build(&mesh, &discovered, &node("client")).expect("the node");
    let content = given.content(ResourceType::Cluster);
    let version = keys.version(&node("client"), ResourceType::Cluster, content);
    let recalled = recall(&mesh, &discovered, &keys, &node("client"), &version);
    let (name, same) = recalled.first_key_value().expect("the cluster");
    assert_eq!(same.version, content.resources[name].version);
    assert!(recall(&mesh, &Discovered::default(), &keys, &node("client"), &version).is_empty());
}
