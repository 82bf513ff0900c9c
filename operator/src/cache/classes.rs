//! The FleetClasses of the cluster: which one a fleet has, and who else has it. No I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmesh_core::fleet::{ClassLookup, limits};
use fleetmesh_core::{Object, ObjectKey};
use fleetmesh_crds::{FleetClass, FleetClassSpec};
use jiff::Timestamp;
use kube::ResourceExt;

use super::{Cache, CacheInner, Triggers};
use crate::queue::Trigger;

/// A class as it was last seen.
#[derive(Clone, Debug, PartialEq)]
struct KnownClass {
    created: Timestamp,
    is_default: bool,
    spec: Arc<FleetClassSpec>,
}

/// The classes by name.
#[derive(Debug, Default)]
pub(super) struct Classes(BTreeMap<String, KnownClass>);

impl Classes {
    /// The name of the default class: the newest that is marked, and of equals the one whose name comes first.
    fn default(&self) -> Option<&String> {
        let marked = self.0.iter().filter(|(_, known)| known.is_default);
        marked
            .max_by(|(one, known), (name, other)| (known.created, *name).cmp(&(other.created, *one)))
            .map(|(name, _)| name)
    }

    /// The name of the class that an object's fleet has or asks for; `None` when it asks for none and none is the default.
    fn name_of<'a>(&'a self, object: &'a Object) -> Option<&'a String> {
        object.fleet()?.class_name.as_ref().or_else(|| self.default())
    }
}

/// The class of a fleet at one moment.
#[derive(Clone, Debug)]
pub struct ClassOf {
    name: Option<String>,
    spec: Option<Arc<FleetClassSpec>>,
    allowed: bool,
}

impl ClassOf {
    /// The class as decisions look at it.
    pub fn class(&self) -> ClassLookup<'_> {
        match (&self.name, &self.spec) {
            (None, _) => ClassLookup::NoDefault,
            (Some(_), None) => ClassLookup::Missing,
            (Some(name), Some(_)) if !self.allowed => ClassLookup::NotAllowed { name },
            (Some(name), Some(spec)) => ClassLookup::Found { name, spec },
        }
    }
}

impl Cache {
    /// A FleetClass was seen. Triggers the nodes whose fleets have it, and those that have another by it.
    pub fn class(&self, resource: &FleetClass) -> Triggers {
        let created =
            resource.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let known =
            KnownClass { created, is_default: resource.is_default(), spec: Arc::new(resource.spec.clone()) };
        self.lock().class_changed(&resource.name_any(), Some(known))
    }

    /// A FleetClass is gone.
    pub fn class_gone(&self, name: &str) -> Triggers {
        self.lock().class_changed(name, None)
    }

    /// The class of an object's fleet.
    pub fn class_of(&self, object: &Object) -> ClassOf {
        let inner = self.lock();
        let name = inner.classes.name_of(object).cloned();
        let spec =
            name.as_ref().and_then(|name| inner.classes.0.get(name)).map(|known| Arc::clone(&known.spec));
        let allowed = spec.as_ref().is_some_and(|spec| inner.allows(spec, object));
        ClassOf { name, spec, allowed }
    }
}

impl CacheInner {
    /// The fleets that have the class `name`, or had instances when they were last reported and ask for it: whoever may have
    /// instances that count.
    pub(super) fn fleets_of(&self, name: &str) -> Vec<limits::LimitedMember> {
        let of_class = self.entries.values().map(|entry| &entry.object).filter(|object| {
            let launched = object.status.fleet().is_some();
            let leaving = object.fleet().is_none() && launched;
            let last = object.status.fleet().and_then(|status| status.class_name.as_deref());
            self.classes.name_of(object).is_some_and(|asked| asked == name) || (leaving && last == Some(name))
        });
        of_class.map(|object| limits::LimitedMember::of(object)).collect()
    }

    fn allows(&self, spec: &FleetClassSpec, object: &Object) -> bool {
        let Some(allowed) = &spec.allowed_namespaces else { return true };
        let namespace = object.key.namespace.as_ref().and_then(|name| self.namespaces.get(name));
        // A selector that cannot be read selects nothing; a namespace that was not seen yet has no labels.
        allowed.allows(&namespace.cloned().unwrap_or_default()).unwrap_or(false)
    }

