//! The objects that a command is about.

use fleetmesh_api::urls::escape;
use fleetmesh_standalone_core::status::quoted;
use serde_json::Value;

use crate::arguments::{MISSING, Named};
use crate::error::Error;
use crate::files::{self, FileOptions};
use crate::resources::Resource;
use crate::session::{JSON, Session, TABLE};

/// How many objects one page of a list has, as kubectl asks for.
const PAGE: &str = "limit=500";

/// One object, or one page of a list.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub resource: Resource,
    /// Empty for what is in none.
    pub namespace: String,
    pub name: String,
    /// As the API or a file has it; nothing while it was not read.
    pub object: Value,
    /// The file that it is from; empty without one.
    pub source: String,
}

impl Target {
    pub fn path(&self) -> String {
        self.resource.path_of(&self.namespace, &self.name)
    }

    /// `meshes/apps`.
    pub fn shown(&self) -> String {
        format!("{}/{}", self.resource.plural, self.name)
    }

    /// What is printed of it with `word`: `mesh.fleetmesh.dev/apps condition met`.
    pub fn done(&self, word: &str) -> String {
        format!("{}/{} {word}\n", self.resource.qualified_kind(), self.name)
    }
}

/// Which objects.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// `TYPE`, `TYPE NAME`, `TYPE/NAME`.
    pub arguments: Vec<String>,
    /// Or files.
    pub files: FileOptions,
    /// A label selector, or nothing.
    pub labels: String,
    /// A field selector, or nothing.
    pub fields: String,
    /// Of all namespaces.
    pub all_namespaces: bool,
    /// All of a type, where a type alone does not mean them.
    pub all: bool,
}

/// Collections to list, or objects by their names.
pub(crate) enum Wanted {
    Collections(Vec<Resource>),
    Objects(Vec<Target>, Vec<Error>),
}

/// What was found, and what could not be.
pub(crate) struct Found {
    pub targets: Vec<Target>,
    pub errors: Vec<Error>,
    /// Whether one object was asked for, and not a list.
    pub is_single: bool,
}

impl Query {
    /// What is asked for. Whether a type alone means all of it is `lists`.
    pub(crate) fn wanted(&self, session: &mut Session<'_>, lists: bool) -> Result<Wanted, Error> {
        let selects = self.all || !self.labels.is_empty() || !self.fields.is_empty();
        if !self.files.is_empty() {
            if !self.arguments.is_empty() {
                return Err(Error::message(
                    "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well",
                ));
            }
            let (targets, errors) = files::objects(session, &self.files, &self.labels)?;
            return Ok(Wanted::Objects(targets, errors));
        }
        match Named::read(&session.resources, &self.arguments)? {
            Named::Nothing if selects => {
                Err(Error::message("at least one resource must be specified to use a selector"))
            }
            Named::Nothing => Err(Error::message(MISSING)),
            Named::Types(types) if selects || lists => Ok(Wanted::Collections(types)),
            Named::Types(_) => Err(Error::message("resource(s) were provided, but no name was specified")),
            Named::Objects(_) if selects => {
                let has_slash = self.arguments.iter().any(|one| one.contains('/'));
                Err(Error::message(match has_slash {
                    true => "selectors and the all flag cannot be used when passing resource/name arguments",
                    false => "name cannot be provided when a selector is specified",
                }))
            }
            Named::Objects(objects) => {
                let targets =
                    objects.into_iter().map(|(resource, name)| self.target(session, resource, name));
                Ok(Wanted::Objects(targets.collect::<Result<_, _>>()?, Vec::new()))
            }
        }
    }

    fn target(&self, session: &Session<'_>, resource: Resource, name: String) -> Result<Target, Error> {
        if resource.is_namespaced && self.all_namespaces {
            return Err(Error::message("a resource cannot be retrieved by name across all namespaces"));
        }
        let namespace = if resource.is_namespaced { session.namespace.clone() } else { String::new() };
        Ok(Target { resource, namespace, name, object: Value::Null, source: String::new() })
    }

    /// The path of a collection with the selectors and `more` parameters, which are encoded.
    pub(crate) fn collection(&self, session: &Session<'_>, resource: &Resource, more: &str) -> String {
        let namespace = (!self.all_namespaces).then_some(session.namespace.as_str());
        let selectors = [("labelSelector", &self.labels), ("fieldSelector", &self.fields)];
        let given = selectors.iter().filter(|(_, text)| !text.is_empty());
        let given: String = given.map(|(name, text)| format!("&{name}={}", escape(text))).collect();
        format!("{}?{more}{given}", resource.path(namespace))
    }

