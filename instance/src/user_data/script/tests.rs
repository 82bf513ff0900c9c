//! A real shell prints the values, whatever is in them.

use std::process::Command;

use proptest::prelude::*;

use super::super::check::check;
use super::super::options::{Application, InstanceOptions, JoinOptions, ProxyImage, ProxyOptions};
use super::*;

/// Prints every word of the variables, each ended by a NUL.
const PRINT: &str = r#"
printf '%s\0' "$proxy_image" "$proxy_uid" "${app_image-}" "${proxy_options[@]}" "${images[@]}" "${registries[@]-}" \
  ${join_image+"$join_image" "${join_options[@]}" "${join_arguments[@]}" "$join_authority"} "${bootstrap-}""#;

fn options(mesh: &str, virtual_node: &str, image: ProxyImage) -> InstanceOptions {
    InstanceOptions {
        mesh: mesh.to_owned(),
        name: virtual_node.to_owned(),
        region: "us-west-2".to_owned(),
        proxy: ProxyOptions { image, ..ProxyOptions::default() },
        control_plane: Some("unix:///run/fleetmesh/ads.sock".to_owned()),
        join: None,
        app_port: 8000,
        metadata: false,
        application: Application::Container("registry.example/app:v1".to_owned()),
    }
}

/// The same, which joins.
fn joining(mesh: &str, virtual_node: &str, image: ProxyImage) -> InstanceOptions {
    let join = JoinOptions {
        image: "registry.example/fleetmesh-proxy:v1".to_owned(),
        control_plane: "https://mesh.example:9080".to_owned(),
        authority: Some(
            "said of it: 'x'\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
        ),
    };
    let control_plane = Some("https://mesh.example:18000".to_owned());
    InstanceOptions { control_plane, join: Some(join), ..options(mesh, virtual_node, image) }
}

fn made(options: &InstanceOptions) -> Script {
    script(&check(options).expect("valid options")).expect("a script")
}

/// The words that bash reads, and what it printed besides.
fn words(script: &Script) -> Vec<String> {
    let text = [HEAD, &script.values, PRINT].concat();
    let output = Command::new("bash").args(["-c", &text]).current_dir("/").output().expect("bash");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.strip_suffix('\0').expect("words").split('\0').map(str::to_owned).collect()
}

/// Names that mean something to a shell, to YAML or to nobody.
fn name() -> impl Strategy<Value = String> {
    let shell = prop::sample::select(
        [
            "'",
            "\"",
            "$(exit 9)",
            "`exit 9`",
            "\\",
            ";",
            "&",
            "|",
            ">",
            "#",
            "!",
            "*",
            "~",
            " ",
            "'\\''",
            "END",
            "$1",
        ]
        .as_slice(),
    );
    let any = any::<char>().prop_map(|c| c.to_string());
    prop::collection::vec(prop_oneof![shell.prop_map(str::to_owned), any], 1..20)
        .prop_map(|parts| parts.concat())
        .prop_filter("App Mesh's names", |name| !name.chars().any(|c| c.is_control() || c == '/'))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_name_breaks_out_of_its_quotes(mesh in name(), node in name()) {
        let resource = format!("mesh/{mesh}/virtualNode/{node}");
        let custom = ProxyImage::Custom("registry.example/envoy:v1".to_owned());
        let script = made(&options(&mesh, &node, custom.clone()));
        let found = words(&script);
        let folder = "/run/fleetmesh:/run/fleetmesh";
        let expected = [
            "registry.example/envoy:v1", "1337", "registry.example/app:v1", "--env",
            &format!("APPMESH_RESOURCE_ARN={resource}"), "--env",
            "APPMESH_XDS_ENDPOINT=unix:///run/fleetmesh/ads.sock", "--volume", BOOTSTRAP, "--volume", folder,
            "registry.example/envoy:v1", "registry.example/app:v1", "",
        ];
        prop_assert_eq!(&found[..found.len() - 1], &expected);
        let bootstrap: serde_json::Value = serde_saphyr::from_str(&found[found.len() - 1]).expect("YAML");
        prop_assert_eq!(&bootstrap["node"]["id"], &resource);
        // Nothing outside the variables depends on a name.
        let other = made(&options("apps", "serviceB", custom));
        prop_assert_eq!(
            (script.functions, script.rules, script.calls),
            (other.functions, other.rules, other.calls)
        );
    }

    #[test]
    fn no_name_breaks_out_of_what_joins(mesh in name(), node in name()) {
        let custom = ProxyImage::Custom("registry.example/envoy:v1".to_owned());
        let script = made(&joining(&mesh, &node, custom.clone()));
        let found = words(&script);
        let expected = joined(&format!("mesh/{mesh}/virtualNode/{node}"));
        prop_assert_eq!(&found[3..found.len() - 1], &expected);
        let other = made(&joining("apps", "serviceB", custom));
        prop_assert_eq!((script.functions, script.calls), (other.functions, other.calls));
    }
}

fn filled(word: &str, resource: &str) -> String {
    match word {
        "NONE" => String::new(),
        "RESOURCE" => resource.to_owned(),
        "APPMESH_RESOURCE_ARN=RESOURCE" => format!("APPMESH_RESOURCE_ARN={resource}"),
        word => word.to_owned(),
    }
}

