//! Which objects of a collection are meant: the query parameters `labelSelector` and `fieldSelector` of list, watch and
//! deletecollection (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api>,
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>).

mod fields;
mod labels;
mod names;
mod tokens;

use serde_json::Value;

use crate::resource::Resource;
use crate::store::Stored;
pub use fields::FieldSelector;
pub use labels::LabelSelector;

/// What is wrong with a selector, in kube-apiserver's words; it answers with them in a `BadRequest`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub(crate) String);

/// Both selectors of a request: an object is meant if both match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selector {
    /// The selectors `labels` and `fields` of a request for objects of `resource`; an empty one restricts nothing.
    ///
    /// # Errors
    /// One of them cannot be read, or names a field that objects of `resource` are not selected by.
    pub fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, SelectorError> {
        let labels = LabelSelector::parse(labels)?;
        Ok(Self { labels, fields: FieldSelector::parse(resource, fields)? })
    }

    /// Whether `object` is meant.
    pub fn matches(&self, object: &Value) -> bool {
        self.labels.matches(&object["metadata"]["labels"]) && self.fields.matches(object)
    }

    /// Whether a stored object is meant. `read` makes it of what is stored, which takes long for many; it is called only when a field
    /// that is not in the key is asked for.
    pub fn selects(&self, stored: &Stored, read: impl FnOnce() -> Value) -> bool {
        let (labels, key) = (&stored.labels, &stored.key);
        self.labels.holds(|label| labels.get(label).map(String::as_str))
            && match self.fields.of_key(&key.namespace, &key.name) {
                Some(is_meant) => is_meant,
                None => self.fields.matches(&read()),
            }
    }

    /// Whether every object is meant.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The only name that a matching object can have, if the field selector says one.
    pub fn name(&self) -> Option<&str> {
        self.fields.exactly("metadata.name")
    }
}

#[cfg(test)]
mod tests;
