//! Patches of an object: JSON patch, merge patch, strategic merge patch and server-side apply, by themselves and as a request carries
//! them out.
//!
//! The first byte chooses the kind of the object, and with its highest bit choices; the rest is JSON, `[object, patch]`. Every
//! kind of patch is tried. What must hold:
//! - a merge patch and an apply that are carried out twice leave what they left once;
//! - a JSON patch leaves what its operations leave one after the other;
//! - no patch makes an object deeper than a body may be, which could not be read again;
//! - what a request stores is an object whose `managedFields` can be read.

use anyhow::{Context as _, Result};
use fleetmesh_standalone_core::objects::{FieldValidation, ObjectSchema, Schemas, Writer};
use fleetmesh_standalone_core::patch::{json_patch, merge_patch};
use fleetmesh_standalone_core::resource::{Resource, Resources};
use fleetmesh_standalone_core::store::update::{self, Part};
use fleetmesh_standalone_core::store::{Fresh, create};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::Target;
use super::choices::Choices;
use super::objects::{drawn, drawn_patch};

/// How deep JSON is that is read again.
const DEEPEST: usize = 128;
/// A JSON patch of at most so many operations is carried out one by one, too.
const ONE_BY_ONE: usize = 12;
const PLURALS: [&str; 7] =
    ["configmaps", "serviceaccounts", "secrets", "namespaces", "leases", "virtualnodes", "routes"];
/// See the module.
pub struct Patches {
    resources: Resources,
    schemas: Schemas,
}

/// What both sides of a trial are of.
struct Kind<'a> {
    resource: &'a Resource,
    schema: &'a ObjectSchema,
}

impl Patches {
    /// Over the kinds that are served.
    pub fn new() -> Result<Self> {
        let resources = Resources::new(&fleetmesh_crds::all());
        let schemas = Schemas::new(&resources)?;
        let patches = Self { resources, schemas };
        PLURALS
            .iter()
            .try_for_each(|plural| patches.kind(plural).map(drop).with_context(|| format!("no {plural}")))?;
        Ok(patches)
    }

    fn kind(&self, plural: &str) -> Option<Kind<'_>> {
        let resource = self.resources.iter().find(|one| one.plural == plural)?;
        Some(Kind { resource, schema: self.schemas.of(resource) })
    }
}

