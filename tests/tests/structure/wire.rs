//! What goes over a wire is named once: the names in `api/` (tags, headers, paths, metadata, ports) stand in no other source.

use std::path::Path;

use crate::{root, sources};

/// The crate whose constants these are.
const CRATE: &str = "api/src";
/// What it gives tests to read names nothing.
const EXAMPLES: &str = "api/src/examples.rs";

/// The part of a source that is no test, without comments, and with the number of each line.
fn code(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let tests = |line: &str| line.starts_with("#[cfg(test)]") || line.starts_with("    #[cfg(test)]");
    source
        .lines()
        .take_while(move |line| !tests(line))
        .enumerate()
        .map(|(at, line)| (at + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Whether the file at `path` holds tests alone.
fn is_test(path: &Path) -> bool {
    crate::is_test(path) || ["test.rs", "testing.rs"].iter().any(|name| path.ends_with(name))
}

/// The texts of a module's constants that mean something elsewhere: numbers of ports, and words with a hyphen or a slash.
fn names(source: &str) -> Vec<String> {
    let code: Vec<&str> = code(source).map(|(_, line)| line.trim()).collect();
    let constants = code.join(" ");
    let constants = constants.split("pub const ").skip(1);
    let value = |constant: &str| {
        let (kind, value) = constant.split_once(" = ")?;
        let text = value.strip_prefix('"').and_then(|text| text.split_once("\";")).map(|(text, _)| text);
        let text = text.filter(|text| text.contains(['-', '/']) && !text.ends_with('/'));
        let port = || kind.ends_with(": u16").then(|| value.split(';').next()).flatten();
        text.or_else(port).map(str::to_owned)
    };
    constants.filter_map(value).collect()
}

/// Whether `name` stands in `line` as a whole: `owner-name` does not in `owner-namespace`.
fn stands_in(name: &str, line: &str) -> bool {
    let joins = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_');
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + name.len()..].chars().next();
        ![before, after].into_iter().flatten().any(joins)
    })
}

/// Each of `names` in the source at `path`, as `path:line: name`.
fn uses(path: &Path, source: &str, names: &[String]) -> Vec<String> {
    let of_line = |(number, line): (usize, &str)| {
        let found = names.iter().filter(|name| stands_in(name, line));
        found.map(|name| format!("{}:{number}: {name}", path.display())).collect::<Vec<_>>()
    };
    code(source).flat_map(of_line).collect()
}

#[test]
fn names_on_a_wire_stand_once() {
    let read = |path: &Path| std::fs::read_to_string(root().join(path)).unwrap();
    let (ours, others): (Vec<_>, Vec<_>) = sources().into_iter().partition(|path| path.starts_with(CRATE));
    let ours = ours.iter().filter(|path| !path.ends_with(EXAMPLES));
    let mut names: Vec<String> = ours.flat_map(|path| names(&read(path))).collect();
    names.sort();
    for known in ["15001", "/fleetmesh/v1/join", "fleetmesh.dev/proxy-principals", "x-fleetmesh-challenge"] {
        assert!(names.iter().any(|name| name == known), "{CRATE} names {known}: {names:?}");
    }
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{CRATE} says {twice:?} twice");
    let others = others.iter().filter(|path| !is_test(path));
    let found: Vec<String> = others.flat_map(|path| uses(path, &read(path), &names)).collect();
    assert!(found.is_empty(), "use the constant of {CRATE} for these:\n{}", found.join("\n"));
}

#[test]
fn a_name_is_found_where_it_is_not_a_part_of_another() {
    let module = "/// A tag.\npub const TAG: &str = \"x.dev/owner\";\npub const A: &str =\n    \"x-a\";\n\
                  pub const PORT: u16 = 15000;\npub const PREFIX: &str = \"x.dev/\";\n\
                  #[cfg(test)]\nmod tests {\n    pub const NONE: &str = \"x-none\";\n}\n";
    let names = names(module);
    assert_eq!(names, ["x.dev/owner", "x-a", "15000"]);
    let of = |line: &str| uses(Path::new("x.rs"), line, &names).len();
    for line in ["const TAG: &str = \"x.dev/owner\";", "say(\"its tag x.dev/owner.\")", "let port = 15000;"] {
        assert_eq!(of(line), 1, "{line}");
    }
    for line in
        ["\"x.dev/owner-name\"", "// x-a", "max-a", "0.0.0.0_15000", "15_000", "#[cfg(test)]\n\"x-a\""]
    {
        assert_eq!(of(line), 0, "{line}");
    }
    assert!(is_test(Path::new("a/src/b/tests.rs")) && is_test(Path::new("tests/x.rs")));
    assert!(!is_test(Path::new("a/src/testing_ground.rs")));
}
