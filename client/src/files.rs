//! The files that `-f` names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::Error;
use crate::fetch::Target;
use crate::manifest;
use crate::session::Session;
use fleetmesh_standalone_core::selector::LabelSelector;
use fleetmesh_standalone_core::status::quoted;

/// Which files.
#[derive(Clone, Debug, Default)]
pub struct FileOptions {
    /// Files, folders, or `-` for the input.
    pub paths: Vec<PathBuf>,
    /// Whether folders in folders are read, too.
    pub recursive: bool,
}

impl FileOptions {
    /// Whether no file is named.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether they are one file, which may have one object.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self.paths.as_slice(), [path] if path.as_os_str() != "-" && !path.is_dir())
    }
}

/// The objects in the files that match `labels`, each with where it belongs; and what is wrong with the others.
///
/// # Errors
/// A path does not exist, or `labels` is no selector.
pub(crate) fn objects(
    session: &mut Session<'_>,
    files: &FileOptions,
    labels: &str,
) -> Result<(Vec<Target>, Vec<Error>), Error> {
    let selector = LabelSelector::parse(labels).map_err(|error| Error::message(error.to_string()))?;
    let (mut targets, mut errors) = (Vec::new(), Vec::new());
    for (source, text) in texts(session, files)? {
        let objects = text.and_then(|text| {
            manifest::objects(&text).map_err(|why| Error::message(format!("error parsing {source}: {why}")))
        });
        match objects {
            Err(error) => errors.push(error),
            Ok(objects) => {
                let meant =
                    objects.into_iter().filter(|object| selector.matches(&object["metadata"]["labels"]));
                for object in meant {
                    match placed(session, object, &source) {
                        Ok(target) => targets.push(target),
                        Err(error) => errors.push(error),
                    }
                }
            }
        }
    }
    Ok((targets, errors))
}

type Text = (String, Result<String, Error>);

/// The files' texts with their names.
fn texts(session: &mut Session<'_>, files: &FileOptions) -> Result<Vec<Text>, Error> {
    let mut texts = Vec::new();
    for path in &files.paths {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            let read = session.streams.input.read_to_string(&mut text);
            texts.push((
                "STDIN".to_owned(),
                read.map(|_| text).map_err(|error| unreadable(Path::new("-"), &error)),
            ));
            continue;
        }
        let mut found = Vec::new();
        if path.is_dir() {
            walk(path, files.recursive, &mut found)?;
        } else if path.exists() {
            found.push(path.clone());
        } else {
            let path = quoted(&path.to_string_lossy());
            return Err(Error::message(format!("the path {path} does not exist")));
        }
        texts.extend(found.into_iter().map(|file| {
            let text = fs::read_to_string(&file).map_err(|error| unreadable(&file, &error));
            (file.display().to_string(), text)
        }));
    }
    Ok(texts)
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::message(format!("cannot read {}: {error}", path.display()))
}

/// The manifests in a folder, in the order of their names.
fn walk(folder: &Path, recursive: bool, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut paths: Vec<PathBuf> =
        entries.map_err(|error| unreadable(folder, &error))?.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        let is_manifest =
            path.extension().is_some_and(|one| ["json", "yaml", "yml"].iter().any(|known| one == *known));
        // A link to a folder could lead back to where it is.
        if path.is_dir() && !path.is_symlink() {
            if recursive {
                walk(&path, recursive, found)?;
            }
        } else if is_manifest {
            found.push(path);
        }
    }
    Ok(())
}

/// Where an object belongs.
fn placed(session: &Session<'_>, mut object: Value, source: &str) -> Result<Target, Error> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let (name, namespace) = (text(&object["metadata"]["name"]), text(&object["metadata"]["namespace"]));
    if kind.is_empty() {
        let shown = fleetmesh_standalone_core::go::json(&object);
        return Err(Error::message(format!(
            "unable to decode {}: Object 'Kind' is missing in '{shown}'",
            quoted(source)
        )));
    }
    let Some(resource) = session.resources.of_kind(&api_version, &kind).cloned() else {
        return Err(Error::message(format!(
            "resource mapping not found for name: {} namespace: {} from {}: no matches for kind {} in version {}\n\
             ensure CRDs are installed first",
            quoted(&name),
            quoted(&namespace),
            quoted(source),
            quoted(&kind),
            quoted(&api_version)
        )));
    };
    let mut target = Target { resource, namespace, name, object: Value::Null, source: source.to_owned() };
    if target.resource.is_namespaced {
        if target.namespace.is_empty() {
            target.namespace.clone_from(&session.namespace);
            object["metadata"]["namespace"] = target.namespace.as_str().into();
        } else if session.is_explicit && target.namespace != session.namespace {
            return Err(Error::message(format!(
                "the namespace from the provided object {} does not match the namespace {}. \
                 You must pass '--namespace={}' to perform this operation.",
                quoted(&target.namespace),
                quoted(&session.namespace),
                target.namespace
            )));
        }
    } else {
        target.namespace.clear();
    }
    target.object = object;
    Ok(target)
}
