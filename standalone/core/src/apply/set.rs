//! Sets of paths, and `FieldsV1`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::element::Element;
use super::types::Type;

/// A set of paths, as a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    nodes: BTreeMap<Element, Node>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    /// Whether the path that ends here is in the set.
    member: bool,
    below: FieldSet,
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl FieldSet {
    pub(crate) fn of(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path: Vec<Element> = path.iter().map(|name| Element::field(name)).collect();
            set.insert(&path);
        }
        set
    }

    pub(crate) fn insert(&mut self, path: &[Element]) {
        let Some((last, above)) = path.split_last() else { return };
        let mut set = self;
        for element in above {
            set = &mut set.nodes.entry(element.clone()).or_default().below;
        }
        set.nodes.entry(last.clone()).or_default().member = true;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.values().all(Node::is_empty)
    }

    pub(crate) fn has(&self, element: &Element) -> bool {
        self.nodes.get(element).is_some_and(|node| node.member)
    }

    pub(crate) fn has_path(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.has(last),
            [first, rest @ ..] => self.below(first).is_some_and(|below| below.has_path(rest)),
        }
    }

    /// What is below an element, unless it is nothing.
    pub(crate) fn below(&self, element: &Element) -> Option<&Self> {
        self.nodes.get(element).map(|node| &node.below).filter(|below| !below.is_empty())
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        for (element, node) in &other.nodes {
            let own = union.nodes.entry(element.clone()).or_default();
            own.member |= node.member;
            own.below = own.below.union(&node.below);
        }
        union
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        self.combined(|element, node| {
            let theirs = other.nodes.get(element)?;
            Some(Node { member: node.member && theirs.member, below: node.below.intersection(&theirs.below) })
        })
    }

    /// The paths that `other` does not have; what is below a path of `other` stays.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        self.combined(|element, node| {
            Some(other.nodes.get(element).map_or_else(
                || node.clone(),
                |theirs| Node {
                    member: node.member && !theirs.member,
                    below: node.below.difference(&theirs.below),
                },
            ))
        })
    }

    /// The paths that are neither in `other` nor below one of its paths.
    pub(crate) fn without(&self, other: &Self) -> Self {
        self.combined(|element, node| match other.nodes.get(element) {
            None => Some(node.clone()),
            Some(theirs) if theirs.member => None,
            Some(theirs) => Some(Node { member: node.member, below: node.below.without(&theirs.below) }),
        })
    }

    fn combined(&self, combine: impl Fn(&Element, &Node) -> Option<Node>) -> Self {
        let nodes = self.nodes.iter().filter_map(|(element, node)| {
            let node = combine(element, node).filter(|node| !node.is_empty())?;
            Some((element.clone(), node))
        });
        Self { nodes: nodes.collect() }
    }

    /// The same set with every declared member of an object that something is below of.
    pub(crate) fn with_declared_members(&self, types: Type<'_>) -> Self {
        let atom = types.atom();
        let nodes = self.nodes.iter().map(|(element, node)| {
            let (declared, next) = match element {
                Element::Field(name) => atom.map.map_or((false, Type::Unknown), |map| map.member(name)),
                Element::Key(_) => (false, atom.list.map_or(Type::Unknown, |list| list.item)),
                Element::Value(_) | Element::Index(_) => (false, Type::Unknown),
            };
            let below = node.below.with_declared_members(next);
            let member = node.member || declared && !node.below.nodes.is_empty();
            (element.clone(), Node { member, below })
        });
        Self { nodes: nodes.collect() }
    }

    /// The same set, where who owns a part of what the type has as one value owns all of it: it was written when the schema had it by
    /// its parts.
    pub(crate) fn with_atomic_wholes(&self, types: Type<'_>) -> Self {
        let atom = types.atom();
        let nodes = self.nodes.iter().map(|(element, node)| {
            let next = match element {
                Element::Field(name) => atom.map.map_or(Type::Unknown, |map| map.member(name).1),
                _ => atom.list.map_or(Type::Unknown, |list| list.item),
            };
            let is_whole = next.is_atomic() && !node.below.is_empty();
            let below = if is_whole { Self::default() } else { node.below.with_atomic_wholes(next) };
            (element.clone(), Node { member: node.member || is_whole, below })
        });
        Self { nodes: nodes.collect() }
    }

    /// All paths, those of a level before those below it.
    pub(crate) fn paths(&self) -> Vec<Vec<Element>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect(&self, prefix: &mut Vec<Element>, paths: &mut Vec<Vec<Element>>) {
        for (element, _) in self.nodes.iter().filter(|(_, node)| node.member) {
            let mut path = prefix.clone();
            path.push(element.clone());
            paths.push(path);
        }
        for (element, node) in &self.nodes {
            prefix.push(element.clone());
            node.below.collect(prefix, paths);
            prefix.pop();
        }
    }

    /// The set as `FieldsV1`.
    pub(crate) fn to_json(&self) -> Value {
        let mut members = Map::new();
        for (element, node) in self.nodes.iter().filter(|(_, node)| !node.is_empty()) {
            let mut below = node.below.to_json();
            if let (true, Some(below)) = (node.member && !node.below.is_empty(), below.as_object_mut()) {
                below.insert(".".to_owned(), Value::Object(Map::new()));
            }
            members.insert(element.serialized(), below);
        }
        Value::Object(members)
    }

    /// Reads `FieldsV1`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn from_json(json: &Value) -> Result<Self, String> {
        let mut set = Self::default();
        for (name, value) in json.as_object().ok_or("fieldsV1 must be an object")? {
            if name == "." {
                continue;
            }
            let Some(element) = Element::parse(name)? else { continue };
            let below = Self::from_json(value)?;
            let named = value.get(".").is_some();
            let member = named || below.nodes.is_empty();
            set.nodes.insert(element, Node { member, below });
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn set(json: Value) -> FieldSet {
        FieldSet::from_json(&json).unwrap()
    }

    #[test]
    fn is_written_as_it_is_read() {
        let fields = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}},
            "f:spec": {"f:list": {".": {}, "k:{\"type\":\"a\"}": {".": {}, "f:b": {}}, "v:1": {}}}});
        assert_eq!(set(fields.clone()).to_json(), fields);
        assert_eq!(
            set(json!({"f:a": {"x:b": {}}})).to_json(),
            json!({"f:a": {}}),
            "unknown elements are ignored"
        );
    }

    #[test]
    fn differences() {
        let all = set(json!({"f:a": {".": {}, "f:b": {}, "f:c": {}}, "f:d": {}}));
        let some = set(json!({"f:a": {}}));
        assert_eq!(all.difference(&some).to_json(), json!({"f:a": {"f:b": {}, "f:c": {}}, "f:d": {}}));
        assert_eq!(all.without(&some).to_json(), json!({"f:d": {}}));
        assert_eq!(all.intersection(&some).to_json(), json!({"f:a": {}}));
    }

    #[test]
    fn paths_of_a_level_come_first() {
        let paths = set(json!({"f:a": {"f:c": {}}, "f:b": {}})).paths();
        let texts: Vec<String> = paths.iter().map(|path| super::super::element::path_text(path)).collect();
        assert_eq!(texts, [".b", ".a.c"]);
    }

    fn sets() -> impl Strategy<Value = FieldSet> {
        let element = prop_oneof![
            "[a-c]".prop_map(|name| Element::field(&name)),
            (0..3_i64).prop_map(|at| Element::key([(&"k".to_owned(), &json!(at))].into_iter())),
            Just(Element::Index(0)),
        ];
        let path = prop::collection::vec(element, 1..4);
        prop::collection::vec(path, 0..8).prop_map(|paths| {
            let mut set = FieldSet::default();
            paths.iter().for_each(|path| set.insert(path));
            set
        })
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(a in sets(), b in sets()) {
            let union = a.union(&b);
            for path in a.paths() {
                prop_assert!(union.has_path(&path));
                prop_assert_eq!(a.difference(&b).has_path(&path), !b.has_path(&path));
                prop_assert_eq!(a.intersection(&b).has_path(&path), b.has_path(&path));
            }
            prop_assert_eq!(union.paths().len(), a.paths().len() + b.difference(&a).paths().len());
            prop_assert!(a.difference(&a).is_empty() && a.without(&a).is_empty());
            prop_assert_eq!(FieldSet::from_json(&a.to_json()).unwrap(), a.union(&FieldSet::default()));
        }
    }
}
