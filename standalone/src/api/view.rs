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

    /// One object, of which the stored text may do.
    pub(crate) fn text(&self, object: &Stored, headers: bool) -> String {
        if self.is_text() {
            return object.text.to_string();
        }
        self.shaped(object.value(), headers).to_string()
    }

    /// The answer with one object that is stored.
    pub(crate) fn stored(&self, code: u16, object: &Stored) -> Result<Response, Status> {
        match self.accepted.format {
            Format::Json if self.is_text() => Ok(answer::json(code, object.text.to_string())),
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

    /// The answer with a list.
    pub(crate) fn list(&self, metadata: &ListMetadata, objects: &[Arc<Stored>]) -> Result<Response, Status> {
        if self.is_text() && self.accepted.format == Format::Json {
            return Ok(answer::json(200, self.list_text(metadata, objects)));
        }
        let objects: Vec<Value> = objects.iter().map(|object| self.converted(object.value())).collect();
        let references: Vec<&Value> = objects.iter().collect();
        let list = match &self.shape {
            Shape::Whole => json!({
                "apiVersion": self.resource.api_version(),
                "kind": self.resource.list_kind(),
                "metadata": self.whole_list(metadata),
                "items": self.items(&objects),
            }),
            Shape::Metadata(version) => partial_list(metadata.value(), &references, version),
            Shape::Table(..) => self.table(metadata.value(), &references, true).unwrap_or_default(),
        };
        self.respond(200, &list)
    }

    /// The metadata of a list of whole objects: one of custom resources says so when nothing comes after it.
    fn whole_list(&self, metadata: &ListMetadata) -> Value {
        let mut value = metadata.value();
        if self.resource.definition().is_some() && metadata.next.is_none() {
            value["continue"] = "".into();
        }
        value
    }

    /// The items of a list: those of Kubernetes' own kinds do not repeat which they are.
    fn items(&self, objects: &[Value]) -> Vec<Value> {
        let mut objects = objects.to_vec();
        if self.resource.definition().is_none() {
            for object in objects.iter_mut().filter_map(Value::as_object_mut) {
                object.remove("apiVersion");
                object.remove("kind");
            }
        }
        objects
    }

    fn list_text(&self, metadata: &ListMetadata, objects: &[Arc<Stored>]) -> String {
        let (version, kind) = (json!(self.resource.api_version()), json!(self.resource.list_kind()));
        let metadata = self.whole_list(metadata);
        let mut list =
            format!("{{\"apiVersion\":{version},\"kind\":{kind},\"metadata\":{metadata},\"items\":[");
        for (at, object) in objects.iter().enumerate() {
            if at > 0 {
                list.push(',');
            }
            if self.resource.definition().is_some() {
                list.push_str(&object.text);
            } else {
                self.items(&[object.value()]).iter().for_each(|item| list.push_str(&item.to_string()));
            }
        }
        list.push_str("]}");
        list
    }

    /// A line of a watch about an object. Only the first of a Table describes the columns.
    pub(crate) fn event(&self, kind: EventKind, object: &Stored, headers: bool) -> String {
        event_line(kind.name(), &self.text(object, headers))
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
