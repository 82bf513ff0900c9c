//! What is served, and how people name it. Pure: discovery is read elsewhere.

use fleetmesh_api::urls::escape;
use fleetmesh_standalone_core::route::collection_path;
use serde_json::Value;

/// One resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// Its group; empty for Kubernetes' core.
    pub group: String,
    /// Its version.
    pub version: String,
    /// Its kind, such as `VirtualNode`.
    pub kind: String,
    /// Such as `virtualnodes`.
    pub plural: String,
    /// Such as `virtualnode`.
    pub singular: String,
    /// Such as `vn`.
    pub short_names: Vec<String>,
    /// Such as `fleetmesh`.
    pub categories: Vec<String>,
    /// Whether its objects are in namespaces.
    pub is_namespaced: bool,
    /// Whether its objects can be listed.
    pub is_listed: bool,
}

impl Resource {
    /// `group/version`, or the version of the core.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The kind as output names it: `virtualnode.fleetmesh.dev`, `secret`.
    pub fn qualified_kind(&self) -> String {
        let kind = self.kind.to_lowercase();
        if self.group.is_empty() { kind } else { format!("{kind}.{}", self.group) }
    }

    /// The path of its objects in a namespace, or in all without one.
    pub fn path(&self, namespace: Option<&str>) -> String {
        collection_path(&self.group, &self.version, &self.plural, namespace.filter(|_| self.is_namespaced))
    }

    /// The path of one object.
    pub fn path_of(&self, namespace: &str, name: &str) -> String {
        format!("{}/{}", self.path(Some(namespace)), escape(name))
    }

    fn is_named(&self, name: &str) -> bool {
        name == self.plural || name == self.singular || name == self.kind.to_lowercase()
    }
}

/// All that is served, the preferred version of each first.
#[derive(Clone, Debug, Default)]
pub struct Resources(Vec<Resource>);

impl Resources {
    /// From `APIGroupDiscoveryList`s.
    pub fn read(lists: &[Value]) -> Self {
        let mut all = Vec::new();
        for group in lists.iter().flat_map(|list| items(&list["items"])) {
            for version in items(&group["versions"]) {
                let resources = items(&version["resources"]);
                all.extend(resources.map(|resource| {
                    read(text(&group["metadata"]["name"]), text(&version["version"]), resource)
                }));
            }
        }
        Self(all)
    }

    /// The resource that `name` means: `meshes`, `mesh`, `Mesh`, a short name, each also with `.GROUP` or `.VERSION.GROUP`.
    pub fn find(&self, name: &str) -> Option<&Resource> {
        let name = name.to_lowercase();
        let (plain, group) = name.split_once('.').unwrap_or((&name, ""));
        let is_of = |one: &&Resource| {
            let of_version = group.strip_prefix(&format!("{}.", one.version));
            one.group.starts_with(group) || of_version.is_some_and(|group| one.group.starts_with(group))
        };
        let named = self.0.iter().filter(|one| one.is_named(plain)).find(is_of);
        named.or_else(|| {
            self.0.iter().filter(|one| one.short_names.iter().any(|short| short == plain)).find(is_of)
        })
    }

    /// The resource of a kind.
    pub fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        self.0.iter().find(|one| one.kind == kind && one.api_version() == api_version)
    }

    /// What can be listed of a group, each in its preferred version.
    pub fn of_group(&self, group: &str) -> Vec<Resource> {
        let mut found: Vec<Resource> = Vec::new();
        for one in self.0.iter().filter(|one| one.is_listed && one.group == group) {
            if !found.iter().any(|known| known.plural == one.plural) {
                found.push(one.clone());
            }
        }
        found
    }

    /// The resources of a category, such as `all`.
    pub fn of_category(&self, name: &str) -> Vec<&Resource> {
        let mut found: Vec<&Resource> = Vec::new();
        for one in self
            .0
            .iter()
            .filter(|one| one.is_listed && one.categories.iter().any(|category| category == name))
        {
            // Of several versions the preferred one.
            if !found.iter().any(|known| known.group == one.group && known.plural == one.plural) {
                found.push(one);
            }
        }
        found
    }
}

fn read(group: &str, version: &str, resource: &Value) -> Resource {
    let kind = text(&resource["responseKind"]["kind"]);
    let texts = |value: &Value| items(value).map(|one| text(one).to_owned()).collect();
    let singular = match text(&resource["singularResource"]) {
        "" => kind.to_lowercase(),
        singular => singular.to_owned(),
    };
    Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: text(&resource["resource"]).to_owned(),
        singular,
        short_names: texts(&resource["shortNames"]),
        categories: texts(&resource["categories"]),
        is_namespaced: resource["scope"] == "Namespaced",
        is_listed: items(&resource["verbs"]).any(|verb| verb == "list"),
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resources() -> Resources {
        let one = |plural: &str, kind: &str, short: &str, scope: &str| {
            json!({"resource": plural, "responseKind": {"kind": kind}, "scope": scope, "shortNames": [short],
                   "verbs": ["list"], "categories": ["fleetmesh"]})
        };
        let core = json!({"items": [{"metadata": {}, "versions": [{"version": "v1", "resources": [
            one("events", "Event", "ev", "Namespaced"), one("namespaces", "Namespace", "ns", "Cluster")]}]}]});
        let groups = json!({"items": [
            {"metadata": {"name": "events.k8s.io"}, "versions": [{"version": "v1", "resources": [one("events", "Event", "ev", "Namespaced")]}]},
            {"metadata": {"name": "fleetmesh.dev"}, "versions": [{"version": "v1alpha1", "resources": [one("meshes", "Mesh", "m", "Cluster")]}]},
        ]});
        Resources::read(&[core, groups])
    }

    #[test]
    fn a_resource_has_many_names() {
        let all = resources();
        for name in [
            "meshes",
            "mesh",
            "Mesh",
            "m",
            "meshes.fleetmesh.dev",
            "mesh.v1alpha1.fleetmesh.dev",
            "m.fleetmesh",
        ] {
            assert_eq!(
                all.find(name).map(Resource::qualified_kind).as_deref(),
                Some("mesh.fleetmesh.dev"),
                "{name}"
            );
        }
        assert_eq!(all.find("ev").unwrap().api_version(), "v1");
        assert_eq!(all.find("events.events.k8s.io").unwrap().api_version(), "events.k8s.io/v1");
        for name in ["pods", "meshes.example.com", "mesh.v2.fleetmesh.dev", ""] {
            assert_eq!(all.find(name), None, "{name}");
        }
        assert_eq!(all.of_category("fleetmesh").len(), 4);
        assert!(
            all.of_kind("fleetmesh.dev/v1alpha1", "Mesh").is_some() && all.of_kind("v1", "Mesh").is_none()
        );
    }

    #[test]
    fn paths_have_a_namespace_where_there_is_one() {
        let all = resources();
        assert_eq!(all.find("ev").unwrap().path_of("apps", "a/b"), "/api/v1/namespaces/apps/events/a%2Fb");
        assert_eq!(all.find("ev").unwrap().path(None), "/api/v1/events");
        assert_eq!(all.find("m").unwrap().path_of("apps", "x"), "/apis/fleetmesh.dev/v1alpha1/meshes/x");
    }
}
