//! In which form objects are shown: whole, as the rows of a Table, or their metadata alone.

use std::sync::Arc;

use axum::response::Response;
use fleetmesh_standalone_core::accept::{self, Accepted, Format, media_types};
use fleetmesh_standalone_core::event;
use fleetmesh_standalone_core::resource::Resource;
use fleetmesh_standalone_core::status::Status;
use fleetmesh_standalone_core::store::{EventKind, Stored};
use fleetmesh_standalone_core::table::{Columns, IncludeObject, TableOptions, partial, partial_list};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer;
use super::chunk::{self, Chunks};
use super::list::{self, ListFrame};

/// The form that a request asks for.
pub(crate) struct View {
    resource: Arc<Resource>,
    accepted: Accepted,
    shape: Shape,
    /// Whether what is stored is of another form of the same object.
    is_converted: bool,
}

enum Shape {
    Whole,
    /// Rows, in this version of `meta.k8s.io`.
    Table(Box<Columns>, IncludeObject, String),
    /// Metadata, in this version of `meta.k8s.io`.
    Metadata(String),
}

/// What a list says of itself.
pub(crate) struct ListMetadata {
    pub revision: u64,
    pub next: Option<String>,
    pub remaining: Option<u64>,
}

impl ListMetadata {
    fn value(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(next) = &self.next {
            metadata.insert("continue".into(), next.as_str().into());
        }
        if let Some(remaining) = self.remaining {
            metadata.insert("remainingItemCount".into(), remaining.into());
        }
        metadata.insert("resourceVersion".into(), self.revision.to_string().into());
        metadata.into()
    }
}

impl View {
    /// The form that the header `Accept` and the parameter `includeObject` ask for.
    ///
    /// # Errors
    /// 406: there is no such form. 400: the parameter has no meaning.
    pub(crate) fn new(
        resource: &Arc<Resource>,
        header: &str,
        include: &str,
        is_watch: bool,
    ) -> Result<Self, Status> {
        let accepted = accept::for_resource(header, is_watch, resource);
        let accepted = accepted.ok_or_else(|| Status::not_acceptable(media_types(header)))?;
        let shape = match &accepted.transform {
            None => Shape::Whole,
            Some(transform) if transform.kind == "Table" => {
                let columns = Columns::of(resource).map_err(|error| Status::internal_error(&error))?;
                let columns = columns.ok_or_else(|| Status::not_acceptable(media_types(header)))?;
                let include = IncludeObject::parse(include).map_err(Status::bad_request)?;
                Shape::Table(Box::new(columns), include, transform.version.clone())
            }
            Some(transform) => Shape::Metadata(transform.version.clone()),
        };
        let is_converted = resource.group == "events.k8s.io";
        Ok(Self { resource: Arc::clone(resource), accepted, shape, is_converted })
    }

    /// An object, as the resource of the request has it.
    fn converted(&self, object: Value) -> Value {
        if self.is_converted { event::view(&object) } else { object }
    }

    fn is_text(&self) -> bool {
        matches!(self.shape, Shape::Whole) && !self.is_converted
    }

    fn table(&self, metadata: Value, objects: &[&Value], headers: bool) -> Option<Value> {
        let Shape::Table(columns, include, version) = &self.shape else { return None };
        let options = TableOptions { version, include: *include, headers, now: Timestamp::now() };
        Some(columns.table(metadata, objects, options))
    }

    fn shaped(&self, object: Value, headers: bool) -> Value {
        let object = self.converted(object);
        match &self.shape {
            Shape::Whole => object,
            Shape::Metadata(version) => partial(&object, version),
            Shape::Table(..) => {
                let metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
                self.table(metadata, &[&object], headers).unwrap_or_default()
            }
        }
    }

    /// The answer with one object that is stored.
    pub(crate) fn stored(&self, code: u16, object: &Stored) -> Result<Response, Status> {
        match self.accepted.format {
            Format::Json if self.is_text() => Ok(answer::json(code, chunk::shared(&object.text))),
            _ => self.respond(code, &self.shaped(object.value(), true)),
        }
    }

    /// The answer with one object that is not stored so.
    pub(crate) fn object(&self, code: u16, object: Value) -> Result<Response, Status> {
        self.respond(code, &self.shaped(object, true))
    }

