//! Requests to a store: a decision on its newest state, and the change or changes that it yields. Pure data.

use std::sync::Arc;

use fleetmesh_model::{Account, MeshName, ResourceId, Spec};

use crate::refusal::Refusal;
use crate::view::{MeshView, Meshes, Record};

/// Decides a change on the newest state. It must be pure: a store may call it more than once, for instance when
/// another writer was faster.
pub type Decide = Box<dyn Fn(Tip<'_>) -> Result<Change, Refusal> + Send>;

/// The newest state of a store, as a decision sees it.
#[derive(Clone, Copy, Debug)]
pub struct Tip<'a> {
    meshes: &'a Meshes,
    revision: u64,
}

impl<'a> Tip<'a> {
    /// The state made of `meshes` as the commit `revision` left it.
    pub fn new(meshes: &'a Meshes, revision: u64) -> Self {
        Self { meshes, revision }
    }

    /// The last commit of this state.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The mesh `name`, if it exists.
    pub fn mesh(&self, name: &MeshName) -> Option<&'a MeshView> {
        self.meshes.get(name).map(Arc::as_ref)
    }

    /// The resource `id`, if it exists.
    pub fn record(&self, id: &ResourceId) -> Option<&'a Arc<Record>> {
        self.mesh(id.mesh_name())?.get(id)
    }

    /// How many meshes `owner` has.
    pub fn mesh_count(&self, owner: Account) -> usize {
        self.meshes.keys().filter(|mesh| mesh.owner() == owner).count()
    }
}

/// What a commit is to do, and the state that it was decided on. A store takes it only as the very next commit of that state: the
/// version of a record alone does not say whether what else the decision looked at, a route's target for instance, is still there.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The revision of the meshes that it was decided on.
    pub on: u64,
    /// What is to be done for each request of the commit, in their order.
    pub parts: Vec<DecidedPart>,
}

/// What is to be done for one request of a commit.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a few live at a time, and are taken apart at once")]
pub enum DecidedPart {
    /// Nothing: its token was spent on it before, and this was its answer.
    Answered(Arc<Record>),
    /// This.
    Change(Change),
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Store a record.
    Put(Write),
    /// Remove the record `id`, which is the one with `uid` at `version`.
    Delete {
        /// Which record.
        id: ResourceId,
        /// The uid it must have.
        uid: String,
        /// The version it must have.
        version: i64,
    },
}

/// A record to store, with what it takes the place of.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The whole record.
    pub record: Record,
    /// The version that is replaced (compare and set); `None` when there must be no record of that identity.
    pub replaces: Option<i64>,
}

/// A client token, which makes a request idempotent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientToken {
    /// The token, unique among the requests about its mesh.
    pub token: String,
    /// The mesh that the request is about. A key of another mesh's neither learns of it nor spends it.
    pub mesh: MeshName,
    /// A hash of everything else in the request, its spec among that.
    pub request: [u8; 32],
    /// The spec that the request asks for, which its answer shows. A store keeps none: the request that comes again has the same.
    pub spec: Spec,
}

/// One commit of one change: how it is decided, and the token that guards it.
pub struct Commit {
    /// The client token, if the request had one. A token that was spent on the same request brings back that
    /// request's answer without deciding anything, as it was the first time whatever came after it (its tags, which no answer
    /// shows, are today's). So it is for as long as the resource it made or changed exists, at most
    /// [`TOKEN_LIFE`](super::TOKEN_LIFE), and until as many tokens as are remembered were spent in the mesh after it; meanwhile
    /// a token that was spent on another request is a conflict.
    pub token: Option<ClientToken>,
    /// The decision.
    pub decide: Decide,
}

/// Decides together the requests whose places it is given, in that order: gives a change for each of them, or what speaks against
/// them. It must be pure, as [`Decide`] must.
pub type DecideTogether = Box<dyn Fn(Tip<'_>, &[usize]) -> Result<Vec<Change>, Vec<Fault>> + Send>;

/// One commit of several changes, all of which are stored or none: a reader sees the state before the first of them or after the
/// last.
pub struct JointCommit {
    /// The client token of each request, as in [`Commit::token`]: a request whose token was spent on it is answered as it was then,
    /// and only the others are decided.
    pub tokens: Vec<Option<ClientToken>>,
    /// The decision.
    pub decide: DecideTogether,
}

/// What speaks against one request of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The place of the request.
    pub part: usize,
    /// The refusal.
    pub refusal: Refusal,
}

impl From<Commit> for JointCommit {
    fn from(Commit { token, decide }: Commit) -> Self {
        let decide: DecideTogether = Box::new(move |tip, parts| match parts {
            [] => Ok(Vec::new()),
            _ => decide(tip).map(|change| vec![change]).map_err(|refusal| vec![Fault { part: 0, refusal }]),
        });
        Self { tokens: vec![token], decide }
    }
}
