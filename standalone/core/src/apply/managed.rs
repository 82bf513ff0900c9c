//! `metadata.managedFields`: who owns which fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::set::FieldSet;

/// How a manager came to own fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// The key of an entry: all but the fields and the time, and for `Apply` not the version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) manager: String,
    pub(crate) operation: Operation,
    /// Empty for `Apply`.
    pub(crate) api_version: String,
    pub(crate) subresource: String,
}

/// What an owner owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) fields: FieldSet,
    pub(crate) api_version: String,
    /// When it last changed, as RFC 3339 in UTC with whole seconds.
    pub(crate) time: Option<String>,
}

/// All entries of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Managed {
    pub(crate) owners: BTreeMap<Owner, Owned>,
}

impl Managed {
    /// Reads `managedFields`; absent ones are none.
    ///
    /// # Errors
    /// What is wrong with an entry.
    pub(crate) fn read(entries: Option<&Value>) -> Result<Self, String> {
        let mut managed = Self::default();
        let entries = entries.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (at, entry) in entries.iter().enumerate() {
            let (owner, owned) = read_entry(entry, at)?;
            managed.owners.insert(owner, owned);
        }
        Ok(managed)
    }

    /// Writes `managedFields`: what is applied first, then by time, manager, version and subresource.
    pub(crate) fn write(&self) -> Vec<Value> {
        let mut entries: Vec<(&Owner, &Owned)> = self.owners.iter().collect();
        entries.sort_by(|(left, left_owned), (right, right_owned)| {
            let key = |owner: &Owner, owned: &Owned| {
                (owner.operation, owned.time.clone(), owner.manager.clone(), owned.api_version.clone())
            };
            let order = key(left, left_owned).cmp(&key(right, right_owned));
            order.then_with(|| left.subresource.cmp(&right.subresource))
        });
        entries.into_iter().map(|(owner, owned)| write_entry(owner, owned)).collect()
    }
}

fn read_entry(entry: &Value, at: usize) -> Result<(Owner, Owned), String> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let operation = match text("operation").as_str() {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    let api_version = text("apiVersion");
    if api_version.is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match text("fieldsType").as_str() {
        "FieldsV1" => {}
        "" => return Err(format!("missing fieldsType in managed fields entry {at}")),
        other => {
            return Err(format!(
                "invalid fieldsType {} in managed fields entry {at}",
                crate::go::quote(other)
            ));
        }
    }
    let fields = match entry.get("fieldsV1") {
        None | Some(Value::Null) => FieldSet::default(),
        Some(fields) => FieldSet::from_json(fields)?,
    };
    let owner = Owner {
        manager: text("manager"),
        operation,
        api_version: if operation == Operation::Apply { String::new() } else { api_version.clone() },
        subresource: text("subresource"),
    };
    let time = entry.get("time").and_then(Value::as_str).map(in_utc);
    Ok((owner, Owned { fields, api_version, time }))
}

fn write_entry(owner: &Owner, owned: &Owned) -> Value {
    let mut entry = Map::new();
    let mut text = |name: &str, value: &str| {
        if !value.is_empty() {
            entry.insert(name.to_owned(), Value::String(value.to_owned()));
        }
    };
    text("manager", &owner.manager);
    text("operation", owner.operation.name());
    text("apiVersion", &owned.api_version);
    text("time", owned.time.as_deref().unwrap_or_default());
    text("fieldsType", "FieldsV1");
    text("subresource", &owner.subresource);
    entry.insert("fieldsV1".to_owned(), owned.fields.to_json());
    Value::Object(entry)
}

/// The same time in UTC with whole seconds; what is no time stays.
fn in_utc(time: &str) -> String {
    time.parse::<jiff::Timestamp>()
        .map_or_else(|_| time.to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn is_written_in_the_order_of_the_api_server() {
        let entry = |manager: &str, operation: &str, time: &str| {
            json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": time,
                "fieldsType": "FieldsV1", "fieldsV1": {"f:a": {}}})
        };
        let mixed = json!([
            entry("b", "Update", "2026-01-01T00:00:00Z"),
            entry("a", "Update", "2026-01-02T00:00:00Z"),
            entry("c", "Apply", "2026-01-03T01:00:00+01:00"),
        ]);
        let written = Managed::read(Some(&mixed)).unwrap().write();
        let order: Vec<&str> = written.iter().filter_map(|entry| entry["manager"].as_str()).collect();
        assert_eq!(order, ["c", "b", "a"]);
        assert_eq!(written[0]["time"], "2026-01-03T00:00:00Z");
    }

    #[test]
    fn names_what_is_wrong() {
        let wrong = [
            (json!([{}]), "operation must be `Apply` or `Update`"),
            (json!([{"operation": "Apply"}]), "apiVersion must not be empty"),
            (
                json!([{"operation": "Apply", "apiVersion": "v1"}]),
                "missing fieldsType in managed fields entry 0",
            ),
            (
                json!([{"operation": "Apply", "apiVersion": "v1", "fieldsType": "V2"}]),
                "invalid fieldsType \"V2\" in managed fields entry 0",
            ),
        ];
        for (entries, message) in wrong {
            assert_eq!(Managed::read(Some(&entries)).unwrap_err(), message);
        }
    }
}
