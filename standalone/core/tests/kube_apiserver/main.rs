//! What kube-apiserver 1.36 answered to the same requests: schemas, patches and ownership, word for word.
//!
//! Each line of `kube_apiserver/*.jsonl` is a request with the object that was there before and the answer. A line's `live` is `previous`
//! where it is the answer of the last line that changed something. What the API server's storage adds to an object is not compared.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use fleetmesh_standalone_core::apply::{ApplyError, FieldManager, Subresource, keep_times};
use fleetmesh_standalone_core::patch::{
    PatchError, json_patch, merge_patch, strategic_merge_patch, unknown_members,
};
use fleetmesh_standalone_core::schema::{BuiltinKind, CustomSchema, OtherErrors, Verdict, builtin, decode};
use fleetmesh_standalone_core::status::FieldError;
use serde_json::{Value, json};

const NOW: &str = "2030-01-01T00:00:00Z";

/// The resource of a case.
enum Resource<'s> {
    Custom(&'s CustomSchema),
    Builtin(BuiltinKind),
}

/// What a request came to.
enum Outcome {
    Object(Value, Vec<String>),
    /// 422 with causes.
    Invalid(Vec<FieldError>),
    /// Any other failure: code, message, causes as (message, field).
    Failed(u16, String, Vec<(String, String)>),
}

fn bad_request(message: String) -> Outcome {
    Outcome::Failed(400, message, Vec::new())
}

impl Resource<'_> {
    fn normalize(&self, object: &mut Value) -> Result<Vec<String>, String> {
        let normalized = match self {
            Self::Custom(schema) => schema.normalize(object),
            Self::Builtin(kind) => kind.normalize(object),
        };
        normalized.map_err(|mismatch| mismatch.to_string())
    }

    fn validate(&self, new: &Value, live: Option<&Value>, status: bool) -> Verdict {
        match (self, live) {
            (Self::Builtin(_), _) => Verdict::default(),
            (Self::Custom(schema), None) => schema.validate_create(new, OtherErrors::default()),
            (Self::Custom(schema), Some(live)) if status => {
                schema.validate_status_update(new, live, OtherErrors::default())
            }
            (Self::Custom(schema), Some(live)) => schema.validate_update(new, live, OtherErrors::default()),
        }
    }

    /// What a write leaves alone.
    fn reset(&self, new: &mut Value, live: Option<&Value>, status: bool) {
        if let Self::Builtin(kind) = self {
            return kind.prepare(new);
        }
        if status {
            let mut kept = live.cloned().unwrap_or_default();
            kept["metadata"]["managedFields"] = new["metadata"]["managedFields"].take();
            match new.get("status") {
                Some(status) => kept["status"] = status.clone(),
                None => drop(kept.as_object_mut().and_then(|object| object.remove("status"))),
            }
            *new = kept;
            return;
        }
        match live.and_then(|live| live.get("status")) {
            Some(status) => new["status"] = status.clone(),
            None => drop(new.as_object_mut().and_then(|object| object.remove("status"))),
        }
    }
}

struct Case<'c> {
    json: &'c Value,
    live: Option<Value>,
}

