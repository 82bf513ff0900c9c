//! The rows of a `Table` as text.

use fleetmesh_standalone_core::go;
use serde_json::Value;

use crate::resources::Resource;

/// What a table shows beside its own columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// Columns of a lower priority.
    pub wide: bool,
    /// No headers.
    pub bare: bool,
    /// The namespace, first.
    pub namespace: bool,
    /// The kind, before the name.
    pub kind: bool,
    /// The labels, last.
    pub labels: bool,
}

/// The lines of a table, with tabs between the cells.
pub fn lines(columns: &Value, tables: &[&Value], resource: &Resource, shown: Shown) -> String {
    let rows: Vec<&Value> = tables.iter().flat_map(|table| items(&table["rows"])).collect();
    if rows.is_empty() {
        return String::new();
    }
    let columns: Vec<&Value> = items(columns).collect();
    let kept = |column: &Value| shown.wide || column["priority"].as_i64().unwrap_or_default() == 0;
    let name = columns.iter().position(|one| one["format"] == "name" && one["type"] == "string");
    let mut text = String::new();
    if !shown.bare {
        let names =
            columns.iter().filter(|column| kept(column)).map(|column| word(&column["name"]).to_uppercase());
        push(&mut text, framed(shown, names.collect(), || ("NAMESPACE".into(), "LABELS".into())));
    }
    for row in rows {
        let cells = columns.iter().zip(items(&row["cells"])).enumerate();
        let cells = cells.filter(|(_, (column, _))| kept(column)).map(|(at, (_, value))| {
            let cell = cell(value);
            let has_kind = shown.kind && Some(at) == name;
            if has_kind { format!("{}/{cell}", resource.qualified_kind()) } else { cell }
        });
        let metadata = &row["object"]["metadata"];
        push(
            &mut text,
            framed(shown, cells.collect(), || {
                (word(&metadata["namespace"]).into(), labels(&metadata["labels"]))
            }),
        );
    }
    text
}

fn framed(shown: Shown, mut cells: Vec<String>, more: impl Fn() -> (String, String)) -> Vec<String> {
    let (namespace, labels) = more();
    if shown.namespace {
        cells.insert(0, namespace);
    }
    if shown.labels {
        cells.push(labels);
    }
    cells
}

fn push(text: &mut String, cells: Vec<String>) {
    text.push_str(&cells.join("\t"));
    text.push('\n');
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A cell: the first line of a text, with an ellipsis if there are more.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => match text.find(['\u{c}', '\n', '\r']) {
            Some(end) => escaped(&format!("{}...", &text[..end])),
            None => escaped(text),
        },
        other => escaped(&go::printed(other)),
    }
}

/// Without what a terminal would take for a command.
pub fn escaped(text: &str) -> String {
    text.replace('\u{1b}', "^[")
}

/// Labels in one cell.
pub fn labels(labels: &Value) -> String {
    let Some(members) = labels.as_object().filter(|members| !members.is_empty()) else {
        return "<none>".into();
    };
    let mut pairs: Vec<String> =
        members.iter().map(|(name, value)| format!("{name}={}", word(value))).collect();
    pairs.sort_unstable();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_come_from_the_api_and_more_around_them_is_asked_for() {
        let columns = json!([
            {"name": "Name", "type": "string", "format": "name", "priority": 0},
            {"name": "Ready", "type": "string", "priority": 0},
            {"name": "ARN", "type": "string", "priority": 1},
        ]);
        let table = json!({"rows": [
            {"cells": ["a", true, "x"], "object": {"metadata": {"namespace": "apps", "labels": {"t": "1", "a": "b"}}}},
            {"cells": ["b", null, "two\nlines"], "object": {"metadata": {"namespace": "apps"}}},
        ]});
        let resource = Resource { kind: "Mesh".into(), group: "fleetmesh.dev".into(), ..Resource::default() };
        let shown = |shown| lines(&columns, &[&table], &resource, shown);
        assert_eq!(shown(Shown::default()), "NAME\tREADY\na\ttrue\nb\t\n");
        let all = Shown { wide: true, bare: false, namespace: true, kind: true, labels: true };
        let expected = "NAMESPACE\tNAME\tREADY\tARN\tLABELS\napps\tmesh.fleetmesh.dev/a\ttrue\tx\ta=b,t=1\n\
                        apps\tmesh.fleetmesh.dev/b\t\ttwo...\t<none>\n";
        assert_eq!(shown(all), expected);
        assert_eq!(shown(Shown { bare: true, ..Shown::default() }), "a\ttrue\nb\t\n");
        assert_eq!(lines(&columns, &[&json!({"rows": []})], &resource, Shown::default()), "");
    }
}
