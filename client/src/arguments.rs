//! What people name objects by: `TYPE`, `TYPE NAME…`, `TYPE/NAME…`, `TYPE,TYPE`. Pure.

use fleetmesh_standalone_core::status::quoted;

use crate::error::Error;
use crate::resources::{Resource, Resources};

/// What arguments name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// Nothing.
    Nothing,
    /// All objects of resources.
    Types(Vec<Resource>),
    /// Objects by their names.
    Objects(Vec<(Resource, String)>),
}

/// What is missing when neither arguments nor files name anything.
pub const MISSING: &str = "You must provide one or more resources by argument or filename.
Example resource specifications include:
   '-f rsrc.yaml'
   '--filename=rsrc.json'
   '<resource> <name>'
   '<resource>'";

impl Named {
    /// What `arguments` name among `resources`.
    ///
    /// # Errors
    /// They name nothing that is served, or mix both forms.
    pub fn read(resources: &Resources, arguments: &[String]) -> Result<Self, Error> {
        let with_slash = arguments.iter().filter(|one| one.contains('/')).count();
        if with_slash > 0 {
            if with_slash < arguments.len() {
                return Err(Error::message(
                    "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form \
                     (e.g. 'fleetmesh get resource/<resource_name>' instead of 'fleetmesh get resource resource/<resource_name>'",
                ));
            }
            let pairs = arguments.iter().map(|one| pair(resources, one));
            return pairs.collect::<Result<_, _>>().map(Self::Objects);
        }
        let Some((types, names)) = arguments.split_first() else { return Ok(Self::Nothing) };
        let types = types_of(resources, types)?;
        if names.is_empty() {
            return Ok(Self::Types(types));
        }
        let of_type = |resource: &Resource| {
            let resource = resource.clone();
            names.iter().map(move |name| (resource.clone(), name.clone()))
        };
        Ok(Self::Objects(types.iter().flat_map(of_type).collect()))
    }
}

fn pair(resources: &Resources, argument: &str) -> Result<(Resource, String), Error> {
    let mut parts = argument.split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (_, _, Some(_)) => {
            Err(Error::message("arguments in resource/name form may not have more than one slash"))
        }
        (Some(name), Some(object), None) if !name.is_empty() && !object.is_empty() && !name.contains(',') => {
            Ok((find(resources, name)?.clone(), object.to_owned()))
        }
        _ => Err(Error::message("arguments in resource/name form must have a single resource and name")),
    }
}

/// The resources of `mesh,vn,fleetmesh`, each once; a category stands for those in it.
fn types_of(resources: &Resources, list: &str) -> Result<Vec<Resource>, Error> {
    let mut found: Vec<Resource> = Vec::new();
    for name in list.split(',').filter(|name| !name.is_empty()) {
        let of_category = resources.of_category(name);
        let these = if of_category.is_empty() { vec![find(resources, name)?] } else { of_category };
        for resource in these {
            if !found.contains(resource) {
                found.push(resource.clone());
            }
        }
    }
    Ok(found)
}

/// The resource of this name.
///
/// # Errors
/// None has it.
pub fn find<'r>(resources: &'r Resources, name: &str) -> Result<&'r Resource, Error> {
    let plain = name.split('.').next().unwrap_or(name);
    let missing = || Error::message(format!("the server doesn't have a resource type {}", quoted(plain)));
    resources.find(name).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(arguments: &[&str]) -> Result<Named, String> {
        let one = |plural: &str, kind: &str| {
            json!({"resource": plural, "responseKind": {"kind": kind}, "scope": "Namespaced", "verbs": ["list"],
                   "categories": ["both"]})
        };
        let list = json!({"items": [{"metadata": {"name": "x"}, "versions": [{"version": "v1",
            "resources": [one("as", "A"), one("bs", "B")]}]}]});
        let arguments: Vec<String> = arguments.iter().map(|&one| one.to_owned()).collect();
        Named::read(&Resources::read(&[list]), &arguments).map_err(|error| error.shown())
    }

    fn names(named: Result<Named, String>) -> Vec<String> {
        match named.expect("it is understood") {
            Named::Objects(objects) => {
                objects.iter().map(|(one, name)| format!("{}/{name}", one.kind)).collect()
            }
            Named::Types(types) => types.iter().map(|one| one.kind.clone()).collect(),
            Named::Nothing => Vec::new(),
        }
    }

    #[test]
    fn objects_are_named_in_both_forms() {
        assert_eq!(names(read(&["a", "x", "y"])), ["A/x", "A/y"]);
        assert_eq!(names(read(&["a/x", "bs/y"])), ["A/x", "B/y"]);
        assert_eq!(names(read(&["a,b", "x"])), ["A/x", "B/x"]);
        assert_eq!(names(read(&["a,as,b"])), ["A", "B"]);
        assert_eq!(names(read(&["both"])), ["A", "B"]);
        assert_eq!(names(read(&[])), [""; 0]);
    }

    #[test]
    fn what_is_no_name_is_refused_in_kubectls_words() {
        assert_eq!(read(&["pods"]), Err("error: the server doesn't have a resource type \"pods\"".into()));
        assert!(read(&["a", "b/x"]).unwrap_err().starts_with("error: there is no need to specify"));
        assert!(read(&["a/x/y"]).unwrap_err().contains("more than one slash"));
        for wrong in ["a/", "/x", "a,b/x"] {
            assert!(read(&[wrong]).unwrap_err().contains("a single resource and name"), "{wrong}");
        }
    }
}
