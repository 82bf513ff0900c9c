//! What can be asked of resources, as OpenAPI describes it: paths, methods, parameters, bodies and answers, in neither version of
//! OpenAPI. The API server describes custom resources in other words than its own kinds, and both ways are kept.

use crate::resource::{Resource, Verb};

use super::names;

/// What is asked of a resource or of one of its subresources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    List,
    Create,
    DeleteCollection,
    Read,
    Replace,
    Delete,
    Patch,
}

/// One operation: a method at a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation<'a> {
    pub(super) resource: &'a Resource,
    pub(super) action: Action,
    /// `status`, `scale`, or empty.
    pub(super) subresource: &'static str,
    /// Whether a list is of all namespaces.
    everywhere: bool,
}

/// The operations of `resource`.
pub(super) fn operations(resource: &Resource) -> Vec<Operation<'_>> {
    let operation = |action, subresource, everywhere| Operation { resource, action, subresource, everywhere };
    let of_resource = [
        (Verb::List, Action::List),
        (Verb::Create, Action::Create),
        (Verb::DeleteCollection, Action::DeleteCollection),
        (Verb::Get, Action::Read),
        (Verb::Update, Action::Replace),
        (Verb::Delete, Action::Delete),
        (Verb::Patch, Action::Patch),
    ];
    let everywhere =
        (resource.namespaced && resource.has(Verb::List)).then(|| operation(Action::List, "", true));
    let own = of_resource.into_iter().filter(|(verb, _)| resource.has(*verb));
    let subresources = [("status", resource.has_status), ("scale", resource.scale.is_some())];
    let below = subresources.into_iter().filter(|(_, there)| *there).flat_map(|(name, _)| {
        [Action::Read, Action::Replace, Action::Patch].map(|action| operation(action, name, false))
    });
    everywhere.into_iter().chain(own.map(|(_, action)| operation(action, "", false))).chain(below).collect()
}

/// What a list is asked with.
const LIST: [&str; 11] = [
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "shardSelector",
    "timeoutSeconds",
    "watch",
];

const DELETE: [&str; 5] = [
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
];

const WRITE: [&str; 3] = ["dryRun", "fieldManager", "fieldValidation"];

const JSON_YAML: [&str; 2] = ["application/json", "application/yaml"];

