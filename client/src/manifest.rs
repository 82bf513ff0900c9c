//! The objects in the text of a manifest. Pure.

use serde_json::Value;

/// The objects of YAML documents or of JSON, those of lists among them.
///
/// # Errors
/// It is neither, in words.
pub fn objects(text: &str) -> Result<Vec<Value>, String> {
    let documents: Vec<Value> = if text.trim_start().starts_with('{') {
        let values = serde_json::Deserializer::from_str(text).into_iter();
        values.collect::<Result<_, _>>().map_err(|error| format!("no JSON: {error}"))?
    } else {
        serde_saphyr::from_multiple(text)
            .map_err(|error| format!("error converting YAML to JSON: {error}"))?
    };
    let mut objects = Vec::new();
    documents
        .into_iter()
        .filter(|document| !document.is_null())
        .for_each(|document| flatten(document, &mut objects));
    Ok(objects)
}

fn flatten(mut document: Value, objects: &mut Vec<Value>) {
    let is_list = document["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
    match document.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => items.into_iter().for_each(|item| flatten(item, objects)),
        Some(items) => {
            document["items"] = items;
            objects.push(document);
        }
        None => objects.push(document),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_lists_are_taken_apart() {
        let names = |text: &str| -> Vec<String> {
            objects(text).unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("# nothing\n---\nname: a\n---\n---\nname: b\n"), ["a", "b"]);
        assert_eq!(names("kind: List\nitems:\n- name: a\n- kind: XList\n  items: [{name: b}]\n"), ["a", "b"]);
        assert_eq!(names("{\"name\": \"a\"}\n{\"name\": \"b\", \"items\": [1]}"), ["a", "b"]);
        assert_eq!(names(""), [""; 0]);
        assert!(objects("a: [").is_err() && objects("{\"a\"").is_err());
    }
}
