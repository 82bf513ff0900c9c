//! Label and field selectors. As text: what is read is printed and read again as the same. As choices: what was drawn and
//! printed in any of its forms is read, and selects the objects that the drawn terms say, one after the other.
//!
//! The first byte chooses the resource, and with its highest bit choices; the text is `labels`, a byte 0x1f, `fields`.

use anyhow::{Context as _, Result};
use fleetmesh_standalone_core::resource::{Resource, Resources};
use fleetmesh_standalone_core::selector::{FieldSelector, LabelSelector};
use serde_json::{Value, json};

use super::super::Target;
use super::choices::Choices;

/// Between a selector of labels and one of fields.
const BETWEEN: u8 = 0x1f;
/// Whose objects are selected: by the fields of each kind of them.
const PLURALS: [&str; 6] = ["configmaps", "secrets", "namespaces", "events", "virtualnodes", "meshes"];
const KEYS: [&str; 6] = ["app", "example.com/tier", "in", "notin", "A_b-c.9", "x"];
const VALUES: [&str; 8] = ["", "a", "b", "7", "007", "in", "notin", "9223372036854775807"];
const SPACES: [&str; 4] = ["", " ", "\t ", "\r\n"];
/// Fields and where their values are.
const FIELDS: [(&str, &[&str]); 6] = [
    ("metadata.name", &["configmaps", "secrets", "namespaces", "events", "virtualnodes", "meshes"]),
    ("metadata.namespace", &["configmaps", "secrets", "events", "virtualnodes"]),
    ("type", &["secrets", "events"]),
    ("status.phase", &["namespaces"]),
    ("reason", &["events"]),
    ("involvedObject.name", &["events"]),
];
const FIELD_VALUES: [&str; 6] = ["", "a", "b", "a,b", "x=y", "\\"];

/// See the module.
pub struct Selectors(Resources);

/// A term that was drawn: the key, the operator and its values.
type Term = (&'static str, &'static str, Vec<&'static str>);

impl Selectors {
    /// Over the resources that are served.
    pub fn new() -> Result<Self> {
        let resources = Resources::new(&fleetmesh_crds::all());
        for plural in PLURALS {
            resource(&resources, plural).with_context(|| format!("no {plural}"))?;
        }
        Ok(Self(resources))
    }
}

fn resource<'a>(resources: &'a Resources, plural: &str) -> Option<&'a Resource> {
    resources.iter().find(|one| one.plural == plural).map(AsRef::as_ref)
}

impl Target for Selectors {
    fn name(&self) -> &'static str {
        "standalone-selectors"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let texts: [(u8, &str); 6] = [
            (0, "app in (a, b),!x, example.com/tier notin (c),y\u{1f}metadata.name=a,metadata.namespace!=b"),
            (1, "a=1,b==2,c!=3,d>4,e<5\u{1f}type==kubernetes.io/tls"),
            (2, "a in (),b in (,a)\u{1f}status.phase=Active"),
            (3, "\u{1f}involvedObject.uid=1,reason!=a\\,b"),
            (4, "in in (in),notin notin (notin)\u{1f}metadata.name=a"),
            (0x80, "\u{3}\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}\u{8}\t\u{b}\u{c}\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}"),
        ];
        texts.iter().map(|(kind, text)| [&[*kind], text.as_bytes()].concat()).collect()
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"!",
            b"(",
            b")",
            b",",
            b"=",
            b"==",
            b"!=",
            b"<",
            b">",
            b" in ",
            b" notin ",
            b"()",
            b"(,)",
            b"\0",
            b"\\,",
            b"\\=",
            b"\\",
            b"/",
            b"\xc3\xa9",
            b"metadata.name",
            b"involvedObject.",
            b"\x1f",
        ]
    }

    fn try_input(&self, input: &[u8]) -> Result<bool, String> {
        let Some((kind, rest)) = input.split_first() else { return Ok(false) };
        let plural = PLURALS.get(usize::from(kind & 0x7f) % PLURALS.len()).copied().unwrap_or_default();
        let Some(resource) = resource(&self.0, plural) else { return Err(format!("no {plural}")) };
        if kind & 0x80 != 0 {
            let mut choices = Choices::new(rest);
            drawn_labels(&mut choices)?;
            return drawn_fields(&mut choices, resource).map(|()| true);
        }
        let mut parts = rest.splitn(2, |byte| *byte == BETWEEN);
        let [labels, fields] = [0, 1].map(|_| String::from_utf8_lossy(parts.next().unwrap_or_default()));
        let printed = |error: &dyn std::fmt::Display| format!("what was printed is not read: {error}");
        let (labels, fields) = (LabelSelector::parse(&labels), FieldSelector::parse(resource, &fields));
        if let Ok(read) = &labels {
            let again = LabelSelector::parse(&read.to_string()).map_err(|error| printed(&error))?;
            same(read, &again)?;
        }
        if let Ok(read) = &fields {
            let again = FieldSelector::parse(resource, &read.to_string()).map_err(|error| printed(&error))?;
            same(read, &again)?;
        }
        Ok(labels.is_ok() && fields.is_ok())
    }
}

