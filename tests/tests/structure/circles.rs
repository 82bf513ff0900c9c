//! Modules that are in no circle: whoever reads or moves one of them needs not read what uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::{code, is_test, root};

/// The folder whose modules are looked at, how they name each other, and the one that is in no circle of them.
const FREE: [(&str, &str, &str); 5] = [
    ("operator/src", "crate", "context"),
    ("operator/src", "crate", "reconcile"),
    ("control-plane/src", "crate", "tls"),
    ("operator/core/src/fleet", "super", "decide"),
    ("operator/core/src/canary", "super", "transition"),
];

/// Folders in which no module is in a circle, and how their modules name each other.
const WHOLE: [(&str, &str); 6] = [
    ("mesh/src", "crate"),
    ("mesh/src/ads", "super"),
    ("mesh/src/loads", "super"),
    ("mesh/src/distribution", "super"),
    ("mesh/src/snapshot", "super"),
    ("mesh/src/store", "super"),
];

type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn these_modules_are_in_no_circle() {
    for (folder, prefix, module) in FREE {
        let graph = graph(&root().join(folder), prefix);
        let used = graph.get(module).unwrap_or_else(|| panic!("{folder} has no {module}"));
        assert!(!used.is_empty(), "{module} uses something of {folder}: the check itself sees it");
        assert_eq!(leads_back(&graph, module), None, "{folder}: {module} uses this, which leads back to it");
    }
}

#[test]
fn no_module_of_these_folders_is_in_a_circle() {
    for (folder, prefix) in WHOLE {
        let graph = graph(&root().join(folder), prefix);
        let uses: usize = graph.values().map(BTreeSet::len).sum();
        assert!(uses > 1, "{folder}: the check itself sees what its modules use: {graph:?}");
        for module in graph.keys() {
            let back = leads_back(&graph, module);
            assert_eq!(back, None, "{folder}: {module} uses this, which leads back to it: {graph:?}");
        }
    }
}

/// What `module` uses that leads back to it.
fn leads_back<'a>(graph: &'a Graph, module: &str) -> Option<&'a String> {
    graph.get(module)?.iter().find(|other| reaches(graph, other, module))
}

#[test]
fn a_circle_is_found() {
    let uses = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let graph: Graph = [("a", uses(&["b"])), ("b", uses(&["c"])), ("c", uses(&["a"])), ("d", uses(&["a"]))]
        .map(|(name, used)| (name.to_owned(), used))
        .into();
    assert!(reaches(&graph, "b", "a") && !reaches(&graph, "a", "d"));
    assert_eq!((leads_back(&graph, "a"), leads_back(&graph, "d")), (Some(&"b".to_owned()), None));
    let code = "mod a;\n#[cfg(test)]\nmod tests;\nuse x;\n#[cfg(test)]\nmod tests {\n    use y;\n}\n";
    assert_eq!(without_tests(code), "mod a;\nmod tests;\nuse x;\n");
    let names: Vec<&str> = names("use super::{x, y::Z};\n// super::w\nsuper::v::f();\n", "super").collect();
    assert_eq!(names, ["x", "y", "Z", "v"]);
}

fn reaches(graph: &Graph, from: &str, to: &str) -> bool {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(module) = next.pop() {
        if module == to {
            return true;
        }
        if seen.insert(module) {
            next.extend(graph.get(module).into_iter().flatten().map(String::as_str));
        }
    }
    false
}

/// Which modules of the folder each of them uses, tests apart.
fn graph(folder: &Path, prefix: &str) -> Graph {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let module = entry.file_stem().expect("a name").to_string_lossy().into_owned();
        if !matches!(module.as_str(), "lib" | "main" | "mod") {
            read(&entry, texts.entry(module).or_default());
        }
    }
    let known: BTreeSet<String> = texts.keys().cloned().collect();
    let used = |module: &str, text: &str| {
        let used = names(text, prefix).filter(|name| known.contains(*name) && *name != module);
        used.map(str::to_owned).collect()
    };
    texts.iter().map(|(module, text)| (module.clone(), used(module, text))).collect()
}

/// The sources at or below `path`.
fn read(path: &Path, text: &mut String) {
    if path.is_dir() && !is_test(path) {
        for entry in std::fs::read_dir(path).expect("a folder") {
            read(&entry.expect("an entry").path(), text);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test(path) {
        let source = std::fs::read_to_string(path).expect("a source");
        text.push_str(&without_tests(&source));
    }
}

/// The code up to the tests at its end; a module of tests in a file of its own is only named.
fn without_tests(source: &str) -> String {
    code(source).replace("#[cfg(test)]\n", "")
}

/// The names that follow `prefix::` in the code, alone or in braces.
fn names<'a>(text: &'a str, prefix: &str) -> impl Iterator<Item = &'a str> {
    let start = format!("{prefix}::");
    let code = text.split_inclusive('\n').filter(|line| !line.trim_start().starts_with("//"));
    let mut found = Vec::new();
    let mut in_braces = false;
    for line in code {
        let mut rest = line;
        if in_braces {
            in_braces = !rest.contains('}');
            found.extend(words(rest));
            continue;
        }
        while let Some((_, after)) = rest.split_once(&start) {
            if let Some(group) = after.strip_prefix('{') {
                in_braces = !group.contains('}');
                found.extend(words(group));
                break;
            }
            found.extend(words(after).take(1));
            rest = after;
        }
    }
    found.into_iter()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.split(move |letter: char| !is_part(letter)).filter(|word| !word.is_empty())
}
