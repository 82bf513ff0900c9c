//! Which resource holds an App Mesh name when several claim it. The endpoint's answer has priority over creation times, which a
//! restored backup may reverse; and only an accepted resource may take a free name. Pure.

use fleetmesh_api::tags::{
    OWNER_CLUSTER_TAG, OWNER_KIND_TAG, OWNER_NAME_TAG, OWNER_NAMESPACE_TAG, OWNER_UID_TAG,
};
use fleetmesh_model::tag::Tags;

use crate::object::Object;

/// The resource of this cluster that made an App Mesh object, as the object's tags name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    uid: String,
    kind: String,
    namespace: Option<String>,
    name: String,
}

impl Tagged {
    /// What `tags` say; `None` when they name no resource of the cluster `cluster`.
    pub fn of(tags: &Tags, cluster: &str) -> Option<Self> {
        if tags.get(OWNER_CLUSTER_TAG).map(String::as_str) != Some(cluster) {
            return None;
        }
        Some(Self {
            uid: tags.get(OWNER_UID_TAG)?.clone(),
            kind: tags.get(OWNER_KIND_TAG).cloned().unwrap_or_default(),
            namespace: tags.get(OWNER_NAMESPACE_TAG).cloned(),
            name: tags.get(OWNER_NAME_TAG).cloned().unwrap_or_default(),
        })
    }

    /// What the tags say when `object` has just written them.
    pub fn by(object: &Object) -> Self {
        Self {
            uid: object.uid.clone(),
            kind: object.key.kind.as_str().to_owned(),
            namespace: object.key.namespace.clone(),
            name: object.key.name.clone(),
        }
    }

    fn names(&self, object: &Object) -> bool {
        let key = &object.key;
        self.kind == key.kind.as_str() && self.namespace == key.namespace && self.name == key.name
    }
}

/// What the tags of an App Mesh object say of who made it, as far as this process read or wrote them. Nothing that a status
/// says takes their place: a status could have been written by anybody who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker<'a> {
    /// They were not read yet.
    Unread,
    /// There is no object.
    NoResource,
    /// Its tags name no resource of this cluster.
    Elsewhere,
    /// This resource.
    Resource(&'a Tagged),
}

impl Maker<'_> {
    /// Whether the tags name `object` as the maker.
    pub fn is(&self, object: &Object) -> bool {
        matches!(self, Self::Resource(tagged) if tagged.uid == object.uid)
    }
}

/// How good a claim is, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The App Mesh object is tagged as this resource's.
    InForce,
    /// The App Mesh object is tagged as that of an earlier resource of the same kind, namespace and name, which was
    /// created anew since, as after a restored backup.
    Named,
    /// The tags were not read yet, and the status reports the object. It holds a name that nobody else claims until they
    /// are.
    Reported,
    /// Nothing at the endpoint speaks for it.
    New,
}

/// How good the claim of `object` to a name is whose App Mesh object was made by `maker`.
pub fn standing(object: &Object, maker: Maker<'_>) -> Standing {
    match maker {
        Maker::Resource(_) if maker.is(object) => Standing::InForce,
        Maker::Resource(tagged) if tagged.names(object) => Standing::Named,
        Maker::Unread if object.status.uid.is_some() => Standing::Reported,
        Maker::Resource(_) | Maker::NoResource | Maker::Elsewhere | Maker::Unread => Standing::New,
    }
}

/// A resource that claims a name.
#[derive(Clone, Copy, Debug)]
pub struct NameContender<'a> {
    /// The resource.
    pub object: &'a Object,
    /// Whether the mesh refuses its namespace.
    pub refused: bool,
}

/// Which of those that claim an App Mesh name has it. One that is in force keeps it, whatever becomes of its spec or its
/// permissions; only when the mesh refuses its namespace does it make room for one that is acceptable. Of others, only
/// acceptable ones count: the one that the endpoint names, then the oldest, then the smallest uid.
///
/// `acceptable` says whether one could be written: valid, in a mesh that allows its namespace, and permitted to name what it
/// names. It is asked in the order of rank and only until one has the name, because it may cost much.
pub fn holder<'a>(
    contenders: impl Iterator<Item = NameContender<'a>>,
    maker: Maker<'_>,
    acceptable: impl Fn(&'a Object) -> bool,
) -> Option<&'a Object> {
    let mut ranked: Vec<_> = contenders
        .map(|NameContender { object, refused }| {
            ((refused, standing(object, maker), object.created, object.uid.as_str()), object)
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut ranked = ranked.into_iter();
    let stands = |standing: Standing| matches!(standing, Standing::InForce | Standing::Reported);
    let best = ranked.find(|((_, standing, ..), object)| stands(*standing) || acceptable(object));
    best.map(|(_, object)| object)
}
