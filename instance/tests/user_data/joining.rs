//! User data of instances that join: goldens, and what is refused.

use fleetmesh_instance::{Application, InstanceOptions, JoinOptions, MAX_BYTES, user_data};
use proptest::prelude::*;

use crate::{golden, kinds, options};

/// A CA's certificate with what `openssl x509 -text` would write before it.
const AUTHORITY: &str = "subject=CN=Fleetmesh\r\n-----BEGIN CERTIFICATE-----\r\n\
    TUlJQmpUQ0NBVFNnQXdJQkFnSVVKcU1uenVNblpvVE9OTFRwcHI0b3hqVDFiUnd3Q2dZSUtvWkl6ajBFQXdJd0ZERVNNQkFH\r\n\
    -----END CERTIFICATE-----\r\n";

/// Every kind of proxy, as one that joins.
pub fn joining() -> [(&'static str, InstanceOptions); 3] {
    let join = JoinOptions {
        image: "111122223333.dkr.ecr.us-west-2.amazonaws.com/fleetmesh-proxy:v1".to_owned(),
        control_plane: "https://mesh.example:9080".to_owned(),
        authority: Some(AUTHORITY.to_owned()),
    };
    let join = |(kind, options): (&'static str, InstanceOptions)| {
        let control_plane = Some("https://mesh.example:18000".to_owned());
        (kind, InstanceOptions { control_plane, join: Some(join.clone()), ..options })
    };
    kinds().map(join)
}

#[test]
fn renders_every_kind_of_proxy_that_joins() {
    for (kind, options) in joining() {
        golden(&format!("joining-{kind}.txt"), &user_data(&options).unwrap());
    }
}

/// The same, where the names of services resolve.
pub fn resolving() -> [(&'static str, InstanceOptions); 3] {
    joining().map(|(kind, mut options)| {
        options.proxy.dns = true;
        (kind, options)
    })
}

#[test]
fn renders_every_kind_of_proxy_whose_machine_resolves_names() {
    for (kind, options) in resolving() {
        let text = user_data(&options).unwrap();
        golden(&format!("dns-{kind}.txt"), &text);
        // What is behind a service may have its name: neither Envoy nor what joins asks our resolver.
        let own = "'/var/lib/fleetmesh/resolv.conf:/etc/resolv.conf:ro'";
        let variable = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        assert!(
            variable("proxy_options=").contains(own) && variable("join_options=").contains(own),
            "{text}"
        );
        assert!(variable("app_dns=").contains("/var/lib/fleetmesh/dns.conf:/etc/resolv.conf:ro"), "{text}");
    }
}

#[test]
fn a_gateway_has_no_application_that_would_resolve_names() {
    let [(_, options), ..] = resolving();
    let text = user_data(&InstanceOptions { application: Application::Nothing, ..options }).unwrap();
    assert!(!text.contains("dns"), "{text}");
}

#[test]
fn refuses_by_its_field_what_nobody_could_join_by() {
    let joining = |change: &dyn Fn(&mut InstanceOptions, &mut JoinOptions)| {
        let [(_, mut options), ..] = joining();
        let mut join = options.join.take().unwrap();
        change(&mut options, &mut join);
        InstanceOptions { join: Some(join), ..options }
    };
    let pem = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    let both = format!("{AUTHORITY}{}", pem("PRIVATE KEY"));
    let cases = [
        (
            InstanceOptions { control_plane: Some("https://mesh.example:1".to_owned()), ..options() },
            "controlPlane is \"https://mesh.example:1\": an instance has no certificate for https:// unless",
        ),
        (
            joining(&|options, _| options.control_plane = None),
            "controlPlane is \"\": whoever joins is served",
        ),
        (
            joining(&|options, _| options.control_plane = Some("mesh.example:1".to_owned())),
            "controlPlane is \"mesh.example:1\": whoever joins is served over TLS: https://HOST:PORT",
        ),
        (
            joining(&|options, _| options.control_plane = Some("unix:///run/a/b".to_owned())),
            "controlPlane is \"unix:///run/a/b\": whoever joins is served over TLS",
        ),
        (joining(&|_, join| join.image = "-v".to_owned()), "join.image is \"-v\": an image is written"),
        (
            joining(&|_, join| join.control_plane = "http://mesh.example:1".to_owned()),
            "join.controlPlane is \"http://mesh.example:1\": an instance proves itself over TLS only",
        ),
        (
            joining(&|_, join| join.control_plane = "https://mesh.example".to_owned()),
            "join.controlPlane is \"https://mesh.example\": \"mesh.example\" has no port",
        ),
        (
            joining(&|_, join| join.authority = Some("a file".to_owned())),
            "join.authority is \"a file\": it holds no certificate in PEM",
        ),
        (
            joining(&|_, join| join.authority = Some(both.clone())),
            "join.authority is \"subject=CN=Fleetmesh\": it holds something that is no certificate, such as a key",
        ),
        (
            joining(&|_, join| join.authority = Some("-----BEGIN CERTIFICATE-----\n%%\n".to_owned())),
            "join.authority is \"-----BEGIN CERTIFICATE-----\": it is not PEM",
        ),
    ];
    for (options, expected) in cases {
        let error = user_data(&options).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("AAAA"), "no secret is repeated: {error}");
    }
}

#[test]
fn a_ca_that_is_too_large_is_named() {
    let [(_, mut options), ..] = joining();
    options.join.as_mut().unwrap().authority = Some(AUTHORITY.repeat(100));
    let error = user_data(&options).expect_err("too large").to_string();
    assert!(error.contains("the largest piece is the control plane's CA (join.authority) with"), "{error}");
}

proptest! {
    #[test]
    fn names_that_people_give_fit_with_all_that_joins(
        (mesh, node) in prop_oneof![("[ -.0-~]{1,200}", "[ -.0-~]{1,200}"), ("[^/\\p{Cc}]{1,40}", "[^/\\p{Cc}]{1,40}")],
    ) {
        for (_, options) in joining() {
            let (mesh, virtual_node) = (mesh.clone(), node.clone());
            let text = user_data(&InstanceOptions { mesh, name: virtual_node, ..options }).unwrap();
            prop_assert!(text.len() <= MAX_BYTES);
        }
    }

    /// The resolver takes some of the room.
    #[test]
    fn shorter_names_fit_with_the_resolver_as_well(
        (mesh, node) in prop_oneof![("[ -.0-~]{1,63}", "[ -.0-~]{1,63}"), ("[^/\\p{Cc}]{1,20}", "[^/\\p{Cc}]{1,20}")],
    ) {
        for (_, options) in resolving() {
            let (mesh, virtual_node) = (mesh.clone(), node.clone());
            let text = user_data(&InstanceOptions { mesh, name: virtual_node, ..options }).unwrap();
            prop_assert!(text.len() <= MAX_BYTES);
        }
    }
}