impl Case<'_> {
    fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }

    fn parameter(&self, name: &str) -> &str {
        let query = self.text("query").trim_start_matches('?');
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    fn is_status(&self) -> bool {
        self.text("subresource") == "status"
    }

    fn run(&self, resource: &Resource<'_>) -> Outcome {
        let manager = self.manager(resource);
        let by = match self.parameter("fieldManager") {
            "" => "recorder",
            named => named,
        };
        let live = self.live.as_ref();
        let (mut new, warnings) = match self.text("verb") {
            "apply" => {
                match manager.apply(live, &self.json["body"], by, self.parameter("force") == "true", NOW) {
                    Ok(mut new) => {
                        if let Resource::Custom(schema) = resource {
                            schema.normalize_applied(&mut new);
                        } else if let Err(message) = resource.normalize(&mut new) {
                            return bad_request(message);
                        }
                        (new, Vec::new())
                    }
                    Err(error) => return failed_apply(&error),
                }
            }
            "create" | "update" => match self.decoded(resource) {
                Ok((new, warnings)) => (manager.update(live, new, by, NOW), warnings),
                Err(outcome) => return outcome,
            },
            patch => match self.patched(resource, patch) {
                Ok((new, warnings)) => (manager.update(live, new, by, NOW), warnings),
                Err(outcome) => return outcome,
            },
        };
        resource.reset(&mut new, live, self.is_status());
        if let Some(live) = live {
            keep_times(&mut new, live);
        }
        let verdict = resource.validate(&new, live, self.is_status());
        if !verdict.errors.is_empty() {
            return Outcome::Invalid(verdict.errors);
        }
        if let Resource::Custom(schema) = resource {
            // What is read from the storage has its defaults.
            schema.normalize_applied(&mut new);
        }
        Outcome::Object(new, warnings.into_iter().chain(verdict.warnings).collect())
    }

    fn manager<'r>(&'r self, resource: &Resource<'r>) -> FieldManager<'r> {
        let ours = self.api_version() != "test.fleetmesh.dev/v1";
        let kind = self.json["body"]["kind"].as_str().filter(|_| ours).unwrap_or("Thing");
        let live = self.live.as_ref();
        let text = |name: &str| live.and_then(|live| live[name].as_str());
        match resource {
            Resource::Custom(schema) => {
                let subresource = if self.is_status() {
                    Subresource::Status
                } else {
                    Subresource::None { with_status: true }
                };
                let api_version = text("apiVersion").unwrap_or(self.api_version());
                FieldManager::new(schema.published(), api_version, text("kind").unwrap_or(kind), subresource)
            }
            Resource::Builtin(kind) => FieldManager::new(
                builtin(*kind),
                kind.api_version(),
                kind.kind(),
                Subresource::None { with_status: *kind == BuiltinKind::Namespace },
            )
            .with_empty(kind.empty()),
        }
    }

    /// The version of the path; bodies of another one are what some cases are about.
    fn api_version(&self) -> &str {
        match self.json["body"]["apiVersion"].as_str() {
            Some("fleetmesh.dev/v1alpha1") => "fleetmesh.dev/v1alpha1",
            _ => "test.fleetmesh.dev/v1",
        }
    }

    fn decoded(&self, resource: &Resource<'_>) -> Result<(Value, Vec<String>), Outcome> {
        let body = self.json["body"].as_str().map_or_else(|| self.json["body"].to_string(), str::to_owned);
        let decoded = decode(body.as_bytes()).map_err(|error| bad_request(error.to_string()))?;
        let mut new = decoded.value;
        let kind = new["kind"].as_str().unwrap_or_default().to_owned();
        let version =
            new["apiVersion"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
        let cannot = |why: String| {
            bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"))
        };
        let unknown = resource.normalize(&mut new).map_err(cannot)?;
        let problems: Vec<String> = decoded
            .duplicates
            .iter()
            .map(|path| format!("duplicate field \"{path}\""))
            .chain(unknown.iter().map(|path| format!("unknown field \"{path}\"")))
            .collect();
        match self.parameter("fieldValidation") {
            "Strict" if !problems.is_empty() => {
                Err(cannot(format!("strict decoding error: {}", problems.join(", "))))
            }
            "Ignore" => Ok((new, Vec::new())),
            _ => Ok((new, problems)),
        }
    }

    fn patched(&self, resource: &Resource<'_>, patch: &str) -> Result<(Value, Vec<String>), Outcome> {
        let body = &self.json["body"];
        let Some(live) = &self.live else { return Err(Outcome::Failed(404, String::new(), Vec::new())) };
        let patched = match (patch, resource) {
            ("json", _) => json_patch(live, body),
            ("merge", _) => merge_patch(live, body),
            ("strategic", Resource::Builtin(kind)) => strategic_merge_patch(live, body, builtin(*kind)),
            _ => return Err(Outcome::Failed(415, String::new(), Vec::new())),
        };
        let mut new = patched.map_err(|error| failed_patch(&error))?;
        let unknown = resource.normalize(&mut new).map_err(bad_request)?;
        let of_patch = if patch == "json" { unknown_members(body) } else { Vec::new() };
        let of_object = unknown.iter().map(|path| format!("unknown field \"{path}\""));
        let problems: Vec<String> = of_patch.into_iter().chain(of_object).collect();
        match self.parameter("fieldValidation") {
            "Strict" if !problems.is_empty() => Err(Outcome::Failed(422, String::new(), Vec::new())),
            "Ignore" => Ok((new, Vec::new())),
            _ => Ok((new, problems)),
        }
    }
}

fn failed_apply(error: &ApplyError) -> Outcome {
    let message = error.to_string();
    match error {
        ApplyError::BadRequest(_) => bad_request(message),
        ApplyError::Internal(_) => Outcome::Failed(500, message, Vec::new()),
        ApplyError::Conflicts(conflicts) => {
            let causes = conflicts.iter().map(|conflict| (conflict.message(), conflict.field())).collect();
            Outcome::Failed(409, message, causes)
        }
    }
}

fn failed_patch(error: &PatchError) -> Outcome {
    let message = error.to_string();
    match error {
        PatchError::BadRequest(_) => bad_request(message),
        PatchError::TooManyOperations(_) => Outcome::Failed(413, message, Vec::new()),
        PatchError::Unprocessable(_) => {
            let generic = "the server rejected our request due to an error in our request";
            Outcome::Failed(422, generic.to_owned(), Vec::new())
        }
        PatchError::Internal(_) => Outcome::Failed(500, message, Vec::new()),
    }
}

/// An object without what the storage adds, and without the very times.
fn masked(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for name in ["uid", "resourceVersion", "creationTimestamp", "generation", "namespace"] {
            metadata.remove(name);
        }
        for entry in metadata.get_mut("managedFields").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(time) = entry.get_mut("time") {
                *time = "masked".into();
            }
        }
        if let Some(entries) = metadata.get_mut("managedFields").and_then(Value::as_array_mut) {
            entries.sort_by_key(Value::to_string);
        }
    }
    // The storage of namespaces adds these.
    if object["kind"] == "Namespace" {
        object["spec"] = json!({});
        object["status"] = json!({});
    }
    object
}

