//! Spent client tokens: the hash of the request, and the part of its response that the request does not contain. The spec is not
//! kept: whoever repeats the request sends it again. Pure data.

use fleetmesh_model::ResourceId;
use jiff::Timestamp;

use super::change::ClientToken;
use crate::view::{Meshes, Record};

/// What a client token was spent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The hash of the request ([`ClientToken::request`]).
    pub request: Vec<u8>,
    /// The resource that it made or changed.
    pub id: ResourceId,
    /// Its uid.
    pub uid: String,
    /// Its version then.
    pub version: i64,
    /// When it was last updated then.
    pub last_updated_at: Timestamp,
}

impl Spent {
    /// What `token` was spent on, when its request made `record`.
    pub fn on(token: &ClientToken, record: &Record) -> Self {
        let Record { id, uid, version, last_updated_at, .. } = record;
        Self {
            request: token.request.to_vec(),
            id: id.clone(),
            uid: uid.clone(),
            version: *version,
            last_updated_at: *last_updated_at,
        }
    }

    /// The answer to the request that comes again with `token`; `None` when the token was spent on another request. `current`
    /// is the resource as it is now.
    pub fn answer(&self, token: &ClientToken, current: &Record) -> Option<Record> {
        let Self { request, id: _, uid: _, version, last_updated_at } = self;
        (*request == token.request).then(|| Record {
            version: *version,
            last_updated_at: *last_updated_at,
            spec: token.spec.clone(),
            // Who and when the resource is does not change as long as it exists, and no answer shows its tags.
            ..current.clone()
        })
    }

    /// The resource that the token was spent on, if `meshes` has it still.
    pub fn current<'a>(&self, meshes: &'a Meshes) -> Option<&'a Record> {
        let current = meshes.get(self.id.mesh_name())?.get(&self.id)?;
        (current.uid == self.uid).then_some(current)
    }
}
