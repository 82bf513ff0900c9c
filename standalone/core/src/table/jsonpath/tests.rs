use serde_json::{Value, json};

use super::Path;

fn object() -> Value {
    json!({
        "metadata": { "annotations": { "example.dev/default": "yes" } },
        "spec": { "numbers": [3, 1, 2], "none": null, "half": 0.5, "text": "a" },
        "status": { "conditions": [
            { "type": "Synced", "status": "False", "count": 2 },
            { "type": "Ready", "status": "True", "count": 3, "reason": "It (all) holds" },
        ]},
    })
}

fn found(path: &str) -> Option<Vec<Value>> {
    let path = Path::parse(path).expect(path);
    path.find(&object()).map(|found| found.into_iter().cloned().collect())
}

#[test]
fn members_are_found_by_name() {
    assert_eq!(found(".spec.text"), Some(vec![json!("a")]));
    assert_eq!(found(".text"), Some(vec![]));
    assert_eq!(found(r".metadata.annotations.example\.dev/default"), Some(vec![json!("yes")]));
    assert_eq!(found(r".metadata.annotations['example\.dev/default']"), Some(vec![json!("yes")]));
    assert_eq!(found(".spec.none"), Some(vec![Value::Null]));
    assert_eq!(found(".spec.text.deeper"), Some(vec![]));
    assert_eq!(found(".status.none[0]"), Some(vec![]));
    assert_eq!(found(".spec.*"), Some(vec![json!(0.5), Value::Null, json!([3, 1, 2]), json!("a")]));
}

#[test]
fn items_are_found_by_index_and_slice() {
    for (path, expected) in [
        (".spec.numbers[0]", Some(vec![3])),
        (".spec.numbers[-1]", Some(vec![2])),
        (".spec.numbers[-2]", Some(vec![1])),
        (".spec.numbers[*]", Some(vec![3, 1, 2])),
        (".spec.numbers[1:]", Some(vec![1, 2])),
        (".spec.numbers[:2]", Some(vec![3, 1])),
        (".spec.numbers[0:3:2]", Some(vec![3, 2])),
        (".spec.numbers[2:2]", Some(vec![])),
        (".spec.numbers[3]", None),
        (".spec.numbers[-4]", None),
        (".spec.numbers[0:9]", None),
        (".spec.numbers[0:3:0]", None),
        (".spec.text[0]", None),
    ] {
        let expected = expected.map(|numbers| numbers.into_iter().map(Value::from).collect::<Vec<_>>());
        assert_eq!(found(path), expected, "{path}");
    }
}

#[test]
fn filters_take_the_items_that_compare() {
    let status = |filter: &str| found(&format!(".status.conditions[?({filter})].type"));
    let (synced, ready) = (json!("Synced"), json!("Ready"));
    for (filter, expected) in [
        (r#"@.type=="Ready""#, Some(vec![ready.clone()])),
        ("@.type=='Ready'", Some(vec![ready.clone()])),
        (r#"@.type != "Ready""#, Some(vec![synced.clone()])),
        ("@.count>2", Some(vec![ready.clone()])),
        ("@.count>=2", Some(vec![synced.clone(), ready.clone()])),
        ("@.count<3", Some(vec![synced.clone()])),
        ("@.count<=1", Some(vec![])),
        ("@.reason", Some(vec![ready.clone()])),
        (r#"@.reason=="It (all) holds""#, Some(vec![ready])),
        ("@.type==@.status", Some(vec![])),
        ("@.type==1", None),
        ("@.count==2.5", None),
    ] {
        assert_eq!(status(filter), expected, "{filter}");
    }
    assert_eq!(found(".spec[?(@.a==1)]"), None, "an object has no items");
}

#[test]
fn what_cannot_be_read_is_given_back() {
    for (path, rest) in [
        ("..recursive", "..recursive"),
        (".a[1,2]", "[1,2]"),
        (".a[x]", "[x]"),
        (".a[]", "[]"),
        (".a[0", "[0"),
        (".a[?(@.b==\"c)]", "[?(@.b==\"c)]"),
        (".a[?(@.b=~'c')]", "=~'c'"),
        (".a}", "}"),
        ("a", "a"),
    ] {
        assert_eq!(Path::parse(path), Err(rest.to_owned()), "{path}");
    }
}
