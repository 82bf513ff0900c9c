//! The kinds of Kubernetes itself that are served: those that kubectl, Helm and controllers need beside a custom resource.

use super::{Origin, Resource, Verb};

/// One row.
struct Row {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    namespaced: bool,
    verbs: &'static [Verb],
    has_status: bool,
    store: &'static str,
}

/// What may be asked of most resources.
pub(super) const ALL: &[Verb] = &[
    Verb::Create,
    Verb::Delete,
    Verb::DeleteCollection,
    Verb::Get,
    Verb::List,
    Verb::Patch,
    Verb::Update,
    Verb::Watch,
];

/// No request deletes all namespaces.
const ONE_BY_ONE: &[Verb] =
    &[Verb::Create, Verb::Delete, Verb::Get, Verb::List, Verb::Patch, Verb::Update, Verb::Watch];

const REVIEW: &[Verb] = &[Verb::Create];

/// Of a resource with nothing that most have not.
const PLAIN: Row = Row {
    group: "",
    kind: "",
    plural: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL,
    has_status: false,
    store: "",
};

const ROWS: [Row; 11] = [
    Row { kind: "ConfigMap", plural: "configmaps", short_names: &["cm"], store: "configmaps", ..PLAIN },
    Row { kind: "Event", plural: "events", short_names: &["ev"], store: "events", ..PLAIN },
    Row {
        kind: "Namespace",
        plural: "namespaces",
        short_names: &["ns"],
        namespaced: false,
        verbs: ONE_BY_ONE,
        has_status: true,
        store: "namespaces",
        ..PLAIN
    },
    Row { kind: "Secret", plural: "secrets", store: "secrets", ..PLAIN },
    Row {
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        short_names: &["sa"],
        store: "serviceaccounts",
        ..PLAIN
    },
    Row {
        group: "apiextensions.k8s.io",
        kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions",
        short_names: &["crd", "crds"],
        categories: &["api-extensions"],
        namespaced: false,
        has_status: true,
        store: "customresourcedefinitions.apiextensions.k8s.io",
        ..PLAIN
    },
    Row {
        group: "authentication.k8s.io",
        kind: "SelfSubjectReview",
        plural: "selfsubjectreviews",
        namespaced: false,
        verbs: REVIEW,
        ..PLAIN
    },
    Row {
        group: "authorization.k8s.io",
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        namespaced: false,
        verbs: REVIEW,
        ..PLAIN
    },
    Row {
        group: "authorization.k8s.io",
        kind: "SelfSubjectRulesReview",
        plural: "selfsubjectrulesreviews",
        namespaced: false,
        verbs: REVIEW,
        ..PLAIN
    },
    Row {
        group: "coordination.k8s.io",
        kind: "Lease",
        plural: "leases",
        store: "leases.coordination.k8s.io",
        ..PLAIN
    },
    // Another view of the same objects as core's.
    Row {
        group: "events.k8s.io",
        kind: "Event",
        plural: "events",
        short_names: &["ev"],
        store: "events",
        ..PLAIN
    },
];

/// The resources of the rows.
pub(super) fn resources() -> Vec<Resource> {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let resource = |row: &Row| Resource {
        group: row.group.to_owned(),
        version: "v1".to_owned(),
        kind: row.kind.to_owned(),
        plural: row.plural.to_owned(),
        singular: row.kind.to_lowercase(),
        short_names: owned(row.short_names),
        categories: owned(row.categories),
        namespaced: row.namespaced,
        verbs: row.verbs.to_vec(),
        has_status: row.has_status,
        scale: None,
        origin: Origin::BuiltIn,
        store: row.store.to_owned(),
    };
    ROWS.iter().map(resource).collect()
}
