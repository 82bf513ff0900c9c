//! Structural schemas: what the API server does with an object by the schema of its CustomResourceDefinition, and of the
//! built-in kinds by a schema of the same form.
//!
//! [`CustomSchema`] is a schema with its rules, and the steps in the order in which a request takes them.

mod builtin;
mod cel;
mod custom;
mod decode;
mod default;
mod failure;
mod format;
mod lists;
mod metadata;
mod number;
mod parse;
pub mod pattern;
mod prune;
mod ratchet;
mod shape;
mod typed;
mod validate;

pub use builtin::{BuiltinKind, builtin};
pub use cel::{Rules, RulesError, Verdict};
pub use custom::{CustomSchema, CustomSchemaError, OtherErrors};
pub use decode::{Decoded, decode};
pub use default::{apply_defaults, drop_nulls};
pub use lists::validate_lists;
pub use metadata::object_metadata;
pub use parse::SchemaError;
pub use prune::prune;
pub use shape::{Additional, Bounds, Combined, JsonType, ListType, PatchStrategy, Schema};
pub use typed::TypeMismatch;
pub use validate::{validate, validate_update};

pub(crate) use failure::{child, index};
