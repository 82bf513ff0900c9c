//! Reading a schema from JSON, as a CustomResourceDefinition has it in `openAPIV3Schema`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::failure::child;
use super::format;
use super::pattern::Pattern;
use super::shape::{Additional, Bounds, Combined, JsonType, ListType, PatchStrategy, Schema};

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A member has the wrong JSON type.
    #[error("the schema's {path} must be {expected}")]
    Type {
        /// Where it is.
        path: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A pattern does not compile.
    #[error("the schema's {path} is no regular expression: {problem}")]
    Pattern {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The schema has too many levels.
    #[error("the schema has more than {MAX_DEPTH} levels at {path}")]
    Depth {
        /// Where it is.
        path: String,
    },
}

/// Levels of a schema; more than any of ours, and few enough for the stack.
pub(crate) const MAX_DEPTH: usize = 64;

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// A member has the wrong type, a pattern does not compile, or there are more than 64 levels.
    pub fn parse(json: &Value) -> Result<Self, SchemaError> {
        parse(json, "", 0)
    }
}

fn parse(json: &Value, path: &str, depth: usize) -> Result<Schema, SchemaError> {
    if depth > MAX_DEPTH {
        return Err(SchemaError::Depth { path: path.to_owned() });
    }
    let node = Node { members: object(json, path, "an object")?, path, depth };
    let json_type = node.json_type()?;
    Ok(Schema {
        json_type,
        format: node.string("format")?.filter(|name| format::is_known(json_type, name)).map(str::to_owned),
        nullable: node.flag("nullable")?,
        default: node.members.get("default").filter(|value| !value.is_null()).cloned(),
        properties: node.properties()?,
        additional: node.additional()?,
        items: node.schema("items")?.map(Box::new),
        required: node.strings("required")?,
        allowed: node.list("enum")?.to_vec(),
        bounds: node.bounds()?,
        list_type: node.list_type()?,
        atomic_map: node.string("x-kubernetes-map-type")? == Some("atomic"),
        preserve_unknown: node.flag("x-kubernetes-preserve-unknown-fields")?,
        embedded_resource: node.flag("x-kubernetes-embedded-resource")?,
        int_or_string: node.flag("x-kubernetes-int-or-string")?,
        combined: Combined {
            all_of: node.schemas("allOf")?,
            any_of: node.schemas("anyOf")?,
            one_of: node.schemas("oneOf")?,
            not: node.schema("not")?.map(Box::new),
        },
        patch: node.patch()?,
        rules: node.list("x-kubernetes-validations")?.to_vec(),
    })
}

/// A node of the schema that is being read.
struct Node<'s> {
    members: &'s Map<String, Value>,
    path: &'s str,
    depth: usize,
}

impl<'s> Node<'s> {
    fn at(&self, name: &str) -> String {
        child(self.path, name)
    }

    fn wrong(&self, name: &str, expected: &'static str) -> SchemaError {
        SchemaError::Type { path: self.at(name), expected }
    }

