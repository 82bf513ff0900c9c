//! What is refused and in what words; what is taken, beside RE2 itself.

mod oracle;

use super::*;

fn words(pattern: &str) -> String {
    check(pattern).expect_err(pattern).to_string()
}

#[test]
fn what_re2_does_not_have_is_named_with_its_place_and_a_way_out() {
    let faults = [
        (
            "/v1/(?!admin).*",
            r#"at character 5: "(?!" looks around"#,
            "a route of their own with a smaller priority",
        ),
        ("a(?<=b)", r#"at character 2: "(?<=" looks around"#, "write out"),
        (r"(a)\1", r#"at character 4: "\1" refers to another group"#, "write out"),
        ("([", r#"at character 2: "[" is missing its ]"#, r"write \["),
        ("/(unclosed", r#"at character 2: "(" is missing its )"#, r"write \("),
        ("a)", r#"at character 2: ")" closes a group that nothing opens"#, r"write \)"),
        ("a{2000}", r#"at character 2: "{2000}" repeats more than 1000 times"#, "use * or +"),
        ("(?:a{100}){100}", r#"at character 11: "{100}" repeats more than 1000 times"#, "use * or +"),
        ("a{3,2}", r#"at character 2: "{3,2}" ends before it begins"#, "the lower count comes first"),
        ("a++", r#"at character 3: "+" follows another repetition"#, "(?:…)"),
        ("*a", r#"at character 1: "*" repeats nothing"#, "backslash"),
        ("(?i)*a", r#"at character 5: "*" repeats nothing"#, "backslash"),
        ("[z-a]", r#"at character 2: "z-a" is a range that ends before it begins"#, "put - last"),
        (r"\u00e9", r#"at character 1: "\u" is no escape"#, "the character itself"),
        (r"[\x{800}-a]", r#"at character 2: "\x{800}" is more than \xff"#, "the character itself"),
        (r"\777", r#"at character 1: "\777" is more than \xff"#, "the character itself"),
        (r"\q", r#"at character 1: "\q" is no escape"#, "without the backslash"),
        (r"a\", r#"at character 2: "\" ends the pattern"#, r"\\"),
        (r"\xg0", r#"at character 1: "\xg0" needs hexadecimal digits"#, r"\x2f"),
        (r"/a\x7", r#"at character 3: "\x7" needs hexadecimal digits"#, r"\x2f"),
        (r"\p{greek}", r#"at character 1: "\p{greek}" is no class that RE2 knows"#, r"\p{Greek}"),
        ("[[:alfa:]]", r#"at character 2: "[:alfa:]" is no class that RE2 knows"#, "[:alpha:]"),
        ("(?x)a", r#"at character 1: "(?x" is no group of RE2's"#, "i, m, s and U"),
        ("(?P<a>b)(?P<a>c)", r#"at character 9: "(?P<a>" is a name twice"#, "(?:…)"),
        ("(?>a)", r#"at character 1: "(?>" is an atomic group"#, "write (?:"),
        ("\n\\é", r#"at character 2: "\é" is no escape"#, "without the backslash"),
        ("[\n", r#"at character 1: "[" is missing its ]"#, r"write \["),
    ];
    for (pattern, fault, way_out) in faults {
        let words = words(pattern);
        assert!(words.starts_with(fault) && words.contains(way_out), "{pattern}: {words}");
    }
}

#[test]
fn a_program_that_envoy_does_not_take_is_named_with_both_sizes() {
    let words = words(r"\pL{1,2}");
    assert!(words.contains("instructions for it and Envoy takes 1000"), "{words}");
    assert!(check(".{1,100}").is_ok_and(|size| size > DEFAULT_PROGRAM_SIZE_LIMIT));
    assert_eq!(check("a{996}").expect("a pattern"), PROGRAM_SIZE_LIMIT);
    assert!(check("a{997}").is_err());
}

#[test]
fn a_nested_pattern_is_judged_without_being_written_out() {
    let nested = "(?:".repeat(80) + "a" + &"){0,1}".repeat(80);
    assert!(check(&nested).is_ok());
    let grown = "(".repeat(4) + "." + &"){1,9}".repeat(4);
    assert!(words(&grown).contains("repeats more than 1000 times"));
}
