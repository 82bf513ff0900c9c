//! Quotas: how many resources of a kind may exist. Own deployments have none unless they are configured. Pure.

use std::str::FromStr;

use fleetmesh_model::{Kind, ResourceId};

use crate::refusal::{Class, Refusal};
use crate::store::Tip;
use crate::view::MeshView;

/// One quota, as `--quota NAME=COUNT` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The kind that is counted: meshes in the account, the others in what they lie in.
    pub kind: Kind,
    /// The most there may be.
    pub count: usize,
}

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Kind::ALL.map(|kind| kind.info().quota).join(", ");
        let expected = || format!("{text:?} is not NAME=COUNT with NAME one of {names} and COUNT a number");
        let (name, count) = text.split_once('=').ok_or_else(expected)?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.info().quota == name).ok_or_else(expected)?;
        Ok(Self { kind, count: count.parse().map_err(|_| expected())? })
    }
}

/// All quotas; the last one of a kind counts.
#[derive(Clone, Debug, Default)]
pub struct Quotas(Vec<Quota>);

impl Quotas {
    /// These quotas.
    pub fn new(quotas: Vec<Quota>) -> Self {
        Self(quotas)
    }

    /// Refuses the new resource `id` when its quota is used up.
    ///
    /// # Errors
    /// Limit exceeded, naming the quota and its bound.
    pub fn admit(&self, tip: Tip<'_>, id: &ResourceId) -> Result<(), Refusal> {
        self.bound(id, || used(tip, id).saturating_add(1))
    }

    /// Refuses the new resource `id` of `mesh`, in which it is already, when there are more than its quota allows.
    ///
    /// # Errors
    /// As of [`Self::admit`].
    pub fn hold(&self, mesh: &MeshView, id: &ResourceId) -> Result<(), Refusal> {
        self.bound(id, || mesh.members(&id.collection()).count())
    }

    /// Refuses `id` when there are `used` with it and its quota is less. Nothing is counted without a quota.
    fn bound(&self, id: &ResourceId, used: impl FnOnce() -> usize) -> Result<(), Refusal> {
        let kind = id.kind();
        let Some(Quota { count, .. }) = self.0.iter().rev().find(|quota| quota.kind == kind) else {
            return Ok(());
        };
        if used() <= *count {
            return Ok(());
        }
        let within = id.parent().map(|parent| format!(" in {parent}")).unwrap_or_default();
        let name = kind.info().quota;
        Err(Refusal::new(
            Class::LimitExceeded,
            format!(
                "{id}: the quota of {count} {name}{within} is used up; delete one, or start the control plane with a \
                 greater --quota {name}=COUNT"
            ),
        ))
    }
}

/// How many resources count against the quota of `id`.
fn used(tip: Tip<'_>, id: &ResourceId) -> usize {
    if id.kind() == Kind::Mesh {
        return tip.mesh_count(id.mesh_name().owner());
    }
    tip.mesh(id.mesh_name()).map_or(0, |mesh| mesh.members(&id.collection()).count())
}
