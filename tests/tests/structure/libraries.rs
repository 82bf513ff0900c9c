//! Libraries can be embedded: none reads a command line, prints, or ends the process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{closures, code, is_test, list, metadata, root, sources, text};

/// The crate that is no library for a program that embeds something: it is a command line itself, which two programs offer, kubectl's
/// plugin and `fleetmesh canary`.
const EXCEPTION: &str = "fleetmesh-kubectl";

/// What no library does: it belongs to the process, whose `main` is another's.
const BANNED: [&str; 8] = [
    "println!(",
    "print!(",
    "dbg!(",
    "io::stdout()",
    "io::stderr()",
    "process::exit(",
    "process::abort(",
    "use clap",
];

/// The folder of each library of ours by its name; what is for tests alone apart.
fn libraries() -> BTreeMap<String, PathBuf> {
    let metadata = metadata();
    let members: Vec<String> = list(&metadata["workspace_members"]).map(text).collect();
    let ours = list(&metadata["packages"]).filter(|package| members.contains(&text(&package["id"])));
    let is_library = |package: &&serde_json::Value| {
        list(&package["targets"]).any(|target| list(&target["kind"]).any(|kind| kind == "lib"))
    };
    let libraries = ours.filter(is_library).map(|package| {
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let folder =
            manifest.parent().expect("a folder").strip_prefix(root()).expect("below the root").to_owned();
        (text(&package["name"]), folder)
    });
    libraries.filter(|(name, folder)| name != EXCEPTION && !folder.starts_with("tests")).collect()
}

/// What is in the library at `folder`, its tests and its programs apart.
fn code_of(folder: &Path) -> impl Iterator<Item = (PathBuf, String)> + use<> {
    let source = folder.join("src");
    let is_apart = |path: &Path| {
        let mut parts = path.iter().filter_map(|part| part.to_str()).map(|part| part.trim_end_matches(".rs"));
        is_test(path) || parts.any(|part| matches!(part, "bin" | "main" | "testing" | "contract"))
    };
    let files = sources().into_iter().filter(move |path| path.starts_with(&source) && !is_apart(path));
    files.map(|path| {
        let text = std::fs::read_to_string(root().join(&path)).expect("a source");
        (path, code(&text).to_owned())
    })
}

#[test]
fn no_library_depends_on_what_reads_a_command_line() {
    let (libraries, closures) = (libraries(), closures());
    assert!(libraries.len() > 12, "{libraries:?}");
    let with: Vec<&String> = libraries.keys().filter(|name| closures[*name].contains("clap")).collect();
    assert!(with.is_empty(), "these depend on clap, which is for `cli`: {with:?}");
    assert!(closures["fleetmesh"].contains("clap"), "the check itself sees it");
}

#[test]
fn no_library_prints_or_ends_the_process() {
    let (mut found, mut seen) = (Vec::new(), 0);
    for folder in libraries().values() {
        for (path, code) in code_of(folder) {
            seen += 1;
            let lines = code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
            let uses = lines.flat_map(|(at, line)| {
                BANNED
                    .iter()
                    .filter(move |banned| line.contains(**banned))
                    .map(move |banned| (at + 1, banned))
            });
            found.extend(uses.map(|(at, banned)| format!("{}:{at}: {banned}", path.display())));
        }
    }
    assert!(seen > 200, "{seen} sources");
    assert!(found.is_empty(), "a library gives data, and `cli` prints: {found:#?}");
}

/// The lines of Rust that a program needs are what a test runs.
#[test]
fn the_page_about_embedding_shows_what_is_tested() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect(path);
    let page = read("docs/architecture.md");
    let (_, section) = page.split_once("\n## Embedding\n").expect("a section");
    let (_, shown) = section.split_once("```rust\n").expect("lines of Rust");
    let (shown, _) = shown.split_once("```\n").expect("their end");
    assert!(shown.lines().count() > 10);
    assert!(read("tests/tests/crash/embedded.rs").contains(shown), "{shown}");
}
