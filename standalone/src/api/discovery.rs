//! What is served, for clients that ask: `/api`, `/apis` and below, as single documents or aggregated. Written once.

use std::collections::BTreeMap;

use axum::response::Response;
use fleetmesh_standalone_core::accept::media_types;
use fleetmesh_standalone_core::discovery::{
    AGGREGATED, Root, accept, aggregated, core_versions, etag, group, groups, resource_list,
};
use fleetmesh_standalone_core::resource::Resources;
use fleetmesh_standalone_core::status::Status;
use http::Method;
use http::header::ACCEPT;
use http::request::Parts;

use super::{answer, header};

/// The documents by their paths.
pub(super) struct Discovery {
    plain: BTreeMap<String, String>,
    /// Those of `/api` and `/apis` that have everything, each with its tag.
    aggregated: BTreeMap<&'static str, (String, String)>,
}

impl Discovery {
    /// What is served at `address`.
    pub(super) fn new(resources: &Resources, address: &str) -> Self {
        let mut plain = BTreeMap::new();
        plain.insert("/api".to_owned(), core_versions(address).to_string());
        plain.insert("/apis".to_owned(), groups(resources).to_string());
        for resource in resources.iter() {
            let (name, version) = (&resource.group, &resource.version);
            let path = if name.is_empty() { "/api".to_owned() } else { format!("/apis/{name}") };
            if let Some(list) = resource_list(resources, name, version) {
                plain.insert(format!("{path}/{version}"), list.to_string());
            }
            if let Some(group) = group(resources, name).filter(|_| !name.is_empty()) {
                plain.insert(path, group.to_string());
            }
        }
        let tagged = |root| {
            let text = aggregated(resources, root).to_string();
            let tag = etag(text.as_bytes());
            (text, tag)
        };
        let aggregated = BTreeMap::from([("/api", tagged(Root::Api)), ("/apis", tagged(Root::Apis))]);
        Self { plain, aggregated }
    }

    /// The document at `path`, if there is one.
    ///
    /// # Errors
    /// 406: no document has the form that is asked for.
    pub(super) fn answer(&self, head: &Parts, path: &str) -> Result<Option<Response>, Status> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let Some(plain) = self.plain.get(path) else { return Ok(None) };
        if head.method != Method::GET {
            return Err(Status::method_not_allowed());
        }
        let accepted = accept(header(head, ACCEPT));
        let accepted = accepted.ok_or_else(|| Status::not_acceptable(media_types(header(head, ACCEPT))))?;
        let whole = self.aggregated.get(path).filter(|_| accepted.transform.is_some());
        Ok(Some(match whole {
            None => answer::json(200, plain.clone()),
            Some((text, tag)) => answer::tagged(head, AGGREGATED, text.clone(), tag),
        }))
    }
}
