use serde_json::json;

use super::document;

/// What kubectl 1.36 writes for the same.
#[test]
fn documents_are_written_as_kubectl_writes_them() {
    let value = json!({
        "kind": "Mesh",
        "apiVersion": "v1",
        "metadata": {"labels": {}, "annotations": {"a10": "1", "a9": "true", "a": "1.5", "e": ""}},
        "list": [{"b": 1, "a": [1, [2, 3]]}, [], null, true, 0.5],
    });
    let expected = "\
apiVersion: v1
kind: Mesh
list:
- a:
  - 1
  - - 2
    - 3
  b: 1
- []
- null
- true
- 0.5
metadata:
  annotations:
    a: \"1.5\"
    a9: \"true\"
    a10: \"1\"
    e: \"\"
  labels: {}
";
    assert_eq!(document(&value), expected);
}

#[test]
fn texts_are_in_quotes_where_they_could_be_something_else() {
    for (text, expected) in [
        ("plain text", "plain text"),
        ("a: b", "'a: b'"),
        ("a:b", "a:b"),
        ("a #b", "'a #b'"),
        ("a#b", "a#b"),
        ("it's", "it's"),
        ("'quoted'", "'''quoted'''"),
        ("*", "'*'"),
        ("- a", "'- a'"),
        ("-a", "-a"),
        (" a", "' a'"),
        ("a ", "'a '"),
        ("yes", "\"yes\""),
        ("y", "\"y\""),
        ("yesterday", "yesterday"),
        ("~", "\"~\""),
        ("<<", "<<"),
        ("12", "\"12\""),
        ("1e3", "\"1e3\""),
        ("0x1f", "\"0x1f\""),
        ("010", "\"010\""),
        ("089", "\"089\""),
        ("1_000", "\"1_000\""),
        ("1.2.3", "1.2.3"),
        (".5", "\".5\""),
        ("12:30:45", "\"12:30:45\""),
        ("99:99", "99:99"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("2026-01-02T03:04:05Z", "\"2026-01-02T03:04:05Z\""),
        ("2026-01-02", "\"2026-01-02\""),
        ("2026-13-02", "2026-13-02"),
        ("---", "'---'"),
        ("tab\there", "\"tab\\there\""),
        ("\u{1}é", "\"\\x01é\""),
        ("", "\"\""),
    ] {
        assert_eq!(document(&json!({"x": text})), format!("x: {expected}\n"), "{text:?}");
    }
}

#[test]
fn long_texts_break_behind_column_80_and_several_lines_are_literal() {
    let text = "word ".repeat(20);
    let expected = format!("x: {}\n  word word word word\n", "word ".repeat(16).trim_end());
    assert_eq!(document(&json!({"x": text.trim_end()})), expected);
    let quoted = format!("'{}': it", "word ".repeat(17));
    let expected = format!("x: '''{}\n  word '': it'\n", "word ".repeat(16).trim_end());
    assert_eq!(document(&json!({"x": quoted})), expected);
    for (text, expected) in [
        ("a\nb\n", "x: |\n  a\n  b\n"),
        ("a\nb", "x: |-\n  a\n  b\n"),
        ("a\n\n", "x: |+\n  a\n\n"),
        ("\na\n", "x: |2\n\n  a\n"),
        ("a \nb", "x: \"a \\nb\"\n"),
    ] {
        assert_eq!(document(&json!({"x": text})), expected, "{text:?}");
    }
    assert_eq!(document(&json!({"x": "a\n\n", "z": 1})), "x: |+\n  a\n\nz: 1\n");
}
