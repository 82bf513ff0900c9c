//! What every kind has beyond App Mesh: the policies of deletion and adoption, and tags. Pure data.

use std::collections::BTreeMap;

use fleetmesh_api::tags::OWNER_TAGS;
use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::add_rule;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

/// The most tags a user may set: App Mesh's 50 less those of ownership and
/// [`PROXY_PRINCIPALS_TAG`](fleetmesh_api::tags::PROXY_PRINCIPALS_TAG).
pub const MAX_USER_TAGS: usize = fleetmesh_model::tag::MAX_TAGS - OWNER_TAGS.len() - 1;

pub(crate) const TAG_KEY_LENGTH: Rule = Rule {
    cel: "self.all(key, key.size() >= 1 && key.size() <= 128)",
    message: "each key of tags must have 1 to 128 characters",
};
pub(crate) const TAG_KEY_RESERVED: Rule = Rule {
    cel: "!self.exists(key, key.startsWith('aws:') || key.startsWith('fleetmesh.dev/'))",
    message: "keys of tags must not begin with aws: or fleetmesh.dev/, which are reserved",
};

fn tag_rules(schema: &mut Schema) {
    schema.insert("maxProperties".into(), MAX_USER_TAGS.into());
    schema.insert("additionalProperties".into(), serde_json::json!({ "type": "string", "maxLength": 256 }));
    for rule in [&TAG_KEY_LENGTH, &TAG_KEY_RESERVED] {
        add_rule(schema, rule);
    }
}

/// How Fleetmesh manages the App Mesh object of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Management {
    /// What happens to an App Mesh object of this name that Fleetmesh did not make.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
    /// What happens to the App Mesh object when this resource is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Tags of the App Mesh object; at most 44 (App Mesh allows 50, Fleetmesh needs 6), keys of 1 to 128 characters,
    /// values of at most 256.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = tag_rules)]
    pub tags: BTreeMap<String, String>,
}

/// What happens to the App Mesh object when its resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = fleetmesh_model::schema::plain_enum)]
pub enum DeletionPolicy {
    /// It is deleted too; the resource stays until that is done.
    #[default]
    Delete,
    /// It stays as it is, without the tags of ownership but for that of the namespace, the only one that may adopt it.
    Retain,
}

/// What happens to an App Mesh object that exists already and is not this resource's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = fleetmesh_model::schema::plain_enum)]
pub enum AdoptionPolicy {
    /// It is not touched; the resource says `Accepted=False`, reason `NotOwned`.
    #[default]
    Refuse,
    /// It is tagged as this resource's and changed to its spec.
    Adopt,
}

#[cfg(test)]
mod tests {
    use fleetmesh_api::tags::TAG_PREFIX;

    use super::*;

    #[test]
    fn the_text_of_the_tag_bound_names_the_constant() {
        assert_eq!(MAX_USER_TAGS, 44);
        assert!(TAG_KEY_RESERVED.cel.contains(TAG_PREFIX));
    }
}
