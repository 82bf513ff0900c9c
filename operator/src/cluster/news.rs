//! What the events of a watch mean for the cache, for each kind that is watched. No I/O.

use std::collections::BTreeSet;

use fleetmesh_core::{Object, ObjectKey};
use fleetmesh_model::Kind;
use kube::Resource;
use kube::runtime::watcher::Event;

use super::untyped::Untyped;
use crate::cache::{Cache, NewsSource, Triggers};

/// Brings the events of one watch to the cache.
pub(super) trait News: Send {
    /// Takes an event; gives what it triggers.
    ///
    /// # Errors
    /// The resource cannot be read; the cache keeps what it had of it.
    fn take(&mut self, event: Event<Untyped>, cache: &Cache) -> serde_json::Result<Triggers>;
}

/// News of a kind that stands for App Mesh objects.
#[derive(Debug)]
pub(super) struct KindNews {
    kind: Kind,
    /// What the list under way has shown so far.
    listed: BTreeSet<ObjectKey>,
}

impl KindNews {
    /// Nothing has been seen yet.
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, listed: BTreeSet::new() }
    }

    fn seen(&self, resource: Untyped, cache: &Cache, source: NewsSource) -> serde_json::Result<Triggers> {
        Ok(cache.seen(Object::parse(self.kind, resource.into_value())?, source))
    }
}

impl News for KindNews {
    fn take(&mut self, event: Event<Untyped>, cache: &Cache) -> serde_json::Result<Triggers> {
        match event {
            Event::Init => {
                self.listed.clear();
                Ok(Triggers::new())
            }
            Event::InitApply(resource) => {
                self.listed.insert(resource.key(self.kind));
                self.seen(resource, cache, NewsSource::List)
            }
            Event::InitDone => {
                // What the list does not have was deleted while nobody watched.
                let listed = std::mem::take(&mut self.listed);
                let keys = cache.keys(self.kind);
                let missing = keys.iter().filter(|key| !listed.contains(key));
                Ok(missing.flat_map(|key| cache.gone(key, None)).collect())
            }
            Event::Apply(resource) => self.seen(resource, cache, NewsSource::Watch),
            Event::Delete(resource) => {
                let uid = resource.meta().uid.clone().unwrap_or_default();
                Ok(cache.gone(&resource.key(self.kind), Some(&uid)))
            }
        }
    }
}

/// The name of what is no App Mesh object, within its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ObjectName {
    /// `None` for a cluster-scoped kind.
    namespace: Option<String>,
    /// `metadata.name`.
    pub(super) name: String,
}

impl ObjectName {
    fn of(resource: &Untyped) -> Self {
        let meta = resource.meta();
        Self { namespace: meta.namespace.clone(), name: meta.name.clone().unwrap_or_default() }
    }

    /// The namespace; empty for a cluster-scoped kind.
    pub(super) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
}

/// News of what is no App Mesh object, and of which the operator only reads the spec. What was deleted while nobody watched is
/// `gone` as well: a permission must not outlive it.
#[derive(Debug)]
pub(super) struct NewsBeside {
    known: KnownNames,
    seen: fn(&Cache, Untyped) -> serde_json::Result<Triggers>,
    gone: fn(&Cache, &ObjectName) -> Triggers,
}

impl NewsBeside {
    /// Nothing has been seen yet; `seen` and `gone` bring a resource to the cache and give what that triggers.
    pub(super) fn new(
        seen: fn(&Cache, Untyped) -> serde_json::Result<Triggers>,
        gone: fn(&Cache, &ObjectName) -> Triggers,
    ) -> Self {
        Self { known: KnownNames::default(), seen, gone }
    }
}

impl News for NewsBeside {
    fn take(&mut self, event: Event<Untyped>, cache: &Cache) -> serde_json::Result<Triggers> {
        let missing = self.known.note(&event);
        let mut triggers = match event {
            Event::Apply(resource) | Event::InitApply(resource) => (self.seen)(cache, resource)?,
            Event::Delete(_) | Event::Init | Event::InitDone => Triggers::new(),
        };
        triggers.extend(missing.iter().flat_map(|name| (self.gone)(cache, name)));
        Ok(triggers)
    }
}

/// The names that a watch has shown, and those that the list under way has shown so far.
#[derive(Debug, Default)]
struct KnownNames {
    names: BTreeSet<ObjectName>,
    listed: Option<BTreeSet<ObjectName>>,
}

impl KnownNames {
    /// Notes an event; gives the names that are gone by it.
    fn note(&mut self, event: &Event<Untyped>) -> Vec<ObjectName> {
        match event {
            Event::Init => self.listed = Some(BTreeSet::new()),
            Event::InitApply(resource) => {
                let name = ObjectName::of(resource);
                self.names.insert(name.clone());
                self.listed.get_or_insert_default().insert(name);
            }
            Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                let missing = self.names.difference(&listed).cloned().collect();
                self.names = listed;
                return missing;
            }
            Event::Apply(resource) => {
                self.names.insert(ObjectName::of(resource));
            }
            Event::Delete(resource) => {
                let name = ObjectName::of(resource);
                self.names.remove(&name);
                return vec![name];
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn namespace(name: &str) -> Untyped {
        serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
    }

    fn gone(known: &mut KnownNames, event: &Event<Untyped>) -> Vec<String> {
        known.note(event).into_iter().map(|name| name.name).collect()
    }

    #[test]
    fn what_a_later_list_does_not_have_is_gone() {
        let mut known = KnownNames::default();
        for event in [
            Event::Init,
            Event::InitApply(namespace("a")),
            Event::InitApply(namespace("b")),
            Event::InitDone,
            Event::Apply(namespace("c")),
        ] {
            assert_eq!(gone(&mut known, &event), Vec::<String>::new());
        }
        assert_eq!(gone(&mut known, &Event::Delete(namespace("a"))), ["a"]);
        // The watch broke, and begins with a list again.
        for event in [Event::Init, Event::InitApply(namespace("c")), Event::InitApply(namespace("d"))] {
            assert_eq!(gone(&mut known, &event), Vec::<String>::new());
        }
        assert_eq!(gone(&mut known, &Event::InitDone), ["b"]);
        // A list that broke off before its end says nothing about what it did not come to.
        for event in
            [Event::Init, Event::Init, Event::InitApply(namespace("c")), Event::InitApply(namespace("d"))]
        {
            assert_eq!(gone(&mut known, &event), Vec::<String>::new());
        }
        assert_eq!(gone(&mut known, &Event::InitDone), Vec::<String>::new());
    }

    /// Nobody may take the name of a resource that cannot be read, and none of what it stands for is deleted.
    #[test]
    fn what_cannot_be_read_is_an_error_and_not_gone() {
        let resource = |spec: serde_json::Value| -> Untyped {
            let meta = json!({"name": "a", "namespace": "team", "uid": "1"});
            serde_json::from_value(json!({"metadata": meta, "spec": spec})).unwrap()
        };
        let (cache, mut news) = (Cache::default(), KindNews::new(Kind::VirtualService));
        let good = json!({"meshName": "apps"});
        news.take(Event::Apply(resource(good)), &cache).unwrap();
        let keys = cache.keys(Kind::VirtualService);
        assert_eq!(keys.len(), 1);
        news.take(Event::Init, &cache).unwrap();
        let error = news.take(Event::InitApply(resource(json!({"meshName": 7}))), &cache).unwrap_err();
        assert!(error.to_string().contains("invalid type: integer `7`"), "{error}");
        news.take(Event::InitDone, &cache).unwrap();
        assert_eq!(cache.keys(Kind::VirtualService), keys);
    }
}
