//! The objects as they are at one revision, and the indices that garbage collection reads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::metadata::{self, Owner};
use super::span::Span;
use super::{EventKind, Guard, Write};

/// The store of namespaces.
pub const NAMESPACES: &str = "namespaces";

/// Which object: its store, its namespace (empty when it is in none) and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The store of its resource.
    pub store: String,
    /// Its namespace, or empty.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// The key of these three.
    pub fn new(store: &str, namespace: &str, name: &str) -> Self {
        Self { store: store.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// An object as it is stored: its text, and what is asked of many objects without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Which object.
    pub key: Key,
    /// Its uid.
    pub uid: String,
    /// The revision of its last change.
    pub revision: u64,
    /// The object as JSON, with its resource version.
    pub text: Arc<str>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its owners.
    pub owners: Vec<Owner>,
    /// Its finalizers.
    pub finalizers: Vec<String>,
    /// Whether it is being deleted.
    pub is_deleting: bool,
}

impl Stored {
    /// `object` as it is stored at `revision`.
    pub fn new(key: Key, mut object: Value, revision: u64) -> Self {
        metadata::set(&mut object, "resourceVersion", revision.to_string().into());
        let text = object.to_string().into();
        Self {
            uid: metadata::text(&object, "uid").to_owned(),
            labels: metadata::labels(&object),
            owners: metadata::owners(&object),
            finalizers: metadata::finalizers(&object),
            is_deleting: metadata::is_deleting(&object),
            key,
            revision,
            text,
        }
    }

    /// What was stored as `text` at `revision`.
    ///
    /// # Errors
    /// serde_json's, when it is no JSON.
    pub fn read(key: Key, text: &str, revision: u64) -> Result<Self, serde_json::Error> {
        Ok(Self::new(key, serde_json::from_str(text)?, revision))
    }

    /// The object.
    pub fn value(&self) -> Value {
        // What is stored was written by this type.
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// All objects.
#[derive(Clone, Debug, Default)]
pub struct State {
    objects: BTreeMap<Key, Arc<Stored>>,
    /// The revision of the last change.
    revision: u64,
    uids: HashMap<String, Key>,
    /// By the uid of an owner, what names it as one.
    dependents: BTreeMap<String, BTreeSet<Key>>,
    deleting: BTreeSet<Key>,
}

impl State {
    /// The objects that were stored, of which the last was changed at `revision` or before.
    pub fn load(objects: impl IntoIterator<Item = Stored>, revision: u64) -> Self {
        let mut state = Self { revision, ..Self::default() };
        for object in objects {
            state.index(&Arc::new(object));
        }
        state
    }

    /// The revision of the last change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<&Arc<Stored>> {
        self.objects.get(key)
    }

    /// The objects of a store by namespace and name; those of one namespace, if one is given.
    pub fn all<'a>(
        &'a self,
        store: &'a str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<Stored>> {
        self.within(Span::new(store, namespace)).map(|(_, object)| object)
    }

    /// The objects of a span, with their keys.
    pub(super) fn within<'a>(&'a self, span: Span<'a>) -> impl Iterator<Item = (&'a Key, &'a Arc<Stored>)> {
        span.of(&self.objects)
    }

    /// Everything that lies in a namespace, whatever its resource.
    pub fn in_namespace<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Arc<Stored>> {
        self.objects.values().filter(move |object| object.key.namespace == namespace)
    }

    /// The object with this uid.
    pub fn by_uid(&self, uid: &str) -> Option<&Arc<Stored>> {
        self.uids.get(uid).and_then(|key| self.objects.get(key))
    }

    /// What names an object as an owner, by the owner's uid.
    pub fn dependents(&self) -> impl Iterator<Item = (&str, &BTreeSet<Key>)> {
        self.dependents.iter().map(|(uid, keys)| (uid.as_str(), keys))
    }

    /// What names the object with this uid as an owner.
    pub fn dependents_of<'a>(&'a self, uid: &str) -> impl Iterator<Item = &'a Arc<Stored>> {
        let keys = self.dependents.get(uid).into_iter().flatten();
        keys.filter_map(|key| self.objects.get(key))
    }

    /// What is being deleted.
    pub fn deleting(&self) -> impl Iterator<Item = &Arc<Stored>> {
        self.deleting.iter().filter_map(|key| self.objects.get(key))
    }

    /// Whether a namespace takes new objects.
    pub fn is_active(&self, namespace: &str) -> bool {
        self.get(&Key::new(NAMESPACES, "", namespace)).is_some_and(|object| !object.is_deleting)
    }

    /// Whether what a decision relied on is so.
    pub fn holds(&self, guard: &Guard) -> bool {
        match guard {
            Guard::Absent(key) => !self.objects.contains_key(key),
            Guard::At(key, revision) => self.get(key).is_some_and(|object| object.revision == *revision),
            Guard::Active(namespace) => self.is_active(namespace),
        }
    }

    /// The object as `write` leaves it at `revision`.
    pub fn stored(write: Write, revision: u64) -> Arc<Stored> {
        Arc::new(Stored::new(write.key, write.object, revision))
    }

    /// Takes a change that was stored; answers what was there before.
    pub fn apply(&mut self, kind: EventKind, object: &Arc<Stored>) -> Option<Arc<Stored>> {
        self.revision = self.revision.max(object.revision);
        let before = self.unindex(&object.key);
        if kind != EventKind::Deleted {
            self.index(object);
        }
        before
    }

    fn index(&mut self, object: &Arc<Stored>) {
        let key = &object.key;
        self.uids.insert(object.uid.clone(), key.clone());
        for owner in &object.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(key.clone());
        }
        if object.is_deleting {
            self.deleting.insert(key.clone());
        }
        self.objects.insert(key.clone(), Arc::clone(object));
    }

    fn unindex(&mut self, key: &Key) -> Option<Arc<Stored>> {
        let before = self.objects.remove(key)?;
        self.uids.remove(&before.uid);
        self.deleting.remove(key);
        for owner in &before.owners {
            if let Some(keys) = self.dependents.get_mut(&owner.uid) {
                keys.remove(key);
                if keys.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
        Some(before)
    }
}