    fn string(&self, name: &str) -> Result<Option<&'s str>, SchemaError> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| self.wrong(name, "a string")),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, SchemaError> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong(name, "true or false")),
        }
    }

    fn number(&self, name: &str) -> Result<Option<f64>, SchemaError> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| self.wrong(name, "a number")),
        }
    }

    fn count(&self, name: &str) -> Result<Option<usize>, SchemaError> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .and_then(|count| usize::try_from(count).ok())
                .map(Some)
                .ok_or_else(|| self.wrong(name, "a whole number of 0 or more")),
        }
    }

    fn list(&self, name: &str) -> Result<&'s [Value], SchemaError> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(&[]),
            Some(value) => value.as_array().map(Vec::as_slice).ok_or_else(|| self.wrong(name, "a list")),
        }
    }

    fn strings(&self, name: &str) -> Result<Vec<String>, SchemaError> {
        let texts = self.list(name)?.iter().map(|item| item.as_str().map(str::to_owned));
        texts.collect::<Option<_>>().ok_or_else(|| self.wrong(name, "a list of strings"))
    }

    fn schema(&self, name: &str) -> Result<Option<Schema>, SchemaError> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(json) => parse(json, &self.at(name), self.depth + 1).map(Some),
        }
    }

    fn schemas(&self, name: &str) -> Result<Vec<Schema>, SchemaError> {
        let list = self.list(name)?;
        list.iter().map(|json| parse(json, &self.at(name), self.depth + 1)).collect()
    }

    fn json_type(&self) -> Result<Option<JsonType>, SchemaError> {
        const EXPECTED: &str = "object, array, string, integer, number or boolean";
        let known = match self.string("type")? {
            None | Some("") => return Ok(None),
            Some("object") => JsonType::Object,
            Some("array") => JsonType::Array,
            Some("string") => JsonType::String,
            Some("integer") => JsonType::Integer,
            Some("number") => JsonType::Number,
            Some("boolean") => JsonType::Boolean,
            Some(_) => return Err(self.wrong("type", EXPECTED)),
        };
        Ok(Some(known))
    }

    fn properties(&self) -> Result<BTreeMap<String, Arc<Schema>>, SchemaError> {
        let Some(json) = self.members.get("properties").filter(|value| !value.is_null()) else {
            return Ok(BTreeMap::new());
        };
        let path = self.at("properties");
        let members = object(json, &path, "an object")?;
        let parsed = members
            .iter()
            .map(|(name, json)| Ok((name.clone(), parse(json, &child(&path, name), self.depth + 1)?.into())));
        parsed.collect()
    }

    fn additional(&self) -> Result<Additional, SchemaError> {
        match self.members.get("additionalProperties") {
            None | Some(Value::Null) => Ok(Additional::Unsaid),
            Some(Value::Bool(true)) => Ok(Additional::Any),
            Some(Value::Bool(false)) => Ok(Additional::Forbidden),
            Some(json) => {
                let each = parse(json, &self.at("additionalProperties"), self.depth + 1)?;
                Ok(Additional::Each(Box::new(each)))
            }
        }
    }

    fn bounds(&self) -> Result<Bounds, SchemaError> {
        let pattern = self.string("pattern")?.filter(|pattern| !pattern.is_empty()).map(Pattern::new);
        let pattern = pattern
            .transpose()
            .map_err(|error| SchemaError::Pattern { path: self.at("pattern"), problem: error.to_string() })?;
        Ok(Bounds {
            minimum: self.number("minimum")?,
            maximum: self.number("maximum")?,
            exclusive_minimum: self.flag("exclusiveMinimum")?,
            exclusive_maximum: self.flag("exclusiveMaximum")?,
            multiple_of: self.number("multipleOf")?,
            min_length: self.count("minLength")?,
            max_length: self.count("maxLength")?,
            pattern,
            min_items: self.count("minItems")?,
            max_items: self.count("maxItems")?,
            unique_items: self.flag("uniqueItems")?,
            min_properties: self.count("minProperties")?,
            max_properties: self.count("maxProperties")?,
        })
    }

    fn list_type(&self) -> Result<ListType, SchemaError> {
        match self.string("x-kubernetes-list-type")? {
            None | Some("atomic") => Ok(ListType::Atomic),
            Some("set") => Ok(ListType::Set),
            Some("map") => Ok(ListType::Map(self.strings("x-kubernetes-list-map-keys")?)),
            Some(_) => Err(self.wrong("x-kubernetes-list-type", "atomic, set or map")),
        }
    }

    fn patch(&self) -> Result<PatchStrategy, SchemaError> {
        let strategies = self.string("x-kubernetes-patch-strategy")?.unwrap_or_default();
        let has = |strategy| strategies.split(',').any(|one| one == strategy);
        Ok(PatchStrategy {
            merge: has("merge"),
            replace: has("replace"),
            retain_keys: has("retainKeys"),
            merge_key: self.string("x-kubernetes-patch-merge-key")?.map(str::to_owned),
        })
    }
}

fn object<'s>(
    json: &'s Value,
    path: &str,
    expected: &'static str,
) -> Result<&'s Map<String, Value>, SchemaError> {
    let place = if path.is_empty() { "root" } else { path };
    json.as_object().ok_or_else(|| SchemaError::Type { path: place.to_owned(), expected })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_what_is_wrong() {
        let wrong = [
            (json!([]), "the schema's root must be an object"),
            (
                json!({"type": "list"}),
                "the schema's type must be object, array, string, integer, number or boolean",
            ),
            (
                json!({"properties": {"a": {"maxLength": -1}}}),
                "the schema's properties.a.maxLength must be a whole number of 0 or more",
            ),
            (
                json!({"items": {"x-kubernetes-list-type": "bag"}}),
                "the schema's items.x-kubernetes-list-type must be atomic, set or map",
            ),
        ];
        for (schema, message) in wrong {
            assert_eq!(Schema::parse(&schema).unwrap_err().to_string(), message);
        }
        let pattern = Schema::parse(&json!({"pattern": "["})).unwrap_err();
        assert!(matches!(pattern, SchemaError::Pattern { path, .. } if path == "pattern"));
    }

    #[test]
    fn bounds_its_depth() {
        let mut deep = json!({});
        for _ in 0..=MAX_DEPTH {
            deep = json!({"items": deep});
        }
        assert!(matches!(Schema::parse(&deep), Err(SchemaError::Depth { .. })));
    }
}
