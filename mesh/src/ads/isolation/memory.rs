//! What is held of a node, as bytes for a store: a control plane that restarts serves the same as before, also to a proxy that
//! starts anew. Pure.
//!
//! JSON of resources as they were encoded, and the ports to which callers speak plaintext meanwhile
//! ([`handover`](crate::ads::handover)). Nothing is stored for a node of which nothing is held. All that is named is in the node's
//! own mesh, so the names do not say whose that is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetmesh_model::{Account, ResourceId};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::part::Part;
use super::{Held, Isolation, LastForm, Withheld};
use crate::distribution::NodeRejection;
use crate::snapshot::{Resource, ResourceType};

/// The most bytes that are stored of a node. What takes more is not stored: after a restart it is searched for again.
const LONGEST: usize = 4 * 1024 * 1024;

/// What is stored of a node.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Memory<R> {
    /// As of releases that knew of no such ports.
    Held(Vec<R>),
    WithPlaintext {
        held: Vec<R>,
        plaintext: BTreeSet<i32>,
    },
}

/// The ports of a node to which callers spoke plaintext when `memory` was stored of it; none when it cannot be read.
pub fn plaintext(memory: &[u8]) -> BTreeSet<i32> {
    match serde_json::from_slice::<Memory<IgnoredAny>>(memory) {
        Ok(Memory::WithPlaintext { plaintext, .. }) => plaintext,
        Ok(Memory::Held(_)) | Err(_) => BTreeSet::new(),
    }
}

/// A part that is held.
#[derive(Serialize, Deserialize)]
struct HeldRow {
    kind: String,
    resource: String,
    host: Option<String>,
    refused: String,
    last: Option<LastFormRow>,
    without: Vec<String>,
    objects: Vec<String>,
    message: String,
}

#[derive(Serialize, Deserialize)]
struct LastFormRow {
    form: ResourceRow,
    needs: Vec<(String, ResourceRow)>,
    nodes: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct ResourceRow {
    name: String,
    version: String,
    body: String,
    clusters: BTreeSet<String>,
    objects: Vec<String>,
}

impl Isolation {
    /// What is to be stored of the node, to whose ports `plaintext` callers speak plaintext; none when nothing is.
    pub fn memory(&self, plaintext: &BTreeSet<i32>) -> Option<Vec<u8>> {
        if self.held.is_empty() {
            return None;
        }
        let held: Vec<HeldRow> = self.held.iter().map(|(part, held)| HeldRow::of(part, held)).collect();
        let memory = match plaintext.is_empty() {
            true => Memory::Held(held),
            false => Memory::WithPlaintext { held, plaintext: plaintext.clone() },
        };
        serde_json::to_vec(&memory).ok().filter(|bytes| bytes.len() <= LONGEST)
    }

    /// Takes in what was stored, as far as it is still so.
    ///
    /// # Errors
    /// Why the bytes cannot be read; nothing is held then.
    pub fn remember(&mut self, memory: &[u8]) -> Result<(), String> {
        let memory: Memory<HeldRow> = serde_json::from_slice(memory).map_err(|error| error.to_string())?;
        let (Memory::Held(rows) | Memory::WithPlaintext { held: rows, plaintext: _ }) = memory;
        let owner = self.target.node.mesh_name().owner();
        let held = rows.into_iter().map(|row| row.held(owner)).collect::<Option<BTreeMap<Part, Held>>>();
        self.held.extend(held.ok_or("it names what is no resource")?);
        self.holds += 1;
        let target = Arc::clone(&self.target);
        self.retarget(target);
        Ok(())
    }
}

impl HeldRow {
    fn of(part: &Part, held: &Held) -> Self {
        let Held { refused, withheld: Withheld { last, without }, rejection } = held;
        Self {
            kind: part.kind.url().to_owned(),
            resource: part.resource.clone(),
            host: part.host.clone(),
            refused: refused.clone(),
            last: last.as_ref().map(|last| LastFormRow {
                form: ResourceRow::of(&last.form),
                needs: last
                    .needs
                    .iter()
                    .map(|(kind, resource)| (kind.url().to_owned(), ResourceRow::of(resource)))
                    .collect(),
                nodes: last.nodes.iter().map(|(name, node)| (name.clone(), node.path())).collect(),
            }),
            without: names(without),
            objects: names(&rejection.objects),
            message: rejection.message.clone(),
        }
    }

    fn held(self, owner: Account) -> Option<(Part, Held)> {
        let Self { kind, resource, host, refused, last, without, objects, message } = self;
        let part = Part { kind: ResourceType::from_url(&kind)?, resource, host };
        let last = match last {
            Some(last) => Some(last.form(owner)?),
            None => None,
        };
        let withheld = Withheld { last, without: ids(&without, owner)? };
        let rejection = NodeRejection { objects: ids(&objects, owner)?, message };
        Some((part, Held { refused, withheld, rejection }))
    }
}

impl LastFormRow {
    fn form(self, owner: Account) -> Option<LastForm> {
        let needs = self.needs.into_iter();
        let needs = needs.map(|(kind, row)| Some((ResourceType::from_url(&kind)?, row.resource(owner)?)));
        let nodes = self.nodes.into_iter().map(|(name, node)| Some((name, id(&node, owner)?)));
        Some(LastForm {
            form: self.form.resource(owner)?,
            needs: needs.collect::<Option<_>>()?,
            nodes: nodes.collect::<Option<_>>()?,
        })
    }
}

impl ResourceRow {
    fn of(resource: &Resource) -> Self {
        Self {
            name: resource.name.clone(),
            version: resource.version.clone(),
            body: STANDARD.encode(resource.body()),
            clusters: resource.clusters.clone(),
            objects: names(&resource.objects),
        }
    }

    fn resource(self, owner: Account) -> Option<Arc<Resource>> {
        let Self { name, version, body, clusters, objects } = self;
        let body = STANDARD.decode(body).ok()?;
        let objects = ids(&objects, owner)?;
        Some(Arc::new(Resource::stored(name, version, body, clusters, objects)))
    }
}

fn names(ids: &BTreeSet<ResourceId>) -> Vec<String> {
    ids.iter().map(ResourceId::path).collect()
}

fn ids(names: &[String], owner: Account) -> Option<BTreeSet<ResourceId>> {
    names.iter().map(|name| id(name, owner)).collect()
}

fn id(name: &str, owner: Account) -> Option<ResourceId> {
    Some(ResourceId::parse(name).ok()?.owned_by(owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_where_there_are_any() {
        for (memory, ports) in [
            (r#"{"held":[{"kind":"x"}],"plaintext":[8002,8001]}"#, vec![8001, 8002]),
            (r#"[{"kind":"x"}]"#, vec![]),
            ("no memory", vec![]),
        ] {
            assert!(plaintext(memory.as_bytes()).into_iter().eq(ports), "{memory}");
        }
    }

    #[test]
    fn what_is_named_is_in_the_mesh_of_the_account_that_owns_it() {
        for owner in [Account::First, Account::Other("444455556666".parse().expect("an account"))] {
            let all = [ResourceId::mesh("apps"), ResourceId::route("apps", "r", "x")];
            let all = all.map(|id| id.owned_by(owner)).into();
            assert_eq!(ids(&names(&all), owner), Some(all));
        }
    }
}
