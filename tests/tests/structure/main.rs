//! What the workspace promises about itself: pure crates stay pure, the operator and the control plane never import
//! each other, the EC2 and App Mesh SDKs stay where they belong, no source file is forgotten by its module tree, the
//! threat model names tests that are there, libraries can be embedded, names on a wire stand once, and words that the glossary
//! retired stay away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod both_apis;
mod circles;
mod conformance;
mod kinds;
mod libraries;
mod spawned;
mod threat_model;
mod wire;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What cargo knows of the workspace and its dependencies.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .expect("run cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

/// Every workspace crate by name, with the names of all crates it depends on, directly or not, for its own build
/// (no build scripts' and no tests' dependencies).
fn closures() -> BTreeMap<String, BTreeSet<String>> {
    closures_without(&[])
}

/// The same without what only the crates `cut` bring.
fn closures_without(cut: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let names: BTreeMap<String, String> =
        list(&metadata["packages"]).map(|package| (text(&package["id"]), text(&package["name"]))).collect();
    let edges: BTreeMap<String, Vec<String>> = list(&metadata["resolve"]["nodes"])
        .map(|node| {
            let normal = list(&node["deps"])
                .filter(|dep| list(&dep["dep_kinds"]).any(|kind| kind["kind"].is_null()))
                .map(|dep| text(&dep["pkg"]));
            (text(&node["id"]), normal.collect())
        })
        .collect();
    list(&metadata["workspace_members"])
        .map(|member| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![text(member)]);
            while let Some(id) = next.pop() {
                if cut.contains(&names[&id].as_str()) {
                    continue;
                }
                for dependency in &edges[&id] {
                    if seen.insert(dependency.clone()) {
                        next.push(dependency.clone());
                    }
                }
            }
            (names[&text(member)].clone(), seen.iter().map(|id| names[id].clone()).collect())
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("an array").iter()
}

fn root() -> PathBuf {
    fleetmesh_testbed::tools::workspace_dir().expect("the workspace")
}

fn offenders(closure: &BTreeSet<String>, banned: impl Fn(&str) -> bool) -> Vec<&String> {
    closure.iter().filter(|name| banned(name)).collect()
}

const PURE: [&str; 7] = [
    "fleetmesh-api",
    "fleetmesh-model",
    "fleetmesh-core",
    "fleetmesh-crds",
    "fleetmesh-instance",
    "fleetmesh-mesh",
    "fleetmesh-standalone-core",
];

/// What pure crates do without: runtimes, servers, clients, databases, SDKs, randomness.
const IMPURE: [&str; 13] = [
    "tokio",
    "tokio-util",
    "kube-client",
    "kube-runtime",
    "hyper",
    "axum",
    "tonic",
    "tower",
    "rusqlite",
    "rustls",
    "reqwest",
    "rand",
    "socket2",
];

/// What a pure crate may depend on all the same, and why. Only what it brings is tolerated, and only through it.
const TOLERATED: [(&str, &str); 1] = [(
    "envoy-types",
    "Envoy's messages; it has no feature to leave out tonic with its transport, of which nothing pure uses anything",
)];

fn is_impure(name: &str) -> bool {
    IMPURE.contains(&name) || name.starts_with("aws-")
}

#[test]
fn pure_crates_depend_on_no_runtime_no_client_and_no_sdk() {
    let tolerated = TOLERATED.map(|(name, _)| name);
    let closures = closures_without(&tolerated);
    for pure in PURE {
        let found = offenders(&closures[pure], is_impure);
        assert!(found.is_empty(), "{pure} must stay pure, but it depends on {found:?}");
    }
    for impure in ["tokio", "axum", "tonic", "rusqlite", "rustls", "aws-config"] {
        assert!(is_impure(impure));
        let seen = closures["fleetmesh-control-plane"].contains(impure);
        assert!(seen, "the check itself sees that the control plane depends on {impure}");
    }
}

/// A server, a database or an SDK is in a pure crate's build for no reason at all, not even as what is tolerated brings it.
#[test]
fn nothing_brings_a_database_or_an_sdk_into_a_pure_crate() {
    let closures = closures();
    let heavy =
        |name: &str| ["rusqlite", "libsqlite3-sys", "rustls"].contains(&name) || name.starts_with("aws-");
    for pure in PURE {
        let found = offenders(&closures[pure], heavy);
        assert!(found.is_empty(), "{pure} depends on {found:?}");
    }
}

#[test]
fn dependencies_point_one_way() {
    let closures = closures();
    let apart = [
        ("fleetmesh-operator", "fleetmesh-control-plane"),
        ("fleetmesh-control-plane", "fleetmesh-operator"),
        ("fleetmesh-control-plane", "fleetmesh-core"),
        ("fleetmesh-control-plane", "kube-client"),
        ("fleetmesh-control-plane", "aws-sdk-appmesh"),
        ("fleetmesh-control-plane", "aws-sdk-ec2"),
        ("fleetmesh-control-plane", "aws-sdk-servicediscovery"),
        ("fleetmesh-kubectl", "aws-config"),
        ("fleetmesh-kubectl", "fleetmesh-operator"),
        ("fleetmesh-proxy", "tokio"),
        ("fleetmesh-join", "aws-sdk-ec2"),
        ("fleetmesh-join", "aws-sdk-appmesh"),
        ("fleetmesh-join", "kube-client"),
        ("fleetmesh-join", "fleetmesh-control-plane"),
        ("fleetmesh-mesh", "fleetmesh-control-plane"),
        ("fleetmesh-mesh", "fleetmesh-core"),
        ("fleetmesh-standalone", "fleetmesh-operator"),
        ("fleetmesh-standalone", "fleetmesh-control-plane"),
        ("fleetmesh-standalone-core", "fleetmesh-core"),
        ("fleetmesh-model", "fleetmesh-crds"),
        ("fleetmesh-api", "fleetmesh-model"),
        ("xtask", "kube-client"),
        // A newcomer compiles it before anything else.
        ("xtask", "fleetmesh-testbed"),
        ("xtask", "tokio"),
    ];
    for (from, to) in apart {
        assert!(!closures[from].contains(to), "{from} must not depend on {to}");
    }
}

/// `forbid` cannot be taken back by an attribute in the sources, and a crate that takes the workspace's lints cannot add to them.
#[test]
fn no_crate_of_ours_may_hold_unsafe_code() {
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).expect("the workspace's manifest");
    let (_, lints) = workspace.split_once("\n[workspace.lints.rust]\n").expect("lints of the workspace");
    let lints = lints.split("\n[").next().unwrap_or_default();
    assert!(lints.lines().any(|line| line == r#"unsafe_code = "forbid""#), "{lints}");
    let metadata = metadata();
    let members: BTreeSet<String> = list(&metadata["workspace_members"]).map(text).collect();
    let ours = list(&metadata["packages"]).filter(|package| members.contains(&text(&package["id"])));
    let manifests: Vec<String> = ours.map(|package| text(&package["manifest_path"])).collect();
    assert!(manifests.len() > 10, "{manifests:?}");
    let takes_none = |manifest: &&String| {
        let text = std::fs::read_to_string(manifest).expect("a manifest");
        !text.contains("\n[lints]\nworkspace = true\n")
    };
    let without: Vec<&String> = manifests.iter().filter(takes_none).collect();
    assert!(without.is_empty(), "these take no lints from the workspace: {without:?}");
}

#[test]
fn every_source_file_is_in_a_module_tree() {
    let files = sources();
    assert!(files.len() > 20, "git lists the sources: {files:?}");
    let forgotten: Vec<&PathBuf> = files.iter().filter(|file| !is_root(file) && !is_declared(file)).collect();
    assert!(forgotten.is_empty(), "no module includes {forgotten:?}");
}

/// Every Rust source that git knows or would take, from the root.
fn sources() -> BTreeSet<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root())
        .output()
        .expect("run git ls-files");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("UTF-8");
    listed.lines().map(PathBuf::from).filter(|file| root().join(file).exists()).collect()
}

