//! Types of values as ownership sees them: which objects and lists are one value, and which are owned by their parts.

use serde_json::Value;

use crate::schema::{Additional, JsonType, ListType, Schema};

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Type<'s> {
    /// What a schema declares. The flag says that members which are not declared are kept, here and below.
    Declared(&'s Schema, bool),
    /// Any value; objects and lists are one value.
    Untyped,
    /// Any value; objects are owned by their members, lists are one value.
    Deduced,
    /// Nothing may be there.
    Unknown,
}

/// What a value of a type may be.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Atom<'s> {
    pub(crate) map: Option<MapType<'s>>,
    pub(crate) scalar: Option<ScalarType>,
    pub(crate) list: Option<ListOf<'s>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct MapType<'s> {
    schema: Option<&'s Schema>,
    keeps_unknown: bool,
    element: ElementType<'s>,
    pub(crate) atomic: bool,
}

/// The type of members that are not declared.
#[derive(Debug, Clone, Copy)]
enum ElementType<'s> {
    Each(&'s Schema),
    Deduced,
    Untyped,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScalarType {
    Numeric,
    Text,
    Flag,
    Any,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ListOf<'s> {
    pub(crate) kind: &'s ListType,
    pub(crate) item: Type<'s>,
}

/// One of the three.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape<'s> {
    Map(MapType<'s>),
    Scalar(ScalarType),
    List(ListOf<'s>),
}

impl<'s> Type<'s> {
    /// The type of whole objects.
    pub(crate) fn of(schema: &'s Schema) -> Self {
        Self::Declared(schema, schema.preserve_unknown)
    }

    /// What a value of the type may be.
    pub(crate) fn atom(self) -> Atom<'s> {
        match self {
            Self::Unknown => Atom::default(),
            Self::Untyped => any(ElementType::Untyped, true),
            Self::Deduced => any(ElementType::Deduced, false),
            Self::Declared(schema, keeps_unknown) => declared(schema, keeps_unknown),
        }
    }

    /// Whether a value that has parts is owned as one.
    pub(crate) fn is_atomic(self) -> bool {
        let Atom { map, list, .. } = self.atom();
        (map.is_some() || list.is_some())
            && map.is_none_or(|map| map.atomic)
            && list.is_none_or(|list| *list.kind == ListType::Atomic)
    }

    /// What a value of the type is; as far as the value does not say it, an object before a scalar before a list.
    pub(crate) fn shape(self, value: Option<&Value>) -> Option<Shape<'s>> {
        self.atom().narrowed(value).first()
    }
}

impl<'s> Atom<'s> {
    /// The part of the type that the value is of.
    pub(crate) fn narrowed(self, value: Option<&Value>) -> Self {
        match value {
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) if self.scalar.is_some() => {
                Self { scalar: self.scalar, ..Self::default() }
            }
            Some(Value::Array(_)) if self.list.is_some() => Self { list: self.list, ..Self::default() },
            Some(Value::Object(_)) if self.map.is_some() => Self { map: self.map, ..Self::default() },
            _ => self,
        }
    }

    pub(crate) fn first(self) -> Option<Shape<'s>> {
        let map = self.map.map(Shape::Map);
        map.or(self.scalar.map(Shape::Scalar)).or(self.list.map(Shape::List))
    }

    /// Whether two parts of one type are the same part.
    pub(crate) fn is_same(self, other: Self) -> bool {
        let parts = |atom: Self| (atom.map.is_some(), atom.scalar.is_some(), atom.list.is_some());
        parts(self) == parts(other)
    }
}

impl<'s> MapType<'s> {
    /// Whether a member is declared, and its type.
    pub(crate) fn member(self, name: &str) -> (bool, Type<'s>) {
        if let Some(property) = self.schema.and_then(|schema| schema.properties.get(name)) {
            return (true, Type::Declared(property, self.keeps_unknown || property.preserve_unknown));
        }
        let element = match self.element {
            ElementType::Each(schema) => {
                Type::Declared(schema, self.keeps_unknown || schema.preserve_unknown)
            }
            ElementType::Deduced => Type::Deduced,
            ElementType::Untyped => Type::Untyped,
            ElementType::None => Type::Unknown,
        };
        (false, element)
    }
}

const ATOMIC: &ListType = &ListType::Atomic;

fn any<'s>(element: ElementType<'s>, atomic: bool) -> Atom<'s> {
    Atom {
        map: Some(MapType { schema: None, keeps_unknown: false, element, atomic }),
        scalar: Some(ScalarType::Any),
        list: Some(ListOf { kind: ATOMIC, item: Type::Untyped }),
    }
}

fn declared(schema: &Schema, keeps_unknown: bool) -> Atom<'_> {
    match schema.json_type {
        None => Atom {
            map: Some(map(schema, keeps_unknown)),
            scalar: Some(ScalarType::Any),
            list: Some(list(schema, keeps_unknown)),
        },
        Some(JsonType::Object) => Atom { map: Some(map(schema, keeps_unknown)), ..Atom::default() },
        Some(JsonType::Array) => Atom { list: Some(list(schema, keeps_unknown)), ..Atom::default() },
        Some(JsonType::Integer | JsonType::Number) => scalar(ScalarType::Numeric),
        Some(JsonType::Boolean) => scalar(ScalarType::Flag),
        Some(JsonType::String) => match schema.format.as_deref() {
            None | Some("byte") => scalar(ScalarType::Text),
            Some(_) => scalar(ScalarType::Any),
        },
    }
}

fn scalar<'s>(scalar: ScalarType) -> Atom<'s> {
    Atom { scalar: Some(scalar), ..Atom::default() }
}

fn map(schema: &Schema, keeps_unknown: bool) -> MapType<'_> {
    let element = match &schema.additional {
        Additional::Each(each) => ElementType::Each(each),
        Additional::Any => ElementType::Deduced,
        Additional::Unsaid if keeps_unknown || schema.properties.is_empty() => ElementType::Deduced,
        Additional::Unsaid | Additional::Forbidden => ElementType::None,
    };
    MapType { schema: Some(schema), keeps_unknown, element, atomic: schema.atomic_map }
}

fn list(schema: &Schema, keeps_unknown: bool) -> ListOf<'_> {
    let item = schema
        .items
        .as_deref()
        .map_or(Type::Untyped, |items| Type::Declared(items, keeps_unknown || items.preserve_unknown));
    ListOf { kind: &schema.list_type, item }
}
