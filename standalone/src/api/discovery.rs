//! What is served, for clients that ask: `/api`, `/apis` and below, as single documents or aggregated. Written once.

use std::collections::BTreeMap;

use axum::response::Response;
use fleetmesh_standalone_core::accept::MEDIA_TYPES;
use fleetmesh_standalone_core::discovery::{
    AGGREGATED, Root, accept, aggregated, core_versions, etag, group, groups, resource_list,
};
use fleetmesh_standalone_core::resource::Resources;
use fleetmesh_standalone_core::status::Status;
use http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};

use super::answer;

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
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let accepted = accept(header(ACCEPT)).ok_or_else(|| Status::not_acceptable(&MEDIA_TYPES))?;
        let whole = self.aggregated.get(path).filter(|_| accepted.transform.is_some());
        let Some((text, tag)) = whole else { return Ok(Some(answer::json(200, plain.clone()))) };
        let is_known = header(IF_NONE_MATCH) == tag;
        let mut response = answer::json(200, if is_known { String::new() } else { text.clone() });
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(AGGREGATED));
        headers.insert(VARY, HeaderValue::from_static("Accept"));
        if let Ok(tag) = HeaderValue::from_str(tag) {
            headers.insert(ETAG, tag);
        }
        Ok(Some(response))
    }
}