impl Target for Patches {
    fn name(&self) -> &'static str {
        "standalone-patches"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let map = json!({"metadata": {"name": "a", "finalizers": ["x/y"]}, "data": {"a": "1", "b": "2"}});
        let account = json!({"metadata": {"name": "a"}, "secrets": [{"name": "a"}, {"name": "b"}]});
        let node = json!({"metadata": {"name": "a"}, "spec": {
            "meshName": "apps",
            "listeners": [{"portMapping": {"port": 8080, "protocol": "http"}}],
            "serviceDiscovery": {"dns": {"hostname": "a.apps.local"}},
        }});
        let managed = json!({"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:a": {}}}});
        let pairs = [
            (0, map.clone(), json!({"data": {"a": null, "c": "3"}})),
            (0, map.clone(), json!({"metadata": {"name": "a", "managedFields": [managed]}})),
            (
                0,
                map.clone(),
                json!([
                    {"op": "copy", "from": "/data/a", "path": "/data/c"}, {"op": "remove", "path": "/metadata/finalizers/0"},
                    {"op": "test", "path": "/data/b", "value": "2"}, {"op": "move", "from": "/data/c", "path": "/data/d"},
                ]),
            ),
            (
                1,
                account,
                json!({"secrets": [{"name": "c"}, {"$patch": "delete", "name": "a"}],
                "$setElementOrder/secrets": [{"name": "c"}, {"name": "b"}]}),
            ),
            (
                0,
                map,
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/y"], "$retainKeys": ["name"]}}),
            ),
            (
                5,
                node,
                json!({"metadata": {"name": "a"}, "spec": {"listeners": [{"portMapping": {"port": 1, "protocol": "tcp"}}]}}),
            ),
        ];
        let text = |(kind, object, patch): (u8, Value, Value)| {
            [vec![kind], json!([object, patch]).to_string().into_bytes()].concat()
        };
        let mut seeds: Vec<Vec<u8>> = pairs.into_iter().map(text).collect();
        // A member and a label that are merged, and a member that is added.
        seeds.push(vec![0x80, 0, 1, 0, 10, 7, 1]);
        seeds.push(vec![0x85, 0, 1, 0, 1, 7, 2]);
        seeds.push(vec![0x80, 0, 0, 0, 0, 10, 0, 10, 0, 7, 1]);
        seeds
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"null",
            b"{}",
            b"[]",
            b"\"\"",
            b"-1",
            b"1e400",
            b"\"$patch\":\"delete\",",
            b"\"$patch\":\"replace\",",
            b"\"$patch\":\"merge\",",
            b"\"$retainKeys\":[],",
            b"{\"op\":\"replace\",\"path\":\"\",\"value\":[]},",
            b"{\"op\":\"copy\",\"from\":\"/data\",\"path\":\"/data/x\"},",
            b"{\"op\":\"add\",\"path\":\"/metadata/labels\",\"value\":{}},",
            b"[[[[[[[[",
            b"]]]]]]]]",
            b"\"finalizers\":[null],",
            b"\"managedFields\":[{}],",
            b"\"fieldsV1\":{\"f:a\":{}}",
            b"\"k:{\\\"name\\\":\\\"a\\\"}\":{},",
            b"\"v:1\":{},",
            b"~0~1",
            b"/-",
        ]
    }

    fn try_input(&self, input: &[u8]) -> Result<bool, String> {
        let Some((kind, rest)) = input.split_first() else { return Ok(false) };
        let plural = PLURALS.get(usize::from(kind & 0x7f) % PLURALS.len()).copied().unwrap_or_default();
        let kind_of = self.kind(plural).ok_or_else(|| format!("no {plural}"))?;
        let (object, patch) = if kind & 0x80 == 0 {
            let Ok([object, patch]) = serde_json::from_slice::<[Value; 2]>(rest) else { return Ok(false) };
            (object, patch)
        } else {
            let mut choices = Choices::new(rest);
            (drawn(plural, &mut choices), drawn_patch(&mut choices))
        };
        merged_twice(&object, &patch)?;
        in_pieces(&object, &patch)?;
        kind_of.requests(object, &patch)
    }
}

fn merged_twice(object: &Value, patch: &Value) -> Result<(), String> {
    let Ok(once) = merge_patch(object, patch) else { return Ok(()) };
    if !once.is_object() {
        return Err(format!("a merge patch leaves {once}"));
    }
    match merge_patch(&once, patch) {
        Ok(twice) if twice == once => Ok(()),
        twice => Err(format!("merged once it is {once}, and twice {twice:?}")),
    }
}

fn in_pieces(object: &Value, patch: &Value) -> Result<(), String> {
    let whole = json_patch(object, patch);
    if let Ok(whole) = &whole
        && depth(whole) > depth(object).max(DEEPEST)
    {
        return Err(format!("a JSON patch makes {} levels", depth(whole)));
    }
    let operations = patch.as_array().map(Vec::as_slice).unwrap_or_default();
    if operations.is_empty() || operations.len() > ONE_BY_ONE {
        return Ok(());
    }
    let one_by_one =
        operations.iter().try_fold(object.clone(), |object, one| json_patch(&object, &json!([one])));
    match (whole, one_by_one) {
        (Ok(whole), Ok(last)) if whole != last => {
            Err(format!("together they leave {whole}, and one by one {last}"))
        }
        (Ok(whole), Err(error)) => Err(format!("together they leave {whole}, and one by one: {error}")),
        _ => Ok(()),
    }
}

fn depth(value: &Value) -> usize {
    let below = match value {
        Value::Object(members) => members.values().map(depth).max(),
        Value::Array(items) => items.iter().map(depth).max(),
        _ => None,
    };
    below.unwrap_or_default() + 1
}

fn writer(manager: &str) -> Writer {
    Writer { manager: manager.to_owned(), time: "2026-01-01T00:00:00Z".to_owned(), part: Part::Main }
}

