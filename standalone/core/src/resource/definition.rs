//! The resources that a CustomResourceDefinition makes.

use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use serde_json::Value;

use super::{Definition, Origin, Resource, ScalePaths, builtin};

/// One for each version that is served.
pub(super) fn resources(definition: &CustomResourceDefinition) -> Vec<Resource> {
    let served = definition.spec.versions.iter().filter(|version| version.served);
    served.map(|version| resource(definition, version)).collect()
}

fn resource(definition: &CustomResourceDefinition, version: &CustomResourceDefinitionVersion) -> Resource {
    let (spec, names) = (&definition.spec, &definition.spec.names);
    let subresources = version.subresources.as_ref();
    let scale = subresources.and_then(|subresources| subresources.scale.as_ref()).map(|scale| ScalePaths {
        spec_replicas: scale.spec_replicas_path.clone(),
        status_replicas: scale.status_replicas_path.clone(),
        selector: scale.label_selector_path.clone(),
    });
    let singular = names.singular.clone().filter(|name| !name.is_empty());
    let list_kind = names.list_kind.clone().filter(|name| !name.is_empty());
    Resource {
        group: spec.group.clone(),
        version: version.name.clone(),
        kind: names.kind.clone(),
        plural: names.plural.clone(),
        singular: singular.unwrap_or_else(|| names.kind.to_lowercase()),
        short_names: names.short_names.clone().unwrap_or_default(),
        categories: names.categories.clone().unwrap_or_default(),
        namespaced: spec.scope == "Namespaced",
        verbs: builtin::ALL.to_vec(),
        has_status: subresources.is_some_and(|subresources| subresources.status.is_some()),
        scale,
        origin: Origin::Custom(Arc::new(Definition {
            name: format!("{}.{}", names.plural, spec.group),
            schema: schema(version),
            columns: version.additional_printer_columns.clone().unwrap_or_default(),
            list_kind: list_kind.unwrap_or_else(|| format!("{}List", names.kind)),
        })),
        store: format!("{}.{}", names.plural, spec.group),
    }
}

/// The schema of the version as JSON; that of any object when it has none.
fn schema(version: &CustomResourceDefinitionVersion) -> Value {
    let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    let schema = schema.and_then(|schema| serde_json::to_value(schema).ok());
    schema.unwrap_or_else(|| serde_json::json!({ "type": "object" }))
}
