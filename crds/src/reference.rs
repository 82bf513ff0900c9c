//! The reference of the kinds in Markdown, one page a kind, made from the definitions. Pure.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use crate::condition::{ConditionType, Reason};

const GENERATED: &str =
    "<!-- Generated from crds/src and model/src by `cargo xtask crds`. Do not edit. -->\n";

/// The page of one kind: each member of spec and status with its type, bounds and meaning, then the rules.
pub fn page(definition: &CustomResourceDefinition) -> String {
    let names = &definition.spec.names;
    let short =
        names.short_names.iter().flatten().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut page = format!("{GENERATED}# {}\n", names.kind);
    for version in &definition.spec.versions {
        let Some(root) = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()) else {
            continue;
        };
        let group = &definition.spec.group;
        let scope = if definition.spec.scope == "Namespaced" { "namespaced" } else { "cluster-scoped" };
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "\n{}\n\n`apiVersion: {group}/{}`, {scope}; `kubectl get {}` or {short}.\n",
            one_line(root.description.as_deref()),
            version.name,
            names.plural
        );
        for section in ["spec", "status"] {
            if let Some(schema) = root.properties.as_ref().and_then(|members| members.get(section)) {
                page.push_str(&members(section, schema));
            }
        }
        page.push_str(&rules(root));
    }
    page
}

/// The page of the conditions: their types and reasons.
pub fn conditions() -> String {
    let row = |word: &str, meaning: &str| format!("| `{word}` | {} |\n", one_line(Some(meaning)));
    let types: String = ConditionType::ALL.iter().map(|kind| row(kind.as_str(), kind.meaning())).collect();
    let reasons: String = Reason::ALL.iter().map(|reason| row(reason.as_str(), reason.meaning())).collect();
    format!(
        "{GENERATED}# Conditions\n\nEvery kind has these conditions in `status.conditions`.\n\n\
         | type | True means |\n|---|---|\n{types}\n\
         ## Reasons\n\nThe message beside a reason names the object and the way out.\n\n\
         | reason | meaning |\n|---|---|\n{reasons}"
    )
}

fn members(section: &str, schema: &JSONSchemaProps) -> String {
    let mut table = format!("\n## {section}\n\n| member | type | meaning |\n|---|---|---|\n");
    walk("", schema, &mut |path, member, required| {
        let kind = [Some(type_of(member)), bounds(member), default(member)];
        let kind = kind.into_iter().flatten().chain(required.then(|| "required".to_owned()));
        let kind = kind.collect::<Vec<_>>().join("; ");
        let _ = writeln!(table, "| `{path}` | {kind} | {} |", one_line(member.description.as_deref()));
    });
    table
}

/// Calls `visit` for each member below `schema` with its path, depth first, in the order of names.
fn walk(path: &str, schema: &JSONSchemaProps, visit: &mut impl FnMut(&str, &JSONSchemaProps, bool)) {
    for (name, member) in schema.properties.iter().flatten() {
        let required = schema.required.as_ref().is_some_and(|required| required.contains(name));
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{name}");
        visit(&path, member, required);
        walk(&path, member, visit);
        if let Some(item) = item(member) {
            walk(&format!("{path}[]"), item, visit);
        }
    }
}

fn rules(root: &JSONSchemaProps) -> String {
    let mut list = String::new();
    let mut add = |path: &str, schema: &JSONSchemaProps| {
        for rule in schema.x_kubernetes_validations.iter().flatten() {
            let at = rule.field_path.as_deref().map_or(path, |path| path.trim_start_matches('.'));
            let _ = writeln!(list, "- `{at}`: {}", one_line(rule.message.as_deref()));
        }
    };
    add("", root);
    walk("", root, &mut |path, member, _| {
        add(path, member);
        if let Some(item) = item(member) {
            add(&format!("{path}[]"), item);
        }
    });
    format!("\n## Rules between members\n\n{list}")
}

fn item(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => Some(item),
        Some(JSONSchemaPropsOrArray::Schemas(_)) | None => None,
    }
}

fn type_of(schema: &JSONSchemaProps) -> String {
    let name = schema.type_.as_deref().unwrap_or("any");
    match (item(schema), &schema.additional_properties) {
        (Some(item), _) => format!(
            "list of {}",
            [type_of(item)].into_iter().chain(bounds(item)).collect::<Vec<_>>().join(" ")
        ),
        (None, Some(JSONSchemaPropsOrBool::Schema(value))) => format!("map to {}", type_of(value)),
        (None, _) => name.to_owned(),
    }
}

/// The bounds of the value itself, in words.
fn bounds(schema: &JSONSchemaProps) -> Option<String> {
    if let Some(values) = &schema.enum_ {
        let values: Vec<String> = values.iter().map(|value| format!("`{}`", plain(&value.0))).collect();
        return Some(format!("one of {}", values.join(", ")));
    }
    let whole = |number: Option<f64>| number.map(|number| format!("{number:.0}"));
    let range = |low: Option<String>, high: Option<String>, what: &str| match (low, high) {
        (Some(low), Some(high)) if low == high => Some(format!("{low}{what}")),
        (Some(low), Some(high)) => Some(format!("{low} to {high}{what}")),
        (Some(low), None) => Some(format!("at least {low}{what}")),
        (None, Some(high)) => Some(format!("at most {high}{what}")),
        (None, None) => None,
    };
    let count = |number: Option<i64>| number.map(|number| number.to_string());
    let parts = [
        range(whole(schema.minimum), whole(schema.maximum), ""),
        range(count(schema.min_length), count(schema.max_length), " characters"),
        range(count(schema.min_items), count(schema.max_items), " items"),
        range(count(schema.min_properties), count(schema.max_properties), " entries"),
        schema.pattern.as_deref().map(|pattern| format!("matches `{}`", pattern.replace('|', "\\|"))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn default(schema: &JSONSchemaProps) -> Option<String> {
    schema.default.as_ref().map(|value| format!("default `{}`", plain(&value.0)))
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A table cell: one line, no bar.
fn one_line(text: Option<&str>) -> String {
    text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
