//! Who has an App Mesh name among the resources that claim it. What the endpoint says comes before any time of creation,
//! which a restored backup may turn round; and only what is accepted may take a name that nobody has yet. Pure.

use fleetmesh_crds::management::{
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

/// How good a claim is, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The App Mesh object is tagged as this resource's, or, where no tag is known, the status reports it.
    InForce,
    /// The App Mesh object is tagged as that of an earlier resource of the same kind, namespace and name, which was
    /// created anew since, as after a restored backup.
    Named,
    /// Nothing at the endpoint speaks for it.
    New,
}

/// How good the claim of `object` is. `tagged` is what is known of the App Mesh object's tags; `None` when nothing is, or
/// they name nobody of this cluster.
pub fn standing(object: &Object, tagged: Option<&Tagged>) -> Standing {
    match tagged {
        Some(tagged) if tagged.uid == object.uid => Standing::InForce,
        Some(tagged) if tagged.names(object) => Standing::Named,
        Some(_) => Standing::New,
        None if object.status.uid.is_some() => Standing::InForce,
        None => Standing::New,
    }
}

/// A resource that claims a name.
#[derive(Clone, Copy, Debug)]
pub struct Contender<'a> {
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
    contenders: impl Iterator<Item = Contender<'a>>,
    tagged: Option<&Tagged>,
    acceptable: impl Fn(&'a Object) -> bool,
) -> Option<&'a Object> {
    let mut ranked: Vec<_> = contenders
        .map(|Contender { object, refused }| {
            ((refused, standing(object, tagged), object.created, object.uid.as_str()), object)
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut ranked = ranked.into_iter();
    let best =
        ranked.find(|((_, standing, ..), object)| *standing == Standing::InForce || acceptable(object));
    best.map(|(_, object)| object)
}