    /// Tables: one for each object that is asked for, or for each page of a list.
    pub(crate) async fn tables(&self, session: &mut Session<'_>) -> Result<Found, Error> {
        let is_single = false;
        match self.wanted(session, true)? {
            Wanted::Objects(targets, mut errors) => {
                let (mut targets, more) = read(session, targets, TABLE).await;
                errors.extend(more);
                targets.retain(|target| !target.object.is_null());
                Ok(Found { targets, errors, is_single })
            }
            Wanted::Collections(resources) => {
                let (mut targets, mut errors) = (Vec::new(), Vec::new());
                for resource in resources {
                    match self.pages(session, &resource, TABLE).await {
                        Ok(pages) => targets.extend(pages.into_iter().map(|object| page(&resource, object))),
                        Err(error) => errors.push(error),
                    }
                }
                Ok(Found { targets, errors, is_single })
            }
        }
    }

    /// The objects as the API has them. Whether a type alone means all of it is `lists`.
    pub(crate) async fn objects(&self, session: &mut Session<'_>, lists: bool) -> Result<Found, Error> {
        match self.wanted(session, lists)? {
            Wanted::Objects(targets, mut errors) => {
                let is_single = targets.len() == 1
                    && errors.is_empty()
                    && (self.files.is_empty() || self.files.is_single());
                let (targets, more) = read(session, targets, JSON).await;
                errors.extend(more);
                Ok(Found { targets, errors, is_single })
            }
            Wanted::Collections(resources) => {
                let (mut targets, mut errors) = (Vec::new(), Vec::new());
                for resource in resources {
                    match self.pages(session, &resource, JSON).await {
                        Ok(pages) => targets.extend(pages.iter().flat_map(|page| items(&resource, page))),
                        Err(error) => errors.push(error),
                    }
                }
                Ok(Found { targets, errors, is_single: false })
            }
        }
    }

    /// All pages of a list.
    async fn pages(
        &self,
        session: &mut Session<'_>,
        resource: &Resource,
        accept: &str,
    ) -> Result<Vec<Value>, Error> {
        let path = self.collection(session, resource, PAGE);
        let mut pages =
            vec![session.read(&path, accept).await.map_err(|error| self.unfound(resource, error))?];
        while let Some(next) = next(pages.last()) {
            pages.push(session.read(&format!("{path}&continue={}", escape(&next)), accept).await?);
        }
        Ok(pages)
    }
}

impl Query {
    /// What the API says of a list that it does not give, with what was asked for, as kubectl has it.
    fn unfound(&self, resource: &Resource, error: Error) -> Error {
        match error {
            Error::Status(status)
                if status.reason() == "BadRequest" && !(self.labels.is_empty() && self.fields.is_empty()) =>
            {
                let (group, version, plural) = (&resource.group, &resource.version, &resource.plural);
                let message = format!(
                    "Unable to find \"{group}/{version}, Resource={plural}\" that match label selector {}, field selector {}: {}",
                    quoted(&self.labels),
                    quoted(&self.fields),
                    status.message()
                );
                status.saying(message).into()
            }
            other => other,
        }
    }
}

fn next(page: Option<&Value>) -> Option<String> {
    let next = page?["metadata"]["continue"].as_str()?;
    (!next.is_empty()).then(|| next.to_owned())
}

/// Reads each object.
async fn read(session: &mut Session<'_>, targets: Vec<Target>, accept: &str) -> (Vec<Target>, Vec<Error>) {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for mut target in targets {
        match session.read(&target.path(), accept).await {
            Ok(object) => {
                target.object = object;
                found.push(target);
            }
            Err(error) => errors.push(error),
        }
    }
    (found, errors)
}

fn page(resource: &Resource, object: Value) -> Target {
    let (namespace, name, source) = Default::default();
    Target { resource: resource.clone(), namespace, name, object, source }
}

/// The objects of a page. Those of Kubernetes' own kinds do not say there which they are.
fn items(resource: &Resource, page: &Value) -> Vec<Target> {
    let items = page["items"].as_array().into_iter().flatten();
    let target = |item: &Value| {
        let mut object = item.clone();
        object["apiVersion"] = resource.api_version().into();
        object["kind"] = resource.kind.as_str().into();
        let text = |member: &str| item["metadata"][member].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        Target { resource: resource.clone(), namespace, name, object, source: String::new() }
    };
    items.map(target).collect()
}
