//! RE2 as the oracle, by PyPI's google-re2: what is taken here it takes, and its program is not larger than was said.

use std::process::Command;

use fleetmesh_tools::tools;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::re2::{PROGRAM_SIZE_LIMIT, check, program_size};

/// The sizes of RE2's own programs, in UTF-8 or Latin-1, whichever is larger; `None` for a pattern that it does not take in both.
fn sizes(patterns: &[String]) -> Vec<Option<u32>> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    serde_json::to_writer(&mut file, patterns).expect("the patterns are written");
    let mut python = Command::new(tools::tool("python").expect("cargo xtask setup puts it there"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/re2/tests/sizes.py");
    let output = python.arg(script).arg(file.path()).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sizes: Vec<Option<u32>> = serde_json::from_slice(&output.stdout).expect("a list");
    assert_eq!(sizes.len(), patterns.len());
    sizes
}

#[test]
fn what_people_write_is_taken_and_not_counted_as_more_than_twice_as_large() {
    let patterns: Vec<String> = include_str!("patterns.txt").lines().map(str::to_owned).collect();
    for (pattern, size) in patterns.iter().zip(sizes(&patterns)) {
        let size = size.unwrap_or_else(|| panic!("RE2 does not take {pattern}"));
        let bound = program_size(pattern).unwrap_or_else(|fault| panic!("{pattern}: {fault}"));
        // Four more, for what RE2 leaves out of programs that match nothing or the empty text.
        assert!(size <= bound && bound <= 2 * size + 4, "{pattern}: {size} instructions, said to be {bound}");
        assert_eq!(check(pattern).is_ok(), bound <= PROGRAM_SIZE_LIMIT, "{pattern}");
    }
}

/// A piece of a pattern that nothing repeats yet: good ones, and a few that RE2 does not take.
fn atom() -> impl Strategy<Value = String> {
    const GOOD: [&str; 53] = [
        "a",
        "b",
        "k",
        "s",
        "/",
        "-",
        "_",
        ".",
        "0",
        "é",
        "世",
        "[a-z]",
        "[^/]",
        "[^é]",
        "[A-Za-z0-9_-]",
        r"\d",
        r"\w",
        r"\s",
        r"\D",
        r"\W",
        r"\S",
        r"\.",
        r"\x41",
        r"\x{e9}",
        "[[:alpha:]]",
        "[[:^digit:]]",
        r"\p{Greek}",
        r"\p{Lu}",
        r"\PN",
        r"\Qa.b\E",
        "{id}",
        "{",
        "}",
        "]",
        "[]a]",
        "[[a]",
        "[a&&b]",
        r"[^\x00-\x7f]",
        "[é-ü]",
        "^",
        "$",
        r"\b",
        r"\A",
        r"\z",
        r"\B",
        r"\0",
        r"\12",
        r"\_",
        "%",
        r"[^\W\d]",
        r"[\x80-\xff]",
        r"\377",
        "users",
    ];
    const BAD: [&str; 22] = [
        r"\1",
        r"\8",
        r"\u0041",
        r"\x{100}",
        r"\777",
        "(?!a)",
        "(?=a)",
        "(?<=a)",
        "a++",
        "a**",
        "*",
        "+",
        "[b-a]",
        "[[:foo:]]",
        "(",
        "[",
        ")",
        r"\e",
        r"\p{Foo}",
        "(?x)",
        "a{1001}",
        r"\Z",
    ];
    let piece = |list: &'static [&'static str]| prop::sample::select(list).prop_map(str::to_owned);
    prop_oneof![60 => piece(&GOOD), 1 => piece(&BAD)]
}

fn pattern() -> impl Strategy<Value = String> {
    const REPEATED: [&str; 15] = [
        "*", "+", "?", "*?", "+?", "??", "{2}", "{0,1}", "{1,3}", "{3,}", "{0}", "{0,}", "{10}", "{2,5}",
        "{1,}",
    ];
    atom().prop_recursive(5, 40, 4, |inner| {
        let list = || prop::collection::vec(inner.clone(), 1..4);
        let group = prop::sample::select(&["(", "(?:", "(?i:", "(?s:"][..]);
        let repeated = (inner.clone(), any::<bool>(), prop::sample::select(&REPEATED[..]));
        prop_oneof![
            3 => list().prop_map(|parts| parts.concat()),
            3 => (group, list()).prop_map(|(group, parts)| format!("{group}{})", parts.join("|"))),
            3 => repeated.prop_map(|(part, grouped, times)| {
                if grouped { format!("(?:{part}){times}") } else { format!("{part}{times}") }
            }),
            1 => (prop::sample::select(&["(?i)", "(?m)", "(?U)", "(?-i)"][..]), inner)
                .prop_map(|(flags, part)| format!("{flags}{part}")),
        ]
    })
}

/// How many patterns are drawn: `cargo xtask test --long` asks for more by `FLEETMESH_LONG`.
fn drawn() -> usize {
    if std::env::var_os("FLEETMESH_LONG").is_some_and(|value| value == "1") { 100_000 } else { 2000 }
}

/// Patterns that were once said to be smaller than they are, or refused.
const FOUND: [&str; 6] = ["世{0}", "é{0}", "(世{0,0})a", "a(?i)*", "a*(?i)*", r"a*\Q\E*"];

#[test]
fn re2_takes_what_is_taken_here_and_needs_no_more_than_was_said() {
    let mut runner = TestRunner::default();
    let mut generate = || pattern().new_tree(&mut runner).expect("a pattern").current();
    let mut patterns: Vec<String> = (0..drawn()).map(|_| generate()).collect();
    patterns.extend(FOUND.map(str::to_owned));
    let mut taken = 0;
    for (pattern, size) in patterns.iter().zip(sizes(&patterns)) {
        match program_size(pattern) {
            Ok(bound) => {
                assert!(
                    size.is_some_and(|size| size <= bound),
                    "{pattern}: {size:?} instructions, said to be {bound}"
                );
                taken += 1;
            }
            Err(fault) => assert!(size.is_none(), "{pattern}: RE2 takes it, and here it is refused: {fault}"),
        }
    }
    let all = patterns.len();
    assert!((all / 2..all).contains(&taken), "{taken} of {all} are taken");
}