fn difference(outcome: &Outcome, case: &Value) -> Option<String> {
    let (code, answer) = (case["code"].as_u64().unwrap_or_default(), &case["answer"]);
    let causes = || -> BTreeSet<(String, String, String)> {
        let causes = answer["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |cause: &Value, name: &str| cause[name].as_str().unwrap_or_default().to_owned();
        causes
            .iter()
            .map(|cause| (text(cause, "reason"), text(cause, "message"), text(cause, "field")))
            .collect()
    };
    match outcome {
        Outcome::Object(object, warnings) => {
            let (ours, theirs) = (masked(object), masked(answer));
            let expected: Vec<&str> =
                case["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if code >= 300 {
                Some(format!("expected {code}: {answer}"))
            } else if ours != theirs {
                Some(format!("ours:   {ours}\ntheirs: {theirs}"))
            } else {
                (*warnings != expected).then(|| format!("warnings {warnings:?}, expected {expected:?}"))
            }
        }
        Outcome::Invalid(errors) => {
            let ours: BTreeSet<(String, String, String)> = errors
                .iter()
                .map(|error| (error.kind.reason().to_owned(), error.body(), error.field.clone()))
                .collect();
            (code != 422 || ours != causes())
                .then(|| format!("{code} ours: {ours:?}\ntheirs: {:?}", causes()))
        }
        Outcome::Failed(ours, message, conflicts) => {
            let same_causes = conflicts.is_empty()
                || conflicts.iter().cloned().collect::<BTreeSet<_>>()
                    == causes().into_iter().map(|(_, message, field)| (message, field)).collect();
            let same_message = message.is_empty() || answer["message"] == message.as_str();
            (u64::from(*ours) != code || !same_message || !same_causes)
                .then(|| format!("ours {ours}: {message}\ntheirs {code}: {}", answer["message"]))
        }
    }
}

fn lines(name: &str) -> Result<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kube_apiserver").join(name);
    let text = std::fs::read_to_string(path)?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Runs the cases of a file; `known` are those that differ, each for a reason that its test says.
fn replay<'s>(name: &str, known: &[&str], resource: impl Fn(&Value) -> Resource<'s>) -> Result<()> {
    let lines = lines(name)?;
    let mut previous = Value::Null;
    let mut differences = Vec::new();
    let mut count = 0;
    for json in &lines[1..] {
        let Some(_) = json.get("verb") else { continue };
        let live = match &json["live"] {
            Value::Null => None,
            Value::String(_) => Some(previous.clone()),
            object => Some(object.clone()),
        };
        if json["code"].as_u64() < Some(300) && !json["query"].as_str().unwrap_or_default().contains("dryRun")
        {
            previous = json["answer"].clone();
        }
        let what = if json["body"]["kind"].is_string() {
            json["body"].clone()
        } else {
            live.clone().unwrap_or_default()
        };
        let case = Case { json, live };
        let name = case.text("name").to_owned();
        count += 1;
        let found = difference(&case.run(&resource(&what)), json);
        match (found, known.contains(&name.as_str())) {
            (Some(difference), false) => {
                differences.push(format!("{name} ({}): {difference}", case.text("verb")))
            }
            (None, true) => differences.push(format!("{name} is the same by now")),
            _ => {}
        }
    }
    assert!(differences.is_empty(), "{} of {count} differ:\n{}", differences.len(), differences.join("\n\n"));
    Ok(())
}

