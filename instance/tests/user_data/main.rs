//! User data against goldens and a shell's parser, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod joining;

use std::path::Path;
use std::process::Command;

use fleetmesh_instance::{
    Application, DataPart, InstanceOptions, JoinOptions, MAX_BYTES, ProxyImage, ProxyOptions, UserDataError,
    user_data,
};
use proptest::prelude::*;

/// One region of each class: the default account, an account of its own, and the other partitions.
const REGIONS: [&str; 4] = ["us-west-2", "me-south-1", "cn-north-1", "us-gov-west-1"];

fn options() -> InstanceOptions {
    InstanceOptions {
        mesh: "apps".to_owned(),
        name: "serviceB".to_owned(),
        region: "us-west-2".to_owned(),
        proxy: ProxyOptions::default(),
        control_plane: None,
        join: None,
        app_port: 8000,
        application: Application::Container("registry.example/app:v1".to_owned()),
        metadata: false,
    }
}

fn part(content_type: &str, content: &str) -> DataPart {
    DataPart { content_type: content_type.to_owned(), content: content.to_owned() }
}

/// Every kind of proxy, each with something that the others do not have.
fn kinds() -> [(&'static str, InstanceOptions); 3] {
    let proxy = |image| ProxyOptions { image, ..ProxyOptions::default() };
    let stock = InstanceOptions {
        proxy: ProxyOptions { ipv6: true, ..proxy(ProxyImage::Envoy) },
        control_plane: Some("unix:///run/fleetmesh/ads.sock".to_owned()),
        ..options()
    };
    let custom = InstanceOptions {
        proxy: ProxyOptions {
            image: ProxyImage::Custom("registry.example/envoy:v1".to_owned()),
            uid: 1338,
            egress_ignored_ips: vec!["10.0.0.0/8".to_owned()],
            egress_ignored_ports: vec![443],
            ipv6: false,
            dns: false,
        },
        control_plane: Some("control.example:18000".to_owned()),
        application: Application::Parts(vec![
            part("text/cloud-config", "packages: [nginx]\n"),
            part("text/x-shellscript", "#!/bin/sh\necho 'caf\u{e9}'\n"),
        ]),
        ..options()
    };
    [("app-mesh", options()), ("envoy", stock), ("custom", custom)]
}

/// Our script, as it is in user data that is plain text throughout.
fn script(text: &str) -> &str {
    let start = text.find("#!/bin/bash").unwrap();
    &text[start..start + text[start..].find("\n--fleetmesh-").unwrap()]
}

fn golden(name: &str, text: &str) {
    let path = Path::new("tests/golden/user-data").join(name);
    if std::env::var_os("FLEETMESH_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{name} differs; review it and run with FLEETMESH_BLESS=1");
}

#[test]
fn renders_every_kind_of_proxy_for_every_class_of_region() {
    for region in REGIONS {
        for (kind, options) in kinds() {
            let text = user_data(&InstanceOptions { region: region.to_owned(), ..options }).unwrap();
            golden(&format!("{region}-{kind}.txt"), &text);
        }
    }
}

#[test]
fn the_metadata_service_is_the_applications_only_where_it_is_asked_for() {
    let text = user_data(&options()).unwrap();
    assert!(
        text.contains("app_gid=51337\n") && text.contains("ip daddr 169.254.169.254 goto guarded"),
        "{text}"
    );
    assert!(
        text.contains("-d fd00:ec2::254/128 -j FLEETMESH_GUARD"),
        "also where IPv6 is not intercepted: {text}"
    );
    let text = user_data(&InstanceOptions { metadata: true, ..options() }).unwrap();
    golden("metadata.txt", &text);
    assert!(text.contains("app_gid=\n") && !text.contains("ip daddr 169.254.169.254 goto guarded"), "{text}");
    assert!(!text.contains("skgid"), "{text}");
    assert!(
        text.contains("tcp dport { 9901 } goto guarded"),
        "Envoy's admin page is guarded all the same: {text}"
    );
}

#[test]
fn shells_parse_the_script() {
    let metadata = ("metadata", InstanceOptions { metadata: true, ..options() });
    for (kind, options) in
        kinds().into_iter().chain(joining::joining()).chain(joining::resolving()).chain([metadata])
    {
        let text = user_data(&options).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), script(&text)).unwrap();
        let output = Command::new("bash").arg("-n").arg(file.path()).output().unwrap();
        assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_metadata_of_the_instance_is_never_asked_nor_intercepted() {
    for (_, options) in kinds().into_iter().chain(joining::joining()) {
        let text = user_data(&options).unwrap();
        assert!(!text.contains("latest/meta-data") && !text.contains("http://169.254."), "{text}");
        assert!(text.contains("ip daddr 169.254.169.254 return"), "{text}");
    }
}

#[test]
fn refuses_what_is_wrong_by_its_field() {
    let proxy = |change: &dyn Fn(&mut ProxyOptions)| {
        let mut options = options();
        change(&mut options.proxy);
        options
    };
    let parts = |content_type: &str| Application::Parts(vec![part(content_type, "")]);
    let custom = |image: &str| ProxyImage::Custom(image.to_owned());
    let cases = [
        (
            InstanceOptions { mesh: String::new(), ..options() },
            "mesh is \"\": a name has 1 to 255 characters",
        ),
        (InstanceOptions { mesh: "m".repeat(256), ..options() }, "mmm…\": a name has 1 to 255 characters"),
        (
            InstanceOptions { name: "a\nb".to_owned(), ..options() },
            "virtualNode is \"a\\nb\": a name has neither",
        ),
        (InstanceOptions { name: "a/b".to_owned(), ..options() }, "neither control characters nor slashes"),
        (
            InstanceOptions { region: "us_west".to_owned(), ..options() },
            "region is \"us_west\": a region is named like",
        ),
        (InstanceOptions { region: "us-west-".to_owned(), ..options() }, "a region is named like us-west-2"),
        (
            InstanceOptions { app_port: 0, ..options() },
            "app.port is \"0\": the application listens on a port from 1",
        ),
        (InstanceOptions { app_port: 15001, ..options() }, "none of the proxy's own (15000, 15001, 9901)"),
        (
            InstanceOptions { control_plane: Some("x".to_owned()), ..options() },
            "controlPlane is \"x\": \"x\" has no port",
        ),
        (
            InstanceOptions { control_plane: Some("unix:///run/a b".to_owned()), ..options() },
            "a socket's path has letters, digits and ._/- only",
        ),
        (InstanceOptions { control_plane: Some("unix:///a".to_owned()), ..options() }, "and is in a folder"),
        (
            InstanceOptions { application: Application::Container("--privileged".to_owned()), ..options() },
            "app.container is \"--privileged\": an image is written registry/image:tag",
        ),
        (
            InstanceOptions { application: parts("text/plain; x=y"), ..options() },
            "app.userData[0].contentType is \"text/plain; x=y\": a content type is written TYPE/SUBTYPE",
        ),
        (proxy(&|proxy| proxy.image = custom("a b")), "proxy.image is \"a b\": an image is written"),
        (proxy(&|proxy| proxy.image = ProxyImage::Envoy), "proxy.image is Envoy, which needs the address"),
        (
            proxy(&|proxy| proxy.dns = true),
            "proxy.dns is \"true\": names are resolved by the image that instances join by",
        ),
        (
            proxy(&|proxy| proxy.uid = 2_147_483_648),
            "proxy.uid is \"2147483648\": a user id is 0 to 2147483647",
        ),
        (
            proxy(&|proxy| proxy.egress_ignored_ips = vec!["10.0.0".to_owned()]),
            "proxy.egressIgnoredIps is \"10.0.0\": \"10.0.0\" is not an IP address",
        ),
        (
            proxy(&|proxy| proxy.egress_ignored_ports = vec![0]),
            "proxy.egressIgnoredPorts is \"0\": a port is",
        ),
    ];
    for (options, expected) in cases {
        let error = user_data(&options).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// User data with a part of `size` bytes.
fn with_part(size: usize) -> InstanceOptions {
    let application =
        Application::Parts(vec![part("text/plain", "x"), part("text/plain", &"y\n".repeat(size / 2))]);
    InstanceOptions { application, ..options() }
}

#[test]
fn more_than_ec2_takes_is_refused_with_what_is_largest() {
    let least = user_data(&with_part(0)).unwrap().len();
    let room = (MAX_BYTES - least) / 2 * 2;
    let most = user_data(&with_part(room)).unwrap();
    assert!(most.len() <= MAX_BYTES && most.len() + 2 > MAX_BYTES, "{}", most.len());
    let error = user_data(&with_part(room + 2)).expect_err("too large");
    assert!(
        matches!(&error, UserDataError::TooLarge { size, largest, largest_size }
            if *size == most.len() + 2 && largest == "app.userData[1]" && *largest_size == room + 2),
        "{error}"
    );
    let ips = (0..1000).map(|number| format!("10.0.{}.{}", number / 250, number % 250)).collect();
    let proxy = ProxyOptions { egress_ignored_ips: ips, ..ProxyOptions::default() };
    let error = user_data(&InstanceOptions { proxy, ..options() }).expect_err("too large").to_string();
    assert!(error.contains("takes at most 16384") && error.contains("proxy.egressIgnoredIps"), "{error}");
}

proptest! {
    #[test]
    fn any_options_give_user_data_or_a_reason(
        texts in prop::array::uniform9(any::<String>()),
        (uid, port, ipv6) in any::<(u32, u16, bool)>(),
        (kind, joins) in (0..3_u8, any::<bool>()),
    ) {
        let [mesh, virtual_node, region, image, container, control_plane, join_image, api, pem] = texts;
        let image = match kind {
            0 => ProxyImage::AppMesh,
            1 => ProxyImage::Envoy,
            _ => ProxyImage::Custom(image),
        };
        let options = InstanceOptions {
            mesh, name: virtual_node, region, app_port: port,
            proxy: ProxyOptions { image, uid, ipv6, ..ProxyOptions::default() },
            control_plane: Some(control_plane),
            join: joins.then_some(JoinOptions { image: join_image, control_plane: api, authority: Some(pem) }),
            application: Application::Container(container),
            metadata: kind == 1,
        };
        if let Ok(text) = user_data(&options) {
            prop_assert!(text.len() <= MAX_BYTES);
        }
    }

    #[test]
    fn any_names_give_user_data_that_fits(mesh in "[^/\\p{Cc}]{1,255}", node in "[^/\\p{Cc}]{1,255}") {
        let (_, options) = kinds().into_iter().nth(1).unwrap();
        let text = user_data(&InstanceOptions { mesh, name: node, ..options }).unwrap();
        prop_assert!(text.len() <= MAX_BYTES);
    }
}
