//! CustomResourceDefinitions: those of this program are there, and stay as they are.

use serde_json::Value;

use super::metadata;
use crate::patch::merge_patch;
use crate::resource::Resource;
use crate::status::Status;

/// The store of definitions.
pub const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

const WAY_OUT: &str = "fleetmesh standalone serves the definitions that it was built with (`fleetmesh crds`) and no others: install the version of fleetmesh that has this one, or run the chart on Kubernetes";

/// Whether a definition may be stored in the place of `old`, or as a new one.
///
/// # Errors
/// 403, unless its spec is that of the definition which is there.
pub fn may_write(resource: &Resource, old: Option<&Value>, new: &Value) -> Result<(), Status> {
    if resource.store != DEFINITIONS
        || old.is_some_and(|old| whole(old.get("spec")) == whole(new.get("spec")))
    {
        return Ok(());
    }
    let name = metadata::text(new, "name");
    Err(Status::forbidden(&resource.group, &resource.plural, name, WAY_OUT))
}

/// A value with its whole numbers as the API server writes them: a bound of `0.0` is `0`.
pub fn whole(value: Option<&Value>) -> Value {
    match value {
        Some(Value::Number(number)) if number.is_f64() => {
            let text = number.as_f64().map(|float| float.to_string());
            text.and_then(|text| text.parse::<i64>().ok()).map_or_else(|| number.clone().into(), Value::from)
        }
        Some(Value::Array(items)) => items.iter().map(|item| whole(Some(item))).collect(),
        Some(Value::Object(members)) => {
            members.iter().map(|(name, member)| (name.clone(), whole(Some(member)))).collect()
        }
        Some(other) => other.clone(),
        None => Value::Null,
    }
}

/// Whether an object of the resource may be deleted.
///
/// # Errors
/// 403 for a definition.
pub fn may_delete(resource: &Resource, name: &str) -> Result<(), Status> {
    if resource.store != DEFINITIONS {
        return Ok(());
    }
    Err(Status::forbidden(&resource.group, &resource.plural, name, WAY_OUT))
}

/// What server-side apply of `config` makes of the definition `live`: nobody manages single members of it, so that nothing is taken
/// away and nothing conflicts. Whether it may be stored is [`may_write`]'s.
///
/// # Errors
/// 400 for what cannot be applied; 403 where there is no such definition.
pub fn applied(resource: &Resource, live: Option<&Value>, config: &Value) -> Result<Value, Status> {
    let managed = config.pointer("/metadata/managedFields").and_then(Value::as_array);
    if managed.is_some_and(|managed| !managed.is_empty()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let Some(live) = live else { return may_write(resource, None, config).map(|()| config.clone()) };
    merge_patch(live, &whole(Some(config))).map_err(|error| Status::bad_request(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::Resources;

    fn definitions() -> std::sync::Arc<Resource> {
        let resources = Resources::new(&fleetmesh_crds::all());
        resources.iter().find(|resource| resource.store == DEFINITIONS).unwrap().clone()
    }

    #[test]
    fn one_that_is_applied_as_it_is_stays_and_another_has_a_way_out() {
        let resource = definitions();
        let meshes = json!({
            "metadata": { "name": "meshes.fleetmesh.dev", "uid": "1" },
            "spec": { "scope": "Cluster", "conversion": { "strategy": "None" }, "least": 0 },
        });
        let config = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": "meshes.fleetmesh.dev", "labels": { "a": "b" } },
            "spec": { "scope": "Cluster", "least": 0.0 },
        });
        let same = applied(&resource, Some(&meshes), &config).unwrap();
        assert_eq!(same["spec"], meshes["spec"], "what an API server adds is no difference");
        assert_eq!(same["metadata"]["labels"]["a"], "b");
        may_write(&resource, Some(&meshes), &same).unwrap();

        let mut other = config.clone();
        other["spec"]["scope"] = json!("Namespaced");
        let other = applied(&resource, Some(&meshes), &other).unwrap();
        let refusal = may_write(&resource, Some(&meshes), &other).unwrap_err();
        assert_eq!(refusal.code, 403);
        assert!(refusal.message.contains("install the version of fleetmesh"), "{}", refusal.message);
        assert_eq!(applied(&resource, None, &config).unwrap_err().code, 403, "one that is not there");

        let mut managed = config;
        managed["metadata"]["managedFields"] = json!([{ "manager": "me" }]);
        assert_eq!(applied(&resource, Some(&meshes), &managed).unwrap_err().code, 400);
    }
}
