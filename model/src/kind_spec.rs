//! What the specs of all kinds have in common. Pure.

use crate::reference::NamedResources;
use crate::rule::Violations;
use crate::service_discovery::ServiceDiscovery;

/// What the spec of each kind has to say. Nothing has a default, so that a kind that is added says all of it.
pub(crate) trait KindSpec: Sized {
    /// Records the rules, beyond the schema's bounds, that the spec breaks; it stands at `path`.
    fn check(&self, path: &str, violations: &mut Violations);

    /// Names the resources that the spec names, apart from the parent.
    fn names(&self, names: &mut NamedResources<'_>);

    /// Fills in the defaults that App Mesh shows.
    fn fill_in(&mut self);

    /// How the resource is discovered, if it can say that.
    fn service_discovery(&self) -> Option<&ServiceDiscovery>;

    /// The spec without the resources called `gone`; `None` when it cannot be without what it names.
    fn without(&self, gone: &dyn Fn(&str) -> bool) -> Option<Self>;
}
