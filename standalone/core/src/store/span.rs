//! A part of the objects in their order, which is found without walking over the others.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::state::Key;

/// The objects of a store: of one namespace or of all, of one name or of all, and from a place in their order on.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// The store.
    pub store: &'a str,
    /// One namespace, or all; empty for what is in none.
    pub namespace: Option<&'a str>,
    /// One name, or all.
    pub name: Option<&'a str>,
    /// What comes after this one alone.
    pub after: Option<&'a Key>,
}

impl<'a> Span<'a> {
    /// All objects of a store, or those of one namespace.
    pub fn new(store: &'a str, namespace: Option<&'a str>) -> Self {
        Self { store, namespace, name: None, after: None }
    }

    /// Whether an object is in the span, wherever it begins.
    pub fn has(&self, key: &Key) -> bool {
        self.reaches(key) && self.name.is_none_or(|name| key.name == name)
    }

    /// Whether there may be something at `key` or behind it.
    fn reaches(&self, key: &Key) -> bool {
        key.store == self.store
            && self.namespace.is_none_or(|namespace| key.namespace == namespace)
            && (self.namespace.is_none() || self.name.is_none_or(|name| key.name == name))
    }

    fn start(&self) -> Bound<Key> {
        let namespace = self.namespace.unwrap_or_default();
        let name = self.name.filter(|_| self.namespace.is_some()).unwrap_or_default();
        let first = Key::new(self.store, namespace, name);
        match self.after {
            Some(after) if *after >= first => Bound::Excluded(after.clone()),
            _ => Bound::Included(first),
        }
    }

    /// What `map` has in the span, in its order.
    pub(super) fn of<T>(self, map: &'a BTreeMap<Key, T>) -> impl Iterator<Item = (&'a Key, &'a T)> {
        map.range((self.start(), Bound::Unbounded))
            .take_while(move |(key, _)| self.reaches(key))
            .filter(move |(key, _)| self.has(key))
    }
}
