//! Names, files, and what is done about files that are there.

use std::fs;

use clap::Parser;

use super::args::InitArgs;
use super::manifests::render;
use super::{PlanError, quoted, run};
use crate::manifests::Manifest;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    init: InitArgs,
}

fn args(words: &[&str]) -> Result<InitArgs, String> {
    let words = ["init"].iter().chain(words);
    Line::try_parse_from(words).map(|line| line.init).map_err(|error| error.to_string())
}

fn files(words: &[&str]) -> Vec<Manifest> {
    render(&args(words).unwrap().plan().unwrap())
}

fn text(files: &[Manifest], name: &str) -> String {
    let found = files.iter().find(|file| file.name == name);
    found.unwrap_or_else(|| panic!("{name} is not among {files:#?}")).text.clone()
}

#[test]
fn files_are_numbered_in_the_order_of_applying() {
    let names: Vec<String> = files(&["d", "web:8080", "orders"]).into_iter().map(|file| file.name).collect();
    assert_eq!(
        names,
        [
            "00-namespace.yaml",
            "01-mesh.yaml",
            "02-virtual-node-orders.yaml",
            "02-virtual-node-web.yaml",
            "03-virtual-router-orders.yaml",
            "03-virtual-router-web.yaml",
            "04-route-orders.yaml",
            "04-route-web.yaml",
            "05-virtual-service-orders.yaml",
            "05-virtual-service-web.yaml"
        ]
    );
    let many: Vec<String> = (0..51).map(|number| format!("s{number}")).collect();
    let mut words = vec!["d"];
    words.extend(many.iter().map(String::as_str));
    let names: Vec<String> = files(&words).into_iter().map(|file| file.name).collect();
    assert!(names.is_sorted() && names[0] == "00-namespace.yaml", "{names:?}");
    words.push("more");
    assert_eq!(args(&words).unwrap().plan().unwrap_err(), PlanError::Many(52));
}

#[test]
fn flags_are_in_the_manifests() {
    let words =
        ["d", "web:8080", "orders", "--mesh=shop", "-n=prod", "--protocol=grpc", "--dns-suffix=shop.example"];
    let files = files(&[&words[..], &["--hostname=web=web.internal"]].concat());
    let node = text(&files, "02-virtual-node-web.yaml");
    for line in [
        "  namespace: prod\n",
        "  meshName: shop\n",
        "        port: 8080\n",
        "        protocol: grpc\n",
        "      hostname: web.internal\n",
        "        virtualServiceName: orders.shop.example\n",
        "mesh/shop/virtualNode/web",
    ] {
        assert!(node.contains(line), "{line} in {node}");
    }
    assert!(text(&files, "04-route-web.yaml").contains("  grpcRoute:\n    match: {}\n"));
    assert!(text(&files, "05-virtual-service-orders.yaml").contains("  name: orders.shop.example\n"));
}

#[test]
fn a_canary_has_two_versions_and_a_route_between_them() {
    let files = files(&["d", "web", "--canary"]);
    let route = text(&files, "04-route-web.yaml");
    assert!(route.contains("- virtualNode: web-v1\n          weight: 100\n"), "{route}");
    assert!(route.contains("- virtualNode: web-v2\n          weight: 0\n  canary:\n"), "{route}");
    assert!(text(&files, "02-virtual-node-web-v2.yaml").contains("hostname: web-v2.apps.local"));
    let tcp = args(&["d", "web", "--canary", "--protocol=tcp"]).unwrap().plan().unwrap_err();
    assert_eq!(tcp, PlanError::TcpCanary);
}

#[test]
fn a_name_that_yaml_would_take_for_something_else_is_quoted() {
    let files = files(&["d", "1e3", "--mesh=null", "-n=on"]);
    assert!(text(&files, "00-namespace.yaml").ends_with("  name: \"on\"\n"));
    let node = text(&files, "02-virtual-node-1e3.yaml");
    assert!(node.contains("  name: \"1e3\"\n") && node.contains("  meshName: \"null\"\n"), "{node}");
}