fn same<T: PartialEq + std::fmt::Debug>(read: &T, again: &T) -> Result<(), String> {
    if read == again { Ok(()) } else { Err(format!("{read:?} is read again as {again:?}")) }
}

fn drawn_labels(choices: &mut Choices<'_>) -> Result<(), String> {
    let labels: Vec<(&str, &str)> =
        (0..choices.below(4)).map(|_| (choices.of(&KEYS), choices.of(&VALUES))).collect();
    let terms: Vec<Term> = (0..choices.below(5)).map(|_| label_term(choices)).collect();
    let texts: Vec<String> = terms.iter().map(|term| label_text(choices, term)).collect();
    let text = texts.join(",");
    let selector = LabelSelector::parse(&text).map_err(|error| format!("{text:?}: {error}"))?;
    let object: serde_json::Map<String, Value> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    let found = |key: &str| object.get(key).and_then(Value::as_str);
    let wanted = terms.iter().all(|(key, operator, values)| label_holds(found(key), operator, values));
    let labels = Value::Object(object.clone());
    if selector.matches(&labels) == wanted {
        return Ok(());
    }
    Err(format!("{text:?} selects {labels}: {}, which should be {wanted}", !wanted))
}

fn label_term(choices: &mut Choices<'_>) -> Term {
    let operator = choices.of(&["", "!", "=", "==", "!=", "in", "notin", "<", ">"]);
    let count = match operator {
        "" | "!" => 0,
        "in" | "notin" => choices.below(4) + 1,
        _ => 1,
    };
    let numbers = ["7", "0", "9223372036854775807"];
    let all = if matches!(operator, "<" | ">") { &numbers[..] } else { &VALUES[..] };
    let values = (0..count).map(|_| choices.of(all)).collect();
    (choices.of(&KEYS), operator, values)
}

/// The term in one of its forms.
fn label_text(choices: &mut Choices<'_>, (key, operator, values): &Term) -> String {
    let mut space = || choices.of(&SPACES);
    let one = values.first().copied().unwrap_or_default();
    match *operator {
        "" => format!("{}{key}{}", space(), space()),
        "!" => format!("!{}{key}{}", space(), space()),
        "in" | "notin" => {
            let values: Vec<String> =
                values.iter().map(|value| format!("{}{value}{}", space(), space())).collect();
            format!("{key} {}{operator}{}({}){}", space(), space(), values.join(","), space())
        }
        _ => format!("{key}{}{operator}{}{one}{}", space(), space(), space()),
    }
}

/// As the documentation of Kubernetes has it.
fn label_holds(found: Option<&str>, operator: &str, values: &[&str]) -> bool {
    let number = |text: &str| text.parse::<i64>().ok();
    let bound = values.first().and_then(|value| number(value));
    match operator {
        "" => found.is_some(),
        "!" => found.is_none(),
        "=" | "==" | "in" => found.is_some_and(|found| values.contains(&found)),
        "!=" | "notin" => !found.is_some_and(|found| values.contains(&found)),
        "<" => found.and_then(number).zip(bound).is_some_and(|(found, bound)| found < bound),
        _ => found.and_then(number).zip(bound).is_some_and(|(found, bound)| found > bound),
    }
}

fn drawn_fields(choices: &mut Choices<'_>, resource: &Resource) -> Result<(), String> {
    let fields: Vec<&str> = FIELDS
        .iter()
        .filter(|(_, kinds)| kinds.contains(&resource.plural.as_str()))
        .map(|(field, _)| *field)
        .collect();
    let mut object = json!({});
    for field in &fields {
        let mut at = &mut object;
        for member in field.split('.') {
            if !at.is_object() {
                *at = json!({});
            }
            at = &mut at[member];
        }
        *at = choices.of(&FIELD_VALUES).into();
    }
    let terms: Vec<(&str, &str, &str)> = (0..choices.below(4))
        .map(|_| (choices.of(&fields), choices.of(&["=", "==", "!="]), choices.of(&FIELD_VALUES)))
        .collect();
    let escaped = |value: &str| value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
    let texts: Vec<String> =
        terms.iter().map(|(field, operator, value)| format!("{field}{operator}{}", escaped(value))).collect();
    let text = texts.join(",");
    let selector = FieldSelector::parse(resource, &text).map_err(|error| format!("{text:?}: {error}"))?;
    let found =
        |field: &str| object.pointer(&format!("/{}", field.replace('.', "/"))).and_then(Value::as_str);
    let wanted =
        terms.iter().all(|(field, operator, value)| (found(field) == Some(*value)) == (*operator != "!="));
    if selector.matches(&object) == wanted {
        return Ok(());
    }
    Err(format!("{text:?} selects {object}: {}, which should be {wanted}", !wanted))
}