impl Operation<'_> {
    pub(super) fn is_custom(&self) -> bool {
        self.resource.definition().is_some()
    }

    /// The method as a member of a path.
    pub(super) fn method(&self) -> &'static str {
        match self.action {
            Action::List | Action::Read => "get",
            Action::Create => "post",
            Action::DeleteCollection | Action::Delete => "delete",
            Action::Replace => "put",
            Action::Patch => "patch",
        }
    }

    /// The verb of a request (`x-kubernetes-action`).
    pub(super) fn verb(&self) -> &'static str {
        match self.action {
            Action::List => "list",
            Action::Read => "get",
            Action::Create => "post",
            Action::DeleteCollection => "deletecollection",
            Action::Delete => "delete",
            Action::Replace => "put",
            Action::Patch => "patch",
        }
    }

    /// The word for it in names and descriptions.
    fn word(&self) -> &'static str {
        match self.action {
            Action::List => "list",
            Action::Read => "read",
            Action::Create => "create",
            Action::DeleteCollection => "deletecollection",
            Action::Delete => "delete",
            Action::Replace => "replace",
            Action::Patch => "patch",
        }
    }

    fn is_in_namespace(&self) -> bool {
        self.resource.namespaced && !self.everywhere
    }

    fn is_of_one(&self) -> bool {
        !matches!(self.action, Action::List | Action::Create | Action::DeleteCollection)
    }

    /// The path, with `{namespace}` and `{name}` for its parameters.
    pub(super) fn path(&self) -> String {
        let mut path = format!("/{}", names::group_path(&self.resource.group, &self.resource.version));
        if self.is_in_namespace() {
            path.push_str("/namespaces/{namespace}");
        }
        path.push('/');
        path.push_str(&self.resource.plural);
        if self.is_of_one() {
            path.push_str("/{name}");
        }
        if !self.subresource.is_empty() {
            path.push('/');
            path.push_str(self.subresource);
        }
        path
    }

    /// The parameters in the path with what they are.
    pub(super) fn path_parameters(&self) -> Vec<(&'static str, String)> {
        let kind = &self.resource.kind;
        let namespace = || "object name and auth scope, such as for teams and projects".to_owned();
        let namespace = self.is_in_namespace().then(|| ("namespace", namespace()));
        let name = self.is_of_one().then(|| ("name", format!("name of the {kind}")));
        namespace.into_iter().chain(name).collect()
    }

    /// The names of the query parameters, as [`super::parameters`] knows them.
    pub(super) fn query_parameters(&self) -> Vec<&'static str> {
        let mut names = vec!["pretty"];
        match self.action {
            Action::List => names.extend(LIST),
            Action::DeleteCollection if self.is_custom() => names.extend(LIST),
            Action::DeleteCollection => {
                let listed =
                    LIST.into_iter().filter(|name| !matches!(*name, "allowWatchBookmarks" | "watch"));
                names.extend(listed.chain(DELETE));
            }
            Action::Read if self.is_custom() => names.push("resourceVersion"),
            Action::Read => {}
            Action::Create | Action::Replace => names.extend(WRITE),
            Action::Delete => names.extend(DELETE),
            Action::Patch => names.extend(["dryRun", "fieldManagerOfPatch", "fieldValidation", "force"]),
        }
        names
    }

    /// The unique name of the operation.
    pub(super) fn id(&self) -> String {
        let (verb, rest) = match self.action {
            Action::DeleteCollection => ("delete", "Collection"),
            _ => (self.word(), ""),
        };
        let namespaced = if self.is_in_namespace() { "Namespaced" } else { "" };
        let group = names::camel(names::short_group(&self.resource.group), true);
        let version = names::camel(&self.resource.version, true);
        let everywhere = if self.everywhere { "ForAllNamespaces" } else { "" };
        let subresource = names::camel(self.subresource, true);
        format!("{verb}{group}{version}{rest}{namespaced}{}{subresource}{everywhere}", self.resource.kind)
    }

    pub(super) fn tag(&self) -> String {
        let group = names::camel(names::short_group(&self.resource.group), false);
        format!("{group}_{}", names::camel(&self.resource.version, false))
    }

    pub(super) fn description(&self) -> String {
        let kind = &self.resource.kind;
        let of =
            if self.subresource.is_empty() { String::new() } else { format!("{} of ", self.subresource) };
        match self.action {
            Action::List if self.is_custom() => format!("list objects of kind {kind}"),
            Action::List => format!("list or watch objects of kind {kind}"),
            Action::DeleteCollection => format!("delete collection of {kind}"),
            Action::Create | Action::Delete => {
                format!("{} {}{kind}", self.word(), names::article(kind))
            }
            Action::Patch => format!("partially update {of}the specified {kind}"),
            Action::Read | Action::Replace => format!("{} {of}the specified {kind}", self.word()),
        }
    }

    /// The name of the schema of the body, and whether there has to be one.
    pub(super) fn body(&self) -> Option<(String, bool)> {
        match self.action {
            Action::List | Action::Read => None,
            Action::DeleteCollection if self.is_custom() => None,
            Action::DeleteCollection | Action::Delete => Some((names::meta("DeleteOptions"), false)),
            Action::Create | Action::Replace => Some((self.model(), true)),
            Action::Patch => Some((names::meta("Patch"), true)),
        }
    }

    /// The media types of the body.
    pub(super) fn consumes(&self) -> Vec<&'static str> {
        match self.action {
            Action::Patch if self.is_custom() => {
                vec![
                    "application/json-patch+json",
                    "application/merge-patch+json",
                    "application/apply-patch+yaml",
                ]
            }
            Action::Patch => vec![
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/strategic-merge-patch+json",
                "application/apply-patch+yaml",
            ],
            _ if self.is_custom() => JSON_YAML.to_vec(),
            _ => vec!["*/*"],
        }
    }

    /// The media types of the answer, of which protobuf and CBOR are not served here.
    pub(super) fn produces(&self) -> Vec<&'static str> {
        match self.action {
            Action::List if !self.is_custom() => {
                vec!["application/json", "application/yaml", "application/json;stream=watch"]
            }
            _ => JSON_YAML.to_vec(),
        }
    }

    /// The codes of the answers with their names and the schemas of their bodies.
    pub(super) fn responses(&self) -> Vec<(u16, &'static str, String)> {
        let ok = |model| (200, "OK", model);
        let (created, accepted) = ((201, "Created"), (202, "Accepted"));
        match self.action {
            Action::List => vec![ok(self.list_model())],
            Action::DeleteCollection => vec![ok(names::meta("Status"))],
            Action::Create => vec![
                ok(self.model()),
                (created.0, created.1, self.model()),
                (accepted.0, accepted.1, self.model()),
            ],
            Action::Replace => vec![ok(self.model()), (created.0, created.1, self.model())],
            Action::Patch if self.is_custom() => vec![ok(self.model())],
            Action::Patch => vec![ok(self.model()), (created.0, created.1, self.model())],
            Action::Delete => vec![ok(self.deleted_model()), (accepted.0, accepted.1, self.deleted_model())],
            Action::Read => vec![ok(self.model())],
        }
    }

    /// The group, version and kind that it is about.
    pub(super) fn about(&self) -> (&str, &str, &str) {
        (&self.resource.group, &self.resource.version, &self.resource.kind)
    }

    fn model(&self) -> String {
        if self.subresource == "scale" { names::SCALE.to_owned() } else { names::model(self.resource) }
    }

    fn list_model(&self) -> String {
        names::list_model(self.resource)
    }

    /// What a deletion answers with: the object for the kinds that are taken away at once, for others a Status.
    fn deleted_model(&self) -> String {
        match (self.resource.group.as_str(), self.resource.kind.as_str()) {
            ("", "ServiceAccount") => self.model(),
            _ => names::meta("Status"),
        }
    }
}