/// Whether the file at `path` holds tests alone, by its name or its folder's.
fn is_test(path: &Path) -> bool {
    let below = root();
    let parts = path.strip_prefix(&below).unwrap_or(path).iter().filter_map(|part| part.to_str());
    parts.map(|part| part.trim_end_matches(".rs")).any(|part| part == "tests" || part.ends_with("_tests"))
}

/// The source up to the module of tests at its end. One in a file of its own, which is only named, takes nothing away.
fn code(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

/// A crate's root: cargo finds these by itself.
fn is_root(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let parent = file.parent().unwrap_or(Path::new(""));
    let folder = parent.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let in_package = parent.parent().is_some_and(|package| root().join(package).join("Cargo.toml").exists());
    let source_root = folder == "src" && in_package && matches!(name, "lib.rs" | "main.rs");
    let target = matches!(folder, "tests" | "examples" | "benches") && in_package;
    let above = parent.parent().and_then(|above| above.file_name()).and_then(|name| name.to_str());
    let target_folder = name == "main.rs" && matches!(above, Some("tests" | "examples" | "benches" | "bin"));
    name == "build.rs" || source_root || target || target_folder || folder == "bin"
}

/// Whether the module that must include `file` says `mod NAME`.
fn is_declared(file: &Path) -> bool {
    let (module, folder) = if file.ends_with("mod.rs") {
        let folder = file.parent().expect("mod.rs has a folder");
        (folder.file_name(), folder.parent())
    } else {
        (file.file_stem(), file.parent())
    };
    let (Some(module), Some(folder)) = (module.and_then(|name| name.to_str()), folder) else { return false };
    let beside = |name: &str| root().join(folder).join(name);
    let mut parents: Vec<PathBuf> = ["lib.rs", "main.rs", "mod.rs"].map(beside).into();
    parents.push(root().join(folder).with_extension("rs"));
    // A test or binary `NAME.rs` may hold its modules in a folder `NAME`, or beside it with `#[path]`.
    let declared = |text: String| {
        text.lines().map(str::trim_start).any(|line| {
            let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
            let line = line.trim_start_matches("pub ");
            line.starts_with(&format!("mod {module};")) || line.starts_with(&format!("mod {module} {{"))
        })
    };
    let path_attribute = format!("{module}/mod.rs");
    parents.iter().filter_map(|parent| std::fs::read_to_string(parent).ok()).any(declared)
        || sibling_roots(folder)
            .into_iter()
            .filter_map(|parent| std::fs::read_to_string(parent).ok())
            .any(|text| text.contains(&format!("mod {module};")) || text.contains(&path_attribute))
}

/// The roots of integration tests at or one above `folder`, `NAME.rs` and `NAME/main.rs`, which include shared modules.
fn sibling_roots(folder: &Path) -> Vec<PathBuf> {
    let above = folder.parent().unwrap_or(folder);
    [folder, above]
        .into_iter()
        .filter(|folder| folder.file_name().is_some_and(|name| name == "tests"))
        .filter_map(|folder| std::fs::read_dir(root().join(folder)).ok())
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .map(|path| if path.is_dir() { path.join("main.rs") } else { path })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}
