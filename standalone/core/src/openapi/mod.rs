//! The OpenAPI documents of what is served: kubectl reads in them whether the server validates fields, and `kubectl explain` the
//! members of kinds.
//!
//! Version 3 has an index and a document for each version of a group, at an address with a hash of its content, so that a client
//! keeps it until it changes. Version 2 is one document, in JSON and in protobuf.

mod gnostic;
mod names;
mod operation;
mod parameters;
mod schemas;
mod swagger;
mod v2;
mod v3;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::discovery;
use crate::resource::{Resource, Resources};
pub use gnostic::{ACCEPTED as PROTOBUF_ACCEPTED, MEDIA_TYPE as PROTOBUF};

/// A document as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its bytes, which all who are sent it share.
    pub body: Bytes,
    /// The hash of its content, in upper-case hexadecimal: in the address of a document of version 3, and in quotes its `ETag`.
    pub hash: String,
}

/// The documents of version 3. Making them takes some milliseconds and is the same for the same resources, so make them once.
#[derive(Debug, Clone)]
pub struct OpenApiV3 {
    index: Document,
    groups: BTreeMap<String, Document>,
}

/// The document of version 2, in both its forms: for older clients and Argo CD, so make it when it is asked for.
#[derive(Debug, Clone)]
pub struct OpenApiV2 {
    /// In JSON.
    pub json: Document,
    /// In protobuf ([`PROTOBUF`]).
    pub protobuf: Document,
}

impl Document {
    fn new(document: &Value) -> Self {
        let body = document.to_string().into_bytes();
        let hash = discovery::hash(&body);
        Self { body: body.into(), hash }
    }

    /// The `ETag`, in its quotes.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.hash)
    }
}

impl OpenApiV2 {
    /// The document of `resources`; `version` is that of Kubernetes whose kinds they are, such as `1.36`.
    pub fn new(resources: &Resources, version: &str) -> Self {
        let all: Vec<&Resource> = resources.iter().map(AsRef::as_ref).collect();
        let swagger = v2::document(&all, version);
        let json = Document::new(&swagger);
        // The tag is that of the content, however it is written: `Vary: Accept` keeps the two apart.
        let protobuf = Document { body: gnostic::encode(&swagger).into(), hash: json.hash.clone() };
        Self { json, protobuf }
    }
}

impl OpenApiV3 {
    /// The documents of `resources`; `version` is that of Kubernetes whose kinds they are, such as `1.36`.
    pub fn new(resources: &Resources, version: &str) -> Self {
        let mut versions: BTreeMap<String, Vec<&Resource>> = BTreeMap::new();
        for resource in resources.iter() {
            versions.entry(names::group_path(&resource.group, &resource.version)).or_default().push(resource);
        }
        let built_in: Vec<&Resource> =
            resources.iter().map(AsRef::as_ref).filter(|one| one.definition().is_none()).collect();
        let known = self::versions(&built_in);
        let groups: BTreeMap<String, Document> = versions
            .into_iter()
            .map(|(path, resources)| (path, Document::new(&v3::document(&resources, &known, version))))
            .collect();
        let addresses: Map<String, Value> = groups
            .iter()
            .map(|(path, document)| (path.clone(), json!({ "serverRelativeURL": address(path, document) })))
            .collect();
        Self { index: Document::new(&json!({ "paths": addresses })), groups }
    }

    /// `/openapi/v3`.
    pub fn index(&self) -> &Document {
        &self.index
    }

    /// `/openapi/v3/PATH`, such as `api/v1` or `apis/GROUP/VERSION`.
    pub fn group(&self, path: &str) -> Option<&Document> {
        self.groups.get(path)
    }

    /// The address of the document of `path` with the hash of its content.
    pub fn address(&self, path: &str) -> Option<String> {
        self.groups.get(path).map(|document| address(path, document))
    }
}

/// The groups of `resources` with their versions, and core's: the options of a request are a type of each.
fn versions(resources: &[&Resource]) -> BTreeSet<(String, String)> {
    let core = (String::new(), "v1".to_owned());
    let all = resources.iter().filter(|resource| resource.definition().is_none());
    std::iter::once(core).chain(all.map(|one| (one.group.clone(), one.version.clone()))).collect()
}

fn address(path: &str, document: &Document) -> String {
    format!("/openapi/v3/{path}?hash={}", document.hash)
}

#[cfg(test)]
mod tests;