fn replay_custom(name: &str, known: &[&str]) -> Result<()> {
    let schema = CustomSchema::new(&lines(name)?[0]["schema"])?;
    replay(name, known, |_| Resource::Custom(&schema))
}

#[test]
fn validation() {
    replay_custom("validation.jsonl", &[]).unwrap();
}

#[test]
fn updates() {
    replay_custom("updates.jsonl", &[]).unwrap();
}

#[test]
fn what_was_wrong_before_the_schema_became_tighter_stays() {
    replay_custom("ratchet.jsonl", &[]).unwrap();
}

#[test]
fn applies() {
    replay_custom("applies.jsonl", &[]).unwrap();
}

#[test]
fn builtins() {
    replay("builtins.jsonl", &[], |object| {
        let text = |name: &str| object[name].as_str().unwrap_or_default();
        Resource::Builtin(BuiltinKind::of(text("apiVersion"), text("kind")).unwrap())
    })
    .unwrap();
}

/// The schemas of this product.
fn product() -> Result<Vec<(String, CustomSchema)>> {
    let schemas = fleetmesh_crds::all().into_iter().map(|definition| {
        let json = serde_json::to_value(&definition)?;
        let schema = &json["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        Ok((definition.spec.names.kind, CustomSchema::new(schema)?))
    });
    schemas.collect()
}

fn replay_product(name: &str, known: &[&str]) -> Result<()> {
    let schemas = product()?;
    let of = |object: &Value| schemas.iter().find(|(kind, _)| object["kind"] == kind.as_str());
    replay(name, known, |object| Resource::Custom(&of(object).unwrap_or(&schemas[0]).1))
}

/// Samples of which one member is something else.
#[test]
fn mutations() {
    replay_product("mutations.jsonl", &[]).unwrap();
}

/// Regular expressions. Names of Unicode's classes are another list.
#[test]
fn patterns() {
    replay_product("patterns.jsonl", &["pattern \\pX"]).unwrap();
}

/// The samples of this product: applied on the client's side, then on the server's, and given a status.
#[test]
fn samples() {
    replay_product("samples.jsonl", &[]).unwrap();
}
