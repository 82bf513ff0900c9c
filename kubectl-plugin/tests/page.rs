//! The page about the commands shows what they print.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_pages_examples_are_what_the_commands_print() {
    let page = read("../docs/canary-commands.md");
    let beginning = |text: String, lines: usize| -> String {
        text.lines().take(lines).map(|line| format!("{line}\n")).collect()
    };
    for (name, text) in [
        ("progressing", read("tests/draw/golden/progressing.txt")),
        ("awaiting-promotion", beginning(read("tests/draw/golden/awaiting-promotion.txt"), 4)),
        ("draining", read("tests/draw/golden/draining.txt")),
        ("bad", read("tests/simulate/golden/bad.txt")),
        ("bad.csv", beginning(read("tests/simulate/bad.csv"), 5)),
    ] {
        assert!(
            page.contains(&format!("\n{text}```\n")),
            "docs/canary-commands.md does not show {name} as it is:\n{text}"
        );
    }
}