#[test]
fn what_is_no_name_is_rejected_with_what_is_possible() {
    let long = "x".repeat(64);
    for (words, expected) in [
        (
            &["d", "Web_1"][..],
            "the name \"Web_1\": lower-case letters, digits and - are possible, and not - at the beginning or the end, for example web-1",
        ),
        (&["d", &long], "it has 64 characters: 1 to 63 are possible"),
        (&["d", "web:0"], "the port \"0\": 1 to 65535 are possible"),
        (&["d", "web:"], "the port \"\""),
        (&["d", "--mesh=a/b"], "'a/b' for '--mesh <NAME>'"),
        (&["d", "--namespace=-"], "'-' for '--namespace <NAME>'"),
        (&["d", "--dns-suffix=10.0.0.1"], "the last label has digits alone"),
        (&["d", "--dns-suffix=apps.local."], "leave the dot out"),
        (&["d", "web", "--hostname=web"], "NODE=NAME"),
    ] {
        let error = args(words).unwrap_err();
        assert!(error.contains(expected), "{words:?}: {error}");
    }
    let plan = |words: &[&str]| args(words).unwrap().plan().unwrap_err().to_string();
    let error = plan(&["d", "web", "orders:1", "web:2"]);
    assert_eq!(error, "nothing was written: the service web is named twice; name it once");
    let error = plan(&["d", "web", "--hostname=api=x.y"]);
    assert!(error.ends_with("--hostname api: there is no such node; the nodes are web"), "{error}");
    let error = plan(&["d", &long[1..], "--canary"]);
    assert!(error.contains("66 characters, at most 63 are possible"), "{error}");
    let suffix = [&long[..60]; 4].join(".");
    let error = plan(&["d", "web-of-much", &format!("--dns-suffix={suffix}")]);
    assert!(error.contains("at most 253 are possible; take a shorter --dns-suffix"), "{error}");
}

#[test]
fn nothing_is_written_beside_manifests_unless_it_is_forced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mesh");
    let written = path.display().to_string();
    let mut out = Vec::new();
    run(&args(&[&written, "web"]).unwrap(), &mut out).unwrap();
    let said = String::from_utf8(out).unwrap();
    assert!(said.contains("  02-virtual-node-web.yaml\n"), "{said}");
    assert!(said.ends_with(&format!("kubectl apply -R -f {}\n", quoted(&written))), "{said}");

    let before = fs::read_to_string(path.join("01-mesh.yaml")).unwrap();
    let again = ["--mesh=other", &written, "api"];
    let error = run(&args(&again).unwrap(), &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("00-namespace.yaml, 01-mesh.yaml, 02-virtual-node-web.yaml"), "{error}");
    assert!(error.contains("--force"), "{error}");
    assert_eq!(fs::read_to_string(path.join("01-mesh.yaml")).unwrap(), before);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 6);

    let mut out = Vec::new();
    run(&args(&[&again[..], &["--force"]].concat()).unwrap(), &mut out).unwrap();
    let said = String::from_utf8(out).unwrap();
    assert!(said.contains("Already there, and applied with them:\n  02-virtual-node-web.yaml\n"), "{said}");
    assert_ne!(fs::read_to_string(path.join("01-mesh.yaml")).unwrap(), before);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 10, "no other file is left");
}

#[test]
fn nothing_is_left_when_one_file_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mesh");
    // A folder where a file is to be staged.
    fs::create_dir_all(path.join(".03-virtual-router-web.yaml.new/x")).unwrap();
    let written = path.display().to_string();
    let error = run(&args(&[&written, "web"]).unwrap(), &mut Vec::new()).unwrap_err().to_string();
    assert!(error.starts_with("nothing was written: "), "{error}");
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
}

#[test]
fn a_path_is_one_word_of_a_shell() {
    assert_eq!((quoted("a/b-c.d").as_str(), quoted("my mesh").as_str()), ("a/b-c.d", "'my mesh'"));
    assert_eq!(quoted("it's"), r"'it'\''s'");
}