    fn class_changed(&mut self, name: &str, known: Option<KnownClass>) -> Triggers {
        if self.classes.0.get(name) == known.as_ref() {
            return Triggers::new();
        }
        let classes = |inner: &Self| -> BTreeMap<ObjectKey, Option<String>> {
            let fleets = inner.entries.values().filter(|entry| entry.object.fleet().is_some());
            fleets
                .map(|entry| (entry.object.key.clone(), inner.classes.name_of(&entry.object).cloned()))
                .collect()
        };
        let before = classes(self);
        match known {
            Some(known) => self.classes.0.insert(name.to_owned(), known),
            None => self.classes.0.remove(name),
        };
        let after = classes(self);
        let concerned = after.into_iter().filter(|(key, now)| {
            now.as_deref() == Some(name) || before.get(key).is_some_and(|before| before != now)
        });
        concerned.map(|(key, _)| (key, Trigger::Look)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use fleetmesh_crds::VirtualNode;
    use serde_json::{Value, json};

    use super::*;
    use crate::cache::NewsSource;

    fn class(name: &str, created: i64, default: bool, members: Value) -> FleetClass {
        let mut spec = json!({ "limits": { "instances": 10 } });
        spec.as_object_mut().unwrap().extend(members.as_object().cloned().unwrap_or_default());
        let time = Timestamp::from_second(created).unwrap().to_string();
        serde_json::from_value(json!({
            "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "FleetClass", "spec": spec,
            "metadata": { "name": name, "creationTimestamp": time,
                "annotations": { "fleetmesh.dev/is-default-class": default.to_string() } },
        }))
        .unwrap()
    }

    fn node(name: &str, class: Option<&str>) -> Object {
        let mut fleet = json!({ "replicas": 1, "app": { "port": 80, "container": "app" } });
        if let Some(class) = class {
            fleet["className"] = json!(class);
        }
        let node: VirtualNode = serde_json::from_value(json!({
            "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode",
            "metadata": { "name": name, "namespace": "apps", "uid": name, "resourceVersion": "1" },
            "spec": { "meshName": "m", "iam": {}, "fleet": fleet },
        }))
        .unwrap();
        Object::read(&node)
    }

    fn found(cache: &Cache, node: &Object) -> String {
        match cache.class_of(node).class() {
            ClassLookup::NoDefault => "no default".to_owned(),
            ClassLookup::Missing => "missing".to_owned(),
            ClassLookup::NotAllowed { name } => format!("not {name}"),
            ClassLookup::Found { name, .. } => name.to_owned(),
        }
    }

    fn triggered(triggers: Triggers) -> Vec<String> {
        triggers.into_iter().map(|(key, _)| key.name).collect()
    }

    #[test]
    fn a_fleet_has_the_class_that_it_names_or_the_newest_default() {
        let cache = Cache::default();
        let (plain, named) = (node("plain", None), node("named", Some("old")));
        for object in [&plain, &named] {
            cache.seen(object.clone(), NewsSource::Watch);
        }
        assert_eq!([found(&cache, &plain), found(&cache, &named)], ["no default", "missing"]);
        assert_eq!(triggered(cache.class(&class("old", 1, true, json!({})))), ["named", "plain"]);
        assert_eq!([found(&cache, &plain), found(&cache, &named)], ["old", "old"]);
        assert_eq!(
            triggered(cache.class(&class("new", 2, true, json!({})))),
            ["plain"],
            "of two the newest is it"
        );
        assert_eq!([found(&cache, &plain), found(&cache, &named)], ["new", "old"]);
        assert_eq!(triggered(cache.class(&class("newest", 3, false, json!({})))), [""; 0]);
        assert_eq!(triggered(cache.class(&class("new", 2, true, json!({})))), [""; 0], "no change");
        assert_eq!(triggered(cache.class_gone("new")), ["plain"]);
        assert_eq!(found(&cache, &plain), "old");
        assert_eq!(cache.lock().fleets_of("old").len(), 2);
        assert_eq!(triggered(cache.class_gone("old")), ["named", "plain"]);
        assert_eq!([found(&cache, &plain), found(&cache, &named)], ["no default", "missing"]);
    }

    #[test]
    fn a_class_is_for_the_namespaces_that_it_allows() {
        let cache = Cache::default();
        let plain = node("plain", None);
        cache.seen(plain.clone(), NewsSource::Watch);
        let team = |team: &str| BTreeMap::from([("team".to_owned(), team.to_owned())]);
        let allowed = json!({ "allowedNamespaces": { "from": "Selector", "selector": { "matchLabels": { "team": "a" } } } });
        cache.class(&class("ours", 1, true, allowed));
        assert_eq!(found(&cache, &plain), "not ours", "a namespace that was not seen has no labels");
        cache.namespace("apps", Some(team("b")));
        assert_eq!(found(&cache, &plain), "not ours");
        assert_eq!(triggered(cache.namespace("apps", Some(team("a")))), ["plain"]);
        assert_eq!(found(&cache, &plain), "ours");
    }
}
