//! `x-kubernetes-validations`: rules in CEL, on creation and, with `oldSelf`, on updates.
//!
//! Rules are compiled when they are evaluated first: a definition of ours has up to 60, and most objects reach few of them.

mod function;
mod rule;
mod value;

use std::collections::BTreeMap;

use kube_cel::cel::Context;
use serde_json::Value;

use self::rule::{Evaluation, Rule};
use super::failure::{child, index, key};
use super::ratchet;
use super::shape::Schema;
use crate::status::FieldError;

/// Why a schema's rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// A rule is not an object with a `rule` of text.
    #[error("the rule {rule} at {path} must be an object with a rule and texts")]
    Shape {
        /// The rule as it is written.
        rule: String,
        /// The path of its schema.
        path: String,
    },
    /// A rule or its messageExpression does not compile.
    #[error("the rule at {path} does not compile: {problem}")]
    Compile {
        /// The path of its schema.
        path: String,
        /// What is wrong, with the place.
        problem: String,
    },
}

/// What is wrong with an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// What keeps it from being stored.
    pub errors: Vec<FieldError>,
    /// What would keep a new object from being stored, but was there before: the API server warns of it.
    pub warnings: Vec<String>,
}

/// The rules of one schema.
#[derive(Debug, Default)]
pub struct Rules {
    root: Node,
    /// The schema, with what rules see of the metadata.
    schema: Schema,
}

/// The rules of one node and below it; nodes without any are left out.
#[derive(Debug, Default)]
struct Node {
    rules: Vec<Rule>,
    properties: BTreeMap<String, Node>,
    each: Option<Box<Node>>,
    items: Option<Box<Node>>,
    all_of: Vec<Node>,
}

impl Rules {
    /// Reads the rules of the schema of a whole object.
    ///
    /// # Errors
    /// A rule is not written as one.
    pub fn new(schema: &Schema) -> Result<Self, RulesError> {
        let root = Node::of(schema, "")?.unwrap_or_default();
        Ok(Self { root, schema: value::with_metadata(schema) })
    }

    /// Compiles all rules now.
    ///
    /// # Errors
    /// A rule does not compile, with its path.
    pub fn compile(&self) -> Result<(), RulesError> {
        self.root.compile("")
    }

    /// How many rules there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.root.count()
    }

    /// What of `object` breaks a rule. `old` is what it was before an update: transition rules need it, and errors of values
    /// that stay as they were are left out.
    #[must_use]
    pub fn evaluate(&self, object: &Value, old: Option<&Value>) -> Verdict {
        let mut verdict = Verdict::default();
        if self.root.is_empty() {
            return verdict;
        }
        let functions = function::context();
        let walk = Walk { functions: &functions };
        let place =
            Place { path: String::new(), value: object, old, continued: old.map(|old| (object, old)) };
        walk.node(&self.root, &self.schema, &place, &mut verdict);
        verdict
    }
}

impl Node {
    fn of(schema: &Schema, path: &str) -> Result<Option<Self>, RulesError> {
        let mut node = Self::default();
        for rule in &schema.rules {
            node.rules.push(Rule::read(rule, path)?);
        }
        for (name, property) in &schema.properties {
            if let Some(below) = Self::of(property, &child(path, name))? {
                node.properties.insert(name.clone(), below);
            }
        }
        if let Some(each) = schema.additional.schema() {
            node.each = Self::of(each, &key(path, "*"))?.map(Box::new);
        }
        if let Some(items) = schema.items.as_deref() {
            node.items = Self::of(items, &key(path, "*"))?.map(Box::new);
        }
        for one in &schema.combined.all_of {
            node.all_of.extend(Self::of(one, path)?);
        }
        Ok((!node.is_empty()).then_some(node))
    }

    fn is_empty(&self) -> bool {
        let below = self.each.is_none() && self.items.is_none();
        below && self.rules.is_empty() && self.properties.is_empty() && self.all_of.is_empty()
    }

    fn below(&self) -> impl Iterator<Item = (String, &Self)> {
        let named = self.properties.iter().map(|(name, node)| (format!(".{name}"), node));
        let each = self.each.iter().chain(&self.items).map(|node| ("[*]".to_owned(), &**node));
        named.chain(each).chain(self.all_of.iter().map(|node| (String::new(), node)))
    }

    fn compile(&self, path: &str) -> Result<(), RulesError> {
        for rule in &self.rules {
            rule.compiled().map_err(|problem| RulesError::Compile { path: path.to_owned(), problem })?;
        }
        self.below().try_for_each(|(step, node)| node.compile(&format!("{path}{step}")))
    }

    fn count(&self) -> usize {
        self.rules.len() + self.below().map(|(_, node)| node.count()).sum::<usize>()
    }
}

/// A value of the object, and what it was.
struct Place<'v> {
    path: String,
    value: &'v Value,
    /// The old value for transition rules.
    old: Option<&'v Value>,
    /// The value whose being unchanged leaves out the errors of this one: itself with its old one, or the nearest above that has
    /// an old one.
    continued: Option<(&'v Value, &'v Value)>,
}

impl<'v> Place<'v> {
    fn below(&self, path: String, value: &'v Value, old: Option<&'v Value>) -> Self {
        Self { path, value, old, continued: old.map(|old| (value, old)).or(self.continued) }
    }

    fn is_unchanged(&self) -> bool {
        self.continued.is_some_and(|(value, old)| value == old)
    }
}

struct Walk<'c> {
    functions: &'c Context<'c>,
}

impl Walk<'_> {
    fn node(&self, node: &Node, schema: &Schema, place: &Place<'_>, verdict: &mut Verdict) {
        if place.value.is_null() {
            return;
        }
        self.rules(&node.rules, schema, place, verdict);
        for one in &node.all_of {
            self.rules(&one.rules, schema, place, verdict);
        }
        match place.value {
            Value::Object(members) => {
                for (name, member) in members {
                    let old = place.old.and_then(|old| old.get(name));
                    if let (Some(node), Some(schema)) =
                        (node.properties.get(name), schema.properties.get(name))
                    {
                        let next = place.below(child(&place.path, name), member, old);
                        self.node(node, schema, &next, verdict);
                    } else if let (Some(node), Some(schema)) = (&node.each, schema.additional.schema()) {
                        let next = place.below(key(&place.path, name), member, old);
                        self.node(node, schema, &next, verdict);
                    }
                }
            }
            Value::Array(items) => {
                let (Some(node), Some(each)) = (&node.items, schema.items.as_deref()) else { return };
                for (at, item) in items.iter().enumerate() {
                    let old = ratchet::old_item(item, place.old, schema);
                    self.node(node, each, &place.below(index(&place.path, at), item, old), verdict);
                }
            }
            _ => {}
        }
    }

    fn rules(&self, rules: &[Rule], schema: &Schema, place: &Place<'_>, verdict: &mut Verdict) {
        let mut evaluation = None;
        for rule in rules {
            if rule.needs_old() && place.old.is_none() && !rule.optional_old_self {
                continue;
            }
            let evaluation = evaluation
                .get_or_insert_with(|| Evaluation::new(self.functions, schema, place.value, place.old));
            let Some(error) = rule.check(evaluation, schema, &place.path, place.value) else { continue };
            if rule.needs_old() || !place.is_unchanged() {
                verdict.errors.push(error);
            } else {
                verdict.warnings.push(error.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests;
