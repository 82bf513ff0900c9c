//! What `wait --for` waits for, and whether an object is so. Pure.

use fleetmesh_standalone_core::go;
use fleetmesh_standalone_core::status::quoted;
use fleetmesh_standalone_core::table::jsonpath::Path;
use serde_json::Value;

/// What is waited for.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// There is such an object.
    Created,
    /// There is none any more.
    Deleted,
    /// A condition in its status says so.
    Status(StatusCondition),
    /// There is something at a path, or this.
    At(Path, Option<String>),
}

/// A condition in `status.conditions`; both are compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusCondition {
    /// Its type.
    pub name: String,
    /// Its status.
    pub status: String,
}

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConditionError(String);

const FORMS: &str = "jsonpath wait format must be --for=jsonpath='{.status.readyReplicas}'=3 or --for=jsonpath='{.status.readyReplicas}'";
const NO_VALUE: &str =
    "jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3";

impl std::str::FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        match text.to_lowercase().as_str() {
            "create" => return Ok(Self::Created),
            "delete" => return Ok(Self::Deleted),
            _ => {}
        }
        if let Some(rest) = text.strip_prefix("condition=") {
            let (name, status) = rest.split_once('=').unwrap_or((rest, "true"));
            return Ok(Self::Status(StatusCondition { name: name.to_owned(), status: status.to_owned() }));
        }
        let Some(rest) = text.strip_prefix("jsonpath=") else {
            return Err(ConditionError(format!("unrecognized condition: {}", quoted(text))));
        };
        let parts = split(rest);
        let (path, value) = match parts.as_slice() {
            [path] => (path, None),
            [path, value] => match value.trim_matches(['\'', '"']) {
                "" => return Err(ConditionError(NO_VALUE.to_owned())),
                value => (path, Some(value.to_owned())),
            },
            _ => return Err(ConditionError(FORMS.to_owned())),
        };
        Ok(Self::At(read(path)?, value))
    }
}

/// The parts between single equal signs; two of them are part of an expression.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_double = letter == '=' && letters.next_if_eq(&'=').is_some();
        match parts.last_mut() {
            Some(part) if is_double => part.push_str("=="),
            Some(part) if letter != '=' => part.push(letter),
            _ => parts.push(String::new()),
        }
    }
    parts
}

/// A path in braces or without, with a dot in front or without.
fn read(text: &str) -> Result<Path, ConditionError> {
    let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
    if inner.is_empty() {
        return Err(ConditionError("jsonpath expression cannot be empty".to_owned()));
    }
    let path = if inner.starts_with(['.', '[', '@', '$']) { inner.to_owned() } else { format!(".{inner}") };
    let unread = |rest: &str| {
        ConditionError(format!("the jsonpath {} cannot be read from {} on", quoted(text), quoted(rest)))
    };
    Path::parse(&path).map_err(|rest| unread(&rest))
}

impl Condition {
    /// Whether `object`, which is there, is so. It is never as [`Condition::Deleted`] wants it.
    ///
    /// # Errors
    /// The path leads to more than one value, or to one that has parts.
    pub fn holds(&self, object: &Value) -> Result<bool, ConditionError> {
        match self {
            Self::Created => Ok(true),
            Self::Deleted => Ok(false),
            Self::Status(condition) => Ok(condition.holds(object)),
            Self::At(path, value) => at(object, path, value.as_deref()),
        }
    }
}

impl StatusCondition {
    fn holds(&self, object: &Value) -> bool {
        let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        let is_named = |one: &&Value| {
            let name = one["type"].as_str().unwrap_or_default();
            name.to_lowercase() == self.name.to_lowercase() && one["status"].is_string()
        };
        let mut named = conditions.filter(is_named);
        named.next().is_some_and(|one| {
            let observed =
                one["observedGeneration"].as_i64().or(object["status"]["observedGeneration"].as_i64());
            // What is said of an older spec does not count.
            let is_old = observed < object["metadata"]["generation"].as_i64() && observed.is_some();
            let status = one["status"].as_str().unwrap_or_default();
            !is_old && status.to_lowercase() == self.status.to_lowercase()
        })
    }
}

fn at(object: &Value, path: &Path, expected: Option<&str>) -> Result<bool, ConditionError> {
    let found = path.find(object).unwrap_or_default();
    let value = match found.as_slice() {
        [] => return Ok(false),
        [value] => *value,
        _ => return Err(ConditionError("given jsonpath expression matches more than one value".to_owned())),
    };
    match expected {
        None => Ok(true),
        Some(_) if value.is_object() || value.is_array() => {
            Err(ConditionError("jsonpath leads to a nested object or list which is not supported".to_owned()))
        }
        Some(expected) => Ok(go::printed(value).trim() == expected.trim()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(condition: &str, object: &Value) -> Result<bool, String> {
        let condition: Condition = condition.parse().map_err(|error: ConditionError| error.to_string())?;
        condition.holds(object).map_err(|error| error.to_string())
    }

    #[test]
    fn a_condition_counts_for_the_newest_spec_only() {
        let object = |observed: i64| {
            json!({"metadata": {"generation": 2}, "status": {"observedGeneration": observed,
                   "conditions": [{"type": "Ready", "status": "True"}], "x": {"n": 3, "list": [1, 2]}}})
        };
        assert_eq!(holds("condition=ready", &object(2)), Ok(true));
        assert_eq!(holds("condition=Ready=False", &object(2)), Ok(false));
        assert_eq!(holds("condition=Ready", &object(1)), Ok(false));
        assert_eq!(holds("condition=Other", &object(2)), Ok(false));
        assert_eq!(holds("jsonpath={.status.x.n}=3", &object(2)), Ok(true));
        assert_eq!(holds("jsonpath=status.x.n='4'", &object(2)), Ok(false));
        assert_eq!(holds("jsonpath={.status.y}", &object(2)), Ok(false));
        let filter = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}=True";
        assert_eq!(holds(filter, &object(2)), Ok(true));
        assert!(holds("jsonpath={.status.x}=3", &object(2)).is_err());
        assert!(holds("jsonpath={.status.x.list[*]}=3", &object(2)).is_err());
        assert_eq!(holds("create", &object(2)), Ok(true));
        assert_eq!(holds("Delete", &object(2)), Ok(false));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        assert_eq!(holds("Ready", &json!({})), Err("unrecognized condition: \"Ready\"".into()));
        for wrong in ["jsonpath=", "jsonpath={.a}=", "jsonpath={.a}=1=2", "jsonpath={..a}"] {
            assert!(holds(wrong, &json!({})).is_err(), "{wrong}");
        }
    }
}
