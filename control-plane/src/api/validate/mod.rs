//! Validation of a request by itself: every bound, enum, pattern, union and required member of the API model, then the rules that a
//! schema cannot express. Pure. Rules between objects are in [`fleetmesh_mesh::rules`].

mod bounds;
mod canonical;
mod schema;
mod violation;

use fleetmesh_mesh::refusal::Refusal;
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Kind, Spec, Tag, hostname};
use serde_json::Value;

use schema::Schema;

/// The schemas of all requests, compiled.
#[derive(Debug)]
pub struct Validator {
    specs: Vec<(Kind, Schema)>,
    tags: Schema,
    tag_keys: Schema,
}

impl Validator {
    /// Compiles the schemas of the model.
    ///
    /// # Errors
    /// The compiler's words, when a schema of the model is none; a fault of the model, not of a request.
    pub fn new() -> Result<Self, String> {
        let compile = |kind: &Kind| Ok((*kind, Schema::of_spec(*kind)?));
        let specs = Kind::ALL.iter().map(compile).collect::<Result<_, String>>()?;
        Ok(Self { specs, tags: Schema::of::<Vec<Tag>>()?, tag_keys: Schema::of_tag_keys()? })
    }

    /// The spec of a `kind` in `json`.
    ///
    /// # Errors
    /// A bad request that names every violation by its path below `spec`.
    pub fn spec(&self, kind: Kind, json: Value) -> Result<Spec, Refusal> {
        let json = canonical::canonical(json);
        let schema = self.specs.iter().find(|(of, _)| *of == kind).map(|(_, schema)| schema);
        let mut violations = schema.map(|schema| schema.violations("spec", &json)).unwrap_or_default();
        violation::refuse(&violations)?;
        let spec =
            Spec::from_json(kind, json).map_err(|error| Refusal::bad_request(format!("spec: {error}")))?;
        violations.extend(spec.violations());
        violation::refuse(&violations)?;
        Ok(spec)
    }

    /// The tags in the list `json` at the member `tags`; none when it is absent.
    ///
    /// # Errors
    /// A bad request for a malformed list, a key that occurs twice, or one that only AWS gives.
    pub fn tags(&self, json: Option<Value>) -> Result<Tags, Refusal> {
        let Some(json) = json.map(canonical::canonical).filter(|json| !json.is_null()) else {
            return Ok(Tags::new());
        };
        violation::refuse(&self.tags.violations("tags", &json))?;
        let list: Vec<Tag> =
            serde_json::from_value(json).map_err(|error| Refusal::bad_request(format!("tags: {error}")))?;
        let mut tags = Tags::new();
        for (index, Tag { key, value }) in list.into_iter().enumerate() {
            if is_of_aws(&key) {
                let message = format!(
                    "tags[{index}].key: {key:?} begins with {AWS_TAGS:?}, in whatever case, which is reserved for tags that AWS itself gives; choose another key"
                );
                return Err(Refusal::bad_request(message));
            }
            if tags.contains_key(&key) {
                let message = format!("tags[{index}].key: {key:?} occurs twice; give each key once");
                return Err(Refusal::bad_request(message));
            }
            tags.insert(key, value);
        }
        Ok(tags)
    }

    /// The keys in the list `json` at the member `tagKeys`.
    ///
    /// # Errors
    /// A bad request for a malformed list.
    pub fn tag_keys(&self, json: Option<Value>) -> Result<Vec<String>, Refusal> {
        let json = canonical::canonical(json.unwrap_or(Value::Null));
        violation::refuse(&self.tag_keys.violations("tagKeys", &json))?;
        serde_json::from_value(json).map_err(|error| Refusal::bad_request(format!("tagKeys: {error}")))
    }
}

/// How the keys begin that AWS lets nobody else give.
const AWS_TAGS: &str = "aws:";

fn is_of_aws(key: &str) -> bool {
    key.get(..AWS_TAGS.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(AWS_TAGS))
}

/// Checks a resource's name, at the member `path`: 1 to 255 characters (App Mesh `ResourceName`). Control characters
/// and `/` are refused too, because neither an ARN nor a proxy's `node.id` could name the resource then.
pub fn name(path: &str, name: &str) -> Result<(), Refusal> {
    name_length(path, name)?;
    match name.chars().find(|character| *character == '/' || character.is_control()) {
        None => Ok(()),
        Some(character) => Err(Refusal::bad_request(format!(
            "{path}: {name:?} has the character {character:?}, which an ARN cannot hold; leave it out"
        ))),
    }
}

/// Checks the length of a resource's name, at the member `path`: 1 to 255 characters (App Mesh `ResourceName`).
pub fn name_length(path: &str, name: &str) -> Result<(), Refusal> {
    let length = name.chars().count();
    if (1..=255).contains(&length) {
        return Ok(());
    }
    Err(Refusal::bad_request(format!("{path}: must have 1 to 255 characters, this has {length}")))
}

/// Checks that requests can be for a virtual service of this name; names of other kinds are nobody's hosts.
pub fn service_name(kind: Kind, path: &str, name: &str) -> Result<(), Refusal> {
    match hostname::name_fault(kind, name) {
        Some(fault) => Err(Refusal::bad_request(format!("{path}: {fault}"))),
        None => Ok(()),
    }
}

/// Checks a client token: 1 to 36 letters, digits, hyphens and underscores, as the API's documentation says.
pub fn client_token(token: &str) -> Result<(), Refusal> {
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    if (1..=36).contains(&token.len()) && token.chars().all(legal) {
        return Ok(());
    }
    Err(Refusal::bad_request(format!(
        "clientToken: {token:?} is not 1 to 36 letters, digits, hyphens and underscores; a UUID is"
    )))
}

#[cfg(test)]
mod tests;
