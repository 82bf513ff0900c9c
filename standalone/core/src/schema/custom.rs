//! A custom resource's schema with its rules, and the steps of a request.

use serde_json::{Value, json};

use super::cel::{Rules, RulesError, Verdict};
use super::default::{apply_defaults, drop_nulls};
use super::failure::invalid;
use super::lists::validate_lists;
use super::parse::SchemaError;
use super::prune::prune;
use super::shape::Schema;
use super::typed::{TypeMismatch, coerce};
use super::validate::{validate, validate_update};
use super::{metadata, object_metadata};
use crate::status::FieldError;

/// Why a definition's schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustomSchemaError {
    /// The schema itself.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Its rules.
    #[error(transparent)]
    Rules(#[from] RulesError),
}

/// The schema of one version of a CustomResourceDefinition.
#[derive(Debug)]
pub struct CustomSchema {
    schema: Schema,
    published: Schema,
    rules: Rules,
}

/// What is wrong with an object beside what its schema says. kube-apiserver lists it before and after that, and evaluates no rule
/// when something of it could make rules fail.
#[derive(Debug, Clone, Default)]
pub struct OtherErrors {
    /// Of the metadata.
    pub before: Vec<FieldError>,
    /// Of the numbers that `/scale` shows.
    pub after: Vec<FieldError>,
}

impl OtherErrors {
    fn around(mut self, errors: Vec<FieldError>) -> Vec<FieldError> {
        self.before.extend(errors);
        self.before.extend(self.after);
        self.before
    }
}

impl CustomSchema {
    /// Reads `openAPIV3Schema` of a version.
    ///
    /// # Errors
    /// The schema is not structural, or a rule is not written as one.
    pub fn new(open_api_v3_schema: &Value) -> Result<Self, CustomSchemaError> {
        let schema = Schema::parse(open_api_v3_schema)?;
        let rules = Rules::new(&schema)?;
        let mut published = schema.clone();
        let types = json!({"type": "string"});
        for (name, member) in [("apiVersion", &types), ("kind", &types), ("metadata", &metadata::json())] {
            published.properties.insert(name.to_owned(), Schema::parse(member)?.into());
        }
        Ok(Self { schema, published, rules })
    }

    /// The schema as the definition has it.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The schema of whole objects, with `apiVersion`, `kind` and `metadata`: what [`crate::apply`] needs.
    #[must_use]
    pub fn published(&self) -> &Schema {
        &self.published
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What becomes of an object of a request before anything decides on it: defaults, pruning, and what the API server keeps of
    /// the metadata. Returns the paths of unknown fields, which strict validation rejects and lenient validation warns of.
    ///
    /// # Errors
    /// A member of the metadata has the wrong type.
    pub fn normalize(&self, object: &mut Value) -> Result<Vec<String>, TypeMismatch> {
        apply_defaults(object, &self.schema);
        let mut unknown = match object.get_mut("metadata") {
            Some(metadata) => coerce(metadata, object_metadata(), "ObjectMeta", "metadata")?,
            None => Vec::new(),
        };
        unknown.extend(prune(object, &self.schema));
        drop_nulls(object, &self.schema);
        Ok(unknown)
    }

    /// What becomes of the result of [`crate::apply::FieldManager::apply`]: defaults alone. An apply takes no unknown fields, and
    /// nulls that it has are there for validation.
    pub fn normalize_applied(&self, object: &mut Value) {
        apply_defaults(object, &self.schema);
    }

    /// What is wrong with a new object, with what was found already.
    #[must_use]
    pub fn validate_create(&self, object: &Value, found: OtherErrors) -> Verdict {
        let mut errors = found.around(validate(object, &self.schema, ""));
        errors.extend(validate_lists(object, &self.schema));
        self.with_rules(errors, object, None)
    }

    /// What is wrong with an object that was `old`, with what was found already.
    #[must_use]
    pub fn validate_update(&self, object: &Value, old: &Value, found: OtherErrors) -> Verdict {
        let errors = validate_update(object, old, &self.schema, "");
        self.with_lists_and_rules(found.around(errors), object, old)
    }

    /// What is wrong with an object of which only the status changes, with what was found already.
    #[must_use]
    pub fn validate_status_update(&self, object: &Value, old: &Value, found: OtherErrors) -> Verdict {
        let errors = match (object.get("status"), self.schema.properties.get("status")) {
            (Some(status), Some(schema)) => old.get("status").map_or_else(
                || validate(status, schema, "status"),
                |old| validate_update(status, old, schema, "status"),
            ),
            _ => Vec::new(),
        };
        self.with_lists_and_rules(found.around(errors), object, old)
    }

    fn with_lists_and_rules(&self, mut errors: Vec<FieldError>, object: &Value, old: &Value) -> Verdict {
        let lists = validate_lists(object, &self.schema);
        if !lists.is_empty() && validate_lists(old, &self.schema).is_empty() {
            errors.extend(lists);
        }
        self.with_rules(errors, object, Some(old))
    }

    fn with_rules(&self, mut errors: Vec<FieldError>, object: &Value, old: Option<&Value>) -> Verdict {
        if errors.iter().any(|error| error.kind.blocks_rules()) {
            if self.rules.count() > 0 {
                let detail = "some validation rules were not checked because the object was invalid; \
                              correct the existing errors to complete validation";
                errors.push(invalid("", Value::Null, detail));
            }
            return Verdict { errors, warnings: Vec::new() };
        }
        let Verdict { errors: broken, warnings } = self.rules.evaluate(object, old);
        errors.extend(broken);
        Verdict { errors, warnings }
    }
}
