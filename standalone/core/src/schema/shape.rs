//! A schema, read once.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::pattern::Pattern;

/// One node of a structural schema.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The type of the value; absent for a value of any type.
    pub json_type: Option<JsonType>,
    /// The format as the API server checks it: formats that it does not know are left out.
    pub format: Option<String>,
    /// Whether null is a value of its own.
    pub nullable: bool,
    /// What stands for an absent value.
    pub default: Option<Value>,
    /// An object's declared members. Shared: what is made of a schema differs from it near its root.
    pub properties: BTreeMap<String, Arc<Schema>>,
    /// What other members an object may have.
    pub additional: Additional,
    /// A list's items.
    pub items: Option<Box<Schema>>,
    /// Members that an object must have.
    pub required: Vec<String>,
    /// The values that are allowed; empty for all.
    pub allowed: Vec<Value>,
    /// Bounds of numbers, strings, lists and maps.
    pub bounds: Bounds,
    /// Whether a list is one value, a set or a map.
    pub list_type: ListType,
    /// Whether an object is replaced as one (`x-kubernetes-map-type: atomic`).
    pub atomic_map: bool,
    /// Whether members that are not declared are kept.
    pub preserve_unknown: bool,
    /// Whether the object is a resource of its own, with `apiVersion`, `kind` and `metadata`.
    pub embedded_resource: bool,
    /// Whether the value may be an integer or a string.
    pub int_or_string: bool,
    /// Schemas of which all, at least one, exactly one must hold, and one that must not.
    pub combined: Combined,
    /// How a strategic merge patch changes the value.
    pub patch: PatchStrategy,
    /// `x-kubernetes-validations`, as they are written.
    pub rules: Vec<Value>,
}

/// JSON Schema's combinations; they validate and never declare.
#[derive(Debug, Clone, Default)]
pub struct Combined {
    /// All of them must hold.
    pub all_of: Vec<Schema>,
    /// At least one must hold.
    pub any_of: Vec<Schema>,
    /// Exactly one must hold.
    pub one_of: Vec<Schema>,
    /// Must not hold.
    pub not: Option<Box<Schema>>,
}

/// The JSON type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonType {
    /// An object.
    Object,
    /// A list.
    Array,
    /// A string.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
}

impl JsonType {
    /// The name of the type in schemas and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// Members of an object beside the declared ones.
#[derive(Debug, Clone, Default)]
pub enum Additional {
    /// Nothing is said: they are pruned, unless they are preserved.
    #[default]
    Unsaid,
    /// None are allowed.
    Forbidden,
    /// Any are allowed.
    Any,
    /// Each is a value of this schema.
    Each(Box<Schema>),
}

impl Additional {
    /// The schema of each, if one is declared.
    #[must_use]
    pub fn schema(&self) -> Option<&Schema> {
        if let Self::Each(schema) = self { Some(schema) } else { None }
    }
}

/// `x-kubernetes-list-type` with its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ListType {
    /// The list is one value.
    #[default]
    Atomic,
    /// The items are the keys.
    Set,
    /// These members of an item are its key.
    Map(Vec<String>),
}

/// `x-kubernetes-patch-strategy` and `x-kubernetes-patch-merge-key`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatchStrategy {
    /// Whether lists are merged by item instead of replaced.
    pub merge: bool,
    /// Whether an object is replaced instead of merged.
    pub replace: bool,
    /// Whether a patch lists the members that stay.
    pub retain_keys: bool,
    /// The member that is the key of items; absent for lists of scalars.
    pub merge_key: Option<String>,
}

/// Bounds of values, each absent unless declared.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// The least number.
    pub minimum: Option<f64>,
    /// The greatest number.
    pub maximum: Option<f64>,
    /// Whether `minimum` itself is excluded.
    pub exclusive_minimum: bool,
    /// Whether `maximum` itself is excluded.
    pub exclusive_maximum: bool,
    /// What a number is a multiple of.
    pub multiple_of: Option<f64>,
    /// The least length of a string, in characters.
    pub min_length: Option<usize>,
    /// The greatest length of a string, in characters.
    pub max_length: Option<usize>,
    /// The pattern that a string matches.
    pub pattern: Option<Pattern>,
    /// The least number of a list's items.
    pub min_items: Option<usize>,
    /// The greatest number of a list's items.
    pub max_items: Option<usize>,
    /// Whether a list's items are unique.
    pub unique_items: bool,
    /// The least number of an object's members.
    pub min_properties: Option<usize>,
    /// The greatest number of an object's members.
    pub max_properties: Option<usize>,
}

impl Schema {
    /// The schema of the member `name`: the declared one, else that of all others.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name).map(AsRef::as_ref).or_else(|| self.additional.schema())
    }
}
