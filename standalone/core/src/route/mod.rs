//! What a request asks for, read from its method, path and query.

mod query;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use fleetmesh_api::urls::escape;

use crate::resource::{Resource, Resources, Verb};
use crate::status::Status;

pub use query::{ListOptions, Parameters};

/// A part of an object that has a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    /// Its status.
    Status,
    /// The number of what it stands for.
    Scale,
    /// The finalizers in the spec of a namespace.
    Finalize,
}

impl Subresource {
    /// As paths have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Finalize => "finalize",
        }
    }
}

/// The path of the objects of a resource, which [`route`] reads: of one namespace, or of all, or of a resource that has none. The
/// namespace is percent-encoded.
pub fn collection_path(group: &str, version: &str, plural: &str, namespace: Option<&str>) -> String {
    let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
    let within = namespace.map_or_else(String::new, |name| format!("/namespaces/{}", escape(name)));
    format!("{root}/{version}{within}/{plural}")
}

/// What a request about objects asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The resource.
    pub resource: Arc<Resource>,
    /// The namespace of the path.
    pub namespace: Option<String>,
    /// The name of the path.
    pub name: Option<String>,
    /// The part of the object.
    pub subresource: Option<Subresource>,
    /// What is to be done.
    pub verb: Verb,
}

/// The objects that a path names.
struct Place<'a> {
    resource: &'a Arc<Resource>,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
    subresource: Option<&'a str>,
}

impl Place<'_> {
    fn is_custom_object(&self) -> bool {
        self.subresource.is_none() && self.resource.definition().is_some()
    }
}

/// What the request asks for, whose path has been decoded and begins with `/api/` or `/apis/`.
///
/// # Errors
/// 404 when nothing is at the path, 405 when the method does not go with it.
pub fn route(
    resources: &Resources,
    method: &str,
    path: &str,
    parameters: &Parameters,
) -> Result<Route, Status> {
    let place = place(resources, path).ok_or_else(|| nothing_at(resources, path))?;
    let subresource = place.subresource.map(|name| subresource(&place, name)).transpose()?;
    let is_custom = place.resource.definition().is_some();
    if is_custom && method == "PUT" && place.name.is_none() {
        return Err(Status::bad_request("name must be provided"));
    }
    let verb = verb(method, &place, parameters).ok_or_else(Status::method_not_allowed)?;
    let is_allowed = match subresource {
        None => place.resource.has(verb),
        Some(Subresource::Finalize) => verb == Verb::Update,
        Some(_) => matches!(verb, Verb::Get | Verb::Update | Verb::Patch),
    };
    // A collection over all namespaces is only read.
    let everywhere = place.resource.namespaced && place.namespace.is_none();
    let reads = matches!(verb, Verb::List | Verb::Watch);
    if !is_allowed || (everywhere && !reads) {
        return Err(Status::method_not_allowed());
    }
    Ok(Route {
        resource: Arc::clone(place.resource),
        namespace: place.namespace.map(str::to_owned),
        name: place.name.map(str::to_owned),
        subresource,
        verb,
    })
}

/// What is answered where nothing is: below the groups of Kubernetes itself a `Status`, elsewhere a page.
fn nothing_at(resources: &Resources, path: &str) -> Status {
    let is_own = |group: &str| resources.iter().any(|one| one.group == group && one.definition().is_none());
    let is_built_in = match path.split('/').collect::<Vec<_>>().as_slice() {
        ["", "api", _] => true,
        ["", "api", version, _, ..] => resources.has_version("", version),
        ["", "apis", group, version, ..] => !version.is_empty() && is_own(group),
        _ => false,
    };
    if is_built_in { Status::no_such_path() } else { Status::page_not_found() }
}

fn place<'a>(resources: &'a Resources, path: &'a str) -> Option<Place<'a>> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    if rest.iter().any(|segment| segment.is_empty()) {
        return None;
    }
    let find = |plural: &str| resources.get(group, version, plural);
    let (namespace, rest) = match rest {
        // The namespaces themselves, and their subresources.
        ["namespaces", _, "status" | "finalize"] | ["namespaces"] | ["namespaces", _] => (None, rest),
        ["namespaces", namespace, rest @ ..] => (Some(*namespace), rest),
        _ => (None, rest),
    };
    let (plural, name, subresource) = match rest {
        [plural] => (*plural, None, None),
        [plural, name] => (*plural, Some(*name), None),
        [plural, name, subresource] => (*plural, Some(*name), Some(*subresource)),
        _ => return None,
    };
    let resource = find(plural)?;
    let fits = resource.namespaced || namespace.is_none();
    // An object in a namespace is not found without it.
    let is_whole = name.is_none() || !resource.namespaced || namespace.is_some();
    (fits && is_whole).then_some(Place { resource, namespace, name, subresource })
}

fn subresource(place: &Place<'_>, name: &str) -> Result<Subresource, Status> {
    let resource = place.resource;
    match name {
        "status" if resource.has_status => Ok(Subresource::Status),
        "scale" if resource.scale.is_some() => Ok(Subresource::Scale),
        "finalize" if resource.kind == "Namespace" => Ok(Subresource::Finalize),
        // Of a custom resource it is as if the object were not there.
        _ if resource.definition().is_some() => {
            let object = place.name.unwrap_or_default();
            Err(Status::not_found(&resource.group, &resource.plural, object))
        }
        _ => Err(Status::no_such_path()),
    }
}

fn verb(method: &str, place: &Place<'_>, parameters: &Parameters) -> Option<Verb> {
    let is_named = place.name.is_some();
    match method {
        "GET" | "HEAD" if place.subresource.is_some() => Some(Verb::Get),
        "GET" if parameters.flag("watch") => Some(Verb::Watch),
        "GET" | "HEAD" if is_named => Some(Verb::Get),
        "GET" | "HEAD" => Some(Verb::List),
        // The name of a custom resource in the path is passed over: that in the body counts.
        "POST" if !is_named || place.is_custom_object() => Some(Verb::Create),
        "PUT" if is_named => Some(Verb::Update),
        "PATCH" if is_named => Some(Verb::Patch),
        "DELETE" if is_named => Some(Verb::Delete),
        "DELETE" => Some(Verb::DeleteCollection),
        _ => None,
    }
}