    fn respond(&self, code: u16, value: &Value) -> Result<Response, Status> {
        match self.accepted.format {
            Format::Json if self.accepted.pretty => Ok(answer::json(code, format!("{value:#}\n"))),
            Format::Json => Ok(answer::value(code, value)),
            Format::Yaml => {
                let text = serde_saphyr::to_string(value).map_err(|error| Status::internal_error(&error))?;
                let mut response = answer::json(code, text);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
                Ok(response)
            }
        }
    }

    /// The answer with a list. In JSON it is written as it is sent; in YAML, which people ask for, at once.
    pub(crate) fn list(self, metadata: &ListMetadata, objects: Vec<Arc<Stored>>) -> Result<Response, Status> {
        let is_yaml = self.accepted.format == Format::Yaml;
        let values = objects.iter().filter(|_| is_yaml).map(|object| self.converted(object.value()));
        let whole = self.list_value(metadata, &values.collect::<Vec<_>>());
        match ListFrame::of(&whole, self.accepted.pretty) {
            Some(frame) if !is_yaml && !objects.is_empty() => Ok(list::answer(self, frame, objects)),
            _ => self.respond(200, &whole),
        }
    }

    fn list_value(&self, metadata: &ListMetadata, objects: &[Value]) -> Value {
        let references: Vec<&Value> = objects.iter().collect();
        match &self.shape {
            Shape::Whole => json!({
                "apiVersion": self.resource.api_version(),
                "kind": self.resource.list_kind(),
                "metadata": self.whole_list(metadata),
                "items": objects.iter().cloned().map(|object| self.listed(object)).collect::<Vec<_>>(),
            }),
            Shape::Metadata(version) => partial_list(metadata.value(), &references, version),
            Shape::Table(..) => self.table(metadata.value(), &references, true).unwrap_or_default(),
        }
    }

    /// Writes an object of a list.
    pub(crate) fn item(&self, object: &Stored, frame: &ListFrame, chunks: &mut Chunks) {
        if self.is_text() && self.resource.definition().is_some() && !frame.is_pretty {
            return chunks.push_shared(&object.text);
        }
        let object = self.converted(object.value());
        let item = match &self.shape {
            Shape::Whole => self.listed(object),
            Shape::Metadata(version) => partial(&object, version),
            Shape::Table(columns, include, version) => {
                let options = TableOptions { version, include: *include, headers: false, now: frame.now };
                columns.row(&object, options)
            }
        };
        chunks.push(&frame.item(&item));
    }

    /// The metadata of a list of whole objects: one of custom resources says so when nothing comes after it.
    fn whole_list(&self, metadata: &ListMetadata) -> Value {
        let mut value = metadata.value();
        if self.resource.definition().is_some() && metadata.next.is_none() {
            value["continue"] = "".into();
        }
        value
    }

    /// An object as an item of a list: one of Kubernetes' own kinds does not repeat which it is.
    fn listed(&self, mut object: Value) -> Value {
        if self.resource.definition().is_none()
            && let Some(members) = object.as_object_mut()
        {
            members.remove("apiVersion");
            members.remove("kind");
        }
        object
    }

    /// Writes a line of a watch about an object. Only the first of a Table describes the columns.
    pub(crate) fn event(&self, kind: EventKind, object: &Stored, headers: bool, chunks: &mut Chunks) {
        chunks.push(&format!("{{\"type\":\"{}\",\"object\":", kind.name()));
        match self.is_text() {
            true => chunks.push_shared(&object.text),
            false => chunks.push(&self.shaped(object.value(), headers).to_string()),
        }
        chunks.push("}\n");
    }

    /// A bookmark of a watch.
    pub(crate) fn bookmark(&self, revision: u64, ends_initial: bool) -> String {
        let mut metadata = json!({ "resourceVersion": revision.to_string() });
        if ends_initial {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = json!({
            "kind": self.resource.kind,
            "apiVersion": self.resource.api_version(),
            "metadata": metadata,
        });
        let object = if matches!(self.shape, Shape::Whole) { object } else { self.shaped(object, false) };
        event_line("BOOKMARK", &object.to_string())
    }
}

/// One line of a watch.
pub(crate) fn event_line(kind: &str, object: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}