impl Kind<'_> {
    /// Every kind of patch of the object, if it can be one.
    fn requests(&self, object: Value, patch: &Value) -> Result<bool, String> {
        let Some(live) = self.created(object) else { return Ok(false) };
        let mut has_taken = false;
        for media_type in self.schema.patches().iter().filter(|one| !one.contains("apply")) {
            for validation in [FieldValidation::Strict, FieldValidation::Warn] {
                let Ok((object, _)) = self.schema.patched(&live, media_type, patch, validation) else {
                    continue;
                };
                let Some(stored) = self.changed(&live, object, false)? else { continue };
                self.is_readable(&stored)?;
                has_taken = true;
            }
        }
        for force in [false, true] {
            has_taken |= self.applied(&live, patch, force)?;
        }
        Ok(has_taken)
    }

    /// The object as a request creates it, if it can be one.
    fn created(&self, mut object: Value) -> Option<Value> {
        if !object.is_object() {
            return None;
        }
        object["apiVersion"] = self.resource.api_version().into();
        object["kind"] = self.resource.kind.as_str().into();
        let namespace = if self.resource.namespaced { "default" } else { "" };
        create::place(self.resource, namespace, None, &mut object).ok()?;
        self.schema.decoded(self.resource, &mut object, &[], FieldValidation::Ignore).ok()?;
        create::check_new(&object).ok()?;
        let mut object = self.schema.managed(self.resource, None, object, &writer("first"));
        let fresh = Fresh { now: Timestamp::UNIX_EPOCH, uid: "8b1f".to_owned(), suffix: "xxxxx".to_owned() };
        create::prepare(self.resource, &mut object, &fresh);
        self.schema.prepare(&mut object);
        self.schema.checked(self.resource, None, &mut object, Part::Main).ok()?;
        Some(object)
    }

    /// What a change of `live` to `object` stores, if it is taken.
    fn changed(&self, live: &Value, mut object: Value, is_managed: bool) -> Result<Option<Value>, String> {
        let namespace = if self.resource.namespaced { "default" } else { "" };
        let name = live["metadata"]["name"].as_str().unwrap_or_default();
        if create::place(self.resource, namespace, Some(name), &mut object).is_err() {
            return Ok(None);
        }
        if !object.is_object() {
            return Err(format!("{object} is taken for an object"));
        }
        if !is_managed {
            object = self.schema.managed(self.resource, Some(live), object, &writer("second"));
        }
        update::prepare(self.resource, live, &mut object, Part::Main);
        self.schema.prepare(&mut object);
        Ok(self.schema.checked(self.resource, Some(live), &mut object, Part::Main).ok().map(|_| object))
    }

    fn applied(&self, live: &Value, patch: &Value, force: bool) -> Result<bool, String> {
        let mut config = patch.clone();
        if let Some(members) = config.as_object_mut() {
            members.insert("apiVersion".to_owned(), self.resource.api_version().into());
            members.insert("kind".to_owned(), self.resource.kind.as_str().into());
        }
        let apply =
            |live: &Value| self.schema.applied(self.resource, Some(live), &config, &writer("third"), force);
        let Ok(once) = apply(live) else { return Ok(false) };
        let Some(stored) = self.changed(live, once, true)? else { return Ok(false) };
        self.is_readable(&stored)?;
        let again =
            apply(&stored).map_err(|error| format!("applied again: {} {}", error.code, error.message))?;
        match self.changed(&stored, again, true)? {
            Some(twice) if twice == stored => Ok(true),
            twice => Err(format!("applied once it is {stored}, and twice {twice:?}")),
        }
    }

    /// That what is stored is read again as the same, and that somebody can apply to it.
    fn is_readable(&self, stored: &Value) -> Result<(), String> {
        let again: Result<Value, _> = serde_json::from_str(&stored.to_string());
        if again.as_ref().ok() != Some(stored) {
            return Err(format!("{stored} is read again as {again:?}"));
        }
        let config = json!({"apiVersion": self.resource.api_version(), "kind": self.resource.kind});
        let applied = self.schema.applied(self.resource, Some(stored), &config, &writer("fourth"), true);
        match applied {
            Err(status) if status.message.contains("managed fields") => {
                Err(format!("{stored}: {}", status.message))
            }
            _ => Ok(()),
        }
    }
}
