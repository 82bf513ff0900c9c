//! Rules between objects, as pure functions of a mesh and the requested change. They run on the state that the change is committed
//! on, so what they checked holds for what is stored. Of changes that are decided together they run on the state after all of them.

mod in_use;
mod owners;
mod ports;
mod references;
mod tags;

use std::collections::BTreeSet;
use std::fmt;

use fleetmesh_model::{KINDS, Kind, ResourceId, Spec};

use crate::refusal::Refusal;
use crate::view::MeshView;

pub use owners::{may_change, may_create, may_delete};
pub use references::absent;
pub use tags::tag_count;

/// What resources of one kind have to fit of others, besides that these exist.
pub struct Rule {
    /// The kinds of what they have to fit.
    pub against: &'static [Kind],
    check: fn(&MeshView, &ResourceId, &Spec) -> Result<(), Refusal>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("against", &self.against).finish_non_exhaustive()
    }
}

/// The rules that a write of a resource of `kind` has to pass.
pub fn of(kind: Kind) -> &'static [Rule] {
    match kind {
        Kind::Route => &[
            Rule { against: &[Kind::VirtualRouter], check: ports::route_fits_router },
            Rule { against: &[Kind::VirtualNode], check: ports::route_fits_nodes },
        ],
        Kind::VirtualRouter => &[Rule { against: &[Kind::Route], check: ports::routes_fit_router }],
        Kind::VirtualNode => &[Rule { against: &[Kind::Route], check: ports::routes_fit_node }],
        Kind::GatewayRoute => &[Rule {
            against: &[Kind::VirtualService, Kind::VirtualNode, Kind::VirtualRouter],
            check: ports::gateway_route_is_clear,
        }],
        Kind::Mesh | Kind::VirtualService | Kind::VirtualGateway => &[],
    }
}

/// Each pair of kinds such that something stored of the second may stand in the way of a write or a deletion of the first.
pub fn pairs() -> BTreeSet<(Kind, Kind)> {
    let named = |kind: Kind| {
        KINDS.iter().zip(Kind::ALL).filter_map(move |(info, user)| {
            (info.parent == Some(kind) || info.requires.contains(&kind)).then_some(user)
        })
    };
    let exist_and_in_use =
        Kind::ALL.into_iter().flat_map(|kind| named(kind).flat_map(move |user| [(user, kind), (kind, user)]));
    let fit = Kind::ALL.into_iter().flat_map(|kind| {
        of(kind).iter().flat_map(move |rule| rule.against.iter().map(move |other| (kind, *other)))
    });
    exist_and_in_use.chain(fit).collect()
}

/// Whether `mesh` admits a resource `id` with `spec`, new or in the place of what it has.
///
/// # Errors
/// Not found when something it needs does not exist; a bad request when a port or protocol does not fit what it
/// refers to; a conflict when routes that exist would no longer fit it.
pub fn admit(mesh: &MeshView, id: &ResourceId, spec: &Spec) -> Result<(), Refusal> {
    references::exist(mesh, id, spec)?;
    of(spec.kind()).iter().try_for_each(|rule| (rule.check)(mesh, id, spec))
}

/// Whether `mesh` lets go of `id`.
///
/// # Errors
/// Resource in use, naming those that use it.
pub fn release(mesh: &MeshView, id: &ResourceId) -> Result<(), Refusal> {
    in_use::release(mesh, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pairs_are_those_of_the_table_and_of_the_rules() {
        let pairs = pairs();
        for pair in [
            (Kind::Route, Kind::VirtualRouter),
            (Kind::VirtualRouter, Kind::Route),
            (Kind::VirtualNode, Kind::Route),
            (Kind::VirtualService, Kind::VirtualRouter),
            (Kind::GatewayRoute, Kind::VirtualNode),
            (Kind::Mesh, Kind::VirtualNode),
        ] {
            assert!(pairs.contains(&pair), "{pair:?} in {pairs:?}");
        }
        assert!(!pairs.contains(&(Kind::Mesh, Kind::Route)), "it lies in something else");
        assert!(!pairs.contains(&(Kind::VirtualNode, Kind::GatewayRoute)), "it refuses nobody");
    }
}