/// What `proxy join` is started with, and the proxy by it, for a node of this resource.
fn joined(resource: &str) -> Vec<String> {
    let words = format!(
        "--env APPMESH_RESOURCE_ARN=RESOURCE --env APPMESH_XDS_ENDPOINT=unix:///var/lib/fleetmesh/run/ads.sock \
         --env APPMESH_SDS_SOCKET_PATH=/var/lib/fleetmesh/run/sds.sock --volume {BOOTSTRAP} --volume /var/lib/fleetmesh/certs:/var/lib/fleetmesh/certs:ro \
         --volume /var/lib/fleetmesh/run:/var/lib/fleetmesh/run registry.example/envoy:v1 \
         registry.example/fleetmesh-proxy:v1 registry.example/app:v1 NONE registry.example/fleetmesh-proxy:v1 \
         --env AWS_REGION=us-west-2 --volume /var/lib/fleetmesh/certs:/var/lib/fleetmesh/certs \
         --volume /var/lib/fleetmesh/run:/var/lib/fleetmesh/run \
         --volume /var/lib/fleetmesh/ca.crt:/var/lib/fleetmesh/ca.crt:ro \
         proxy join --resource RESOURCE --control-plane https://mesh.example:9080 \
         --ca-file /var/lib/fleetmesh/ca.crt --serve-sds /var/lib/fleetmesh/run/sds.sock \
         --serve-unix /var/lib/fleetmesh/run/ads.sock \
         --ads https://mesh.example:18000"
    );
    let words = words.split(' ').map(|word| filled(word, resource));
    let authority = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    words.chain([authority]).collect()
}

#[test]
fn a_stock_envoy_reads_files_and_has_no_socket() {
    let script = made(&joining("apps", "serviceB", ProxyImage::Envoy));
    let words = words(&script);
    let has = |word: &str| words.iter().any(|found| found.contains(word));
    assert!(has("/var/lib/fleetmesh/certs:ro") && has("socket_address") && !has("ads.sock"), "{words:?}");
    assert!(!words.contains(&"--ads".to_owned()), "{words:?}");
    let (pulled, joined, started) = ("part pull_images\n", "part await_join\n", "part start_proxy\n");
    let place = |call: &str| script.calls.find(call).expect("a call");
    assert!(place(pulled) < place(joined) && place(joined) < place(started), "{}", script.calls);
}

#[test]
fn aws_image_is_given_the_socket_alone() {
    let words = words(&made(&joining("apps", "serviceB", ProxyImage::AppMesh)));
    assert!(words.contains(&"APPMESH_XDS_ENDPOINT=unix:///var/lib/fleetmesh/run/ads.sock".to_owned()));
    assert!(!words.iter().any(|word| word.ends_with(":ro") && word.contains("/certs")), "{words:?}");
    assert_eq!(words.last().map(String::as_str), Some(""), "no bootstrap");
}

#[test]
fn each_kind_of_proxy_is_given_what_it_reads() {
    let aws = words(&made(&options("apps", "serviceB", ProxyImage::AppMesh)));
    assert!(aws.contains(&"APPMESH_RESOURCE_ARN=mesh/apps/virtualNode/serviceB".to_owned()), "{aws:?}");
    assert_eq!(aws.last().map(String::as_str), Some(""), "no bootstrap");
    assert!(aws.contains(&"840364872350.dkr.ecr.us-west-2.amazonaws.com".to_owned()), "{aws:?}");
    let stock = words(&made(&options("apps", "serviceB", ProxyImage::Envoy)));
    assert!(!stock.iter().any(|word| word.starts_with("APPMESH_")), "{stock:?}");
    assert!(stock.contains(&BOOTSTRAP.to_owned()), "{stock:?}");
}

#[test]
fn a_login_is_only_for_images_in_ecr() {
    let mut options = options("apps", "serviceB", ProxyImage::Envoy);
    assert!(!made(&options).text().contains("aws ecr"));
    options.application =
        Application::Container("111122223333.dkr.ecr.eu-west-1.amazonaws.com/app:v1".to_owned());
    let script = made(&options);
    assert!(script.calls.contains("part log_in_to_registries\n"));
    assert!(words(&script).contains(&"111122223333.dkr.ecr.eu-west-1.amazonaws.com".to_owned()));
}

#[test]
fn a_gateway_runs_its_proxy_and_nothing_else() {
    let gateway = InstanceOptions {
        application: Application::Nothing,
        app_port: 0,
        ..joining("apps", "edge", ProxyImage::AppMesh)
    };
    let script = made(&gateway);
    let joined = words(&script).join(" ");
    assert!(joined.contains("APPMESH_RESOURCE_ARN=mesh/apps/virtualGateway/edge"), "{joined}");
    assert!(joined.contains("--resource mesh/apps/virtualGateway/edge"), "{joined}");
    let calls: Vec<&str> = script.calls.lines().filter_map(|line| line.strip_prefix("part ")).collect();
    let proxy = calls.iter().position(|call| *call == "start_proxy").expect("a proxy");
    assert_eq!(calls[proxy - 1], "open_low_ports", "before it binds any: {calls:?}");
    assert!(!calls.contains(&"intercept") && !calls.contains(&"start_application"), "{calls:?}");
    assert!(script.rules.is_empty(), "{}", script.rules);
    let long = InstanceOptions { name: String::new(), ..gateway };
    let refused = check(&long).expect_err("a name").to_string();
    assert!(refused.contains("virtualGateway"), "{refused}");
}
