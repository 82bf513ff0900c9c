//! What a snapshot was made from. Every look-up goes through [`Reader`], which remembers it, so a later view can be
//! asked whether it would give the same snapshot, without making it. Pure.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use fleetmesh_model::listener::Listener;
use fleetmesh_model::tls::ListenerTls;
use fleetmesh_model::{
    Collection, GatewayRouteSpec, MeshName, MeshSpec, ResourceId, RouteSpec, Spec, VirtualGatewaySpec,
    VirtualNodeSpec, VirtualRouterSpec, VirtualServiceSpec,
};

use super::refused::{self, Fate};
use super::transition::{self, Transition};
use crate::cloud_map::{Discovered, RegisteredInstance, ServiceName};
use crate::form::Form;
use crate::view::{MeshView, Record};

/// A record together with its spec, already taken out of the [`Spec`] of any kind.
#[derive(Debug)]
pub(super) struct FoundInput<'a, S> {
    pub(super) record: &'a Arc<Record>,
    pub(super) spec: &'a S,
}

impl<S> Clone for FoundInput<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for FoundInput<'_, S> {}

/// Reads a view of one mesh and remembers what it read, absent objects too.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    view: &'a MeshView,
    discovered: &'a Discovered,
    pub(super) mesh: &'a MeshName,
    transition: &'a Transition,
    /// Whether `view` is an earlier one, of a virtual service that is delayed.
    earlier: bool,
    /// Shared with the readers of earlier views.
    inputs: Rc<RefCell<Inputs>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(view: &'a MeshView, discovered: &'a Discovered, mesh: &'a MeshName) -> Self {
        Self::during(view, &transition::NONE, discovered, mesh)
    }

    /// A reader that also reads what differs from `view` during `transition`.
    pub(super) fn during(
        view: &'a MeshView,
        transition: &'a Transition,
        discovered: &'a Discovered,
        mesh: &'a MeshName,
    ) -> Self {
        Self { view, discovered, mesh, transition, earlier: false, inputs: Rc::default() }
    }

    /// A reader of the view in which callers get the virtual service `name`.
    pub(super) fn towards(&self, name: &str) -> Self {
        let delayed = &self.transition.delayed;
        let earlier = if delayed.is_empty() {
            None
        } else {
            delayed.get_key_value(&ResourceId::virtual_service(self.mesh, name))
        };
        if let Some((service, view)) = earlier {
            self.inputs.borrow_mut().delayed.insert(service.clone(), Arc::clone(view));
        }
        Self {
            view: earlier.map_or(self.view, |(_, view)| view),
            earlier: self.earlier || earlier.is_some(),
            inputs: Rc::clone(&self.inputs),
            ..*self
        }
    }

    /// Whether it reads an earlier view.
    pub(super) fn is_earlier(&self) -> bool {
        self.earlier
    }

    /// The listeners of the virtual node `node` that it has no longer and that are still served.
    pub(super) fn closing(&self, node: &ResourceId) -> Vec<&'a Listener> {
        let Some(closing) = self.transition.closing.get(node) else { return Vec::new() };
        self.inputs.borrow_mut().closing.clone_from(closing);
        closing.iter().filter_map(|(port, record)| transition::listener(record, *port)).collect()
    }

    /// The TLS of a listener of `node` that callers use: none while they wait for its proxies to run that.
    pub(super) fn callers_tls(&self, node: &ResourceId, listener: &'a Listener) -> Option<&'a ListenerTls> {
        let tls = listener.tls.as_ref();
        if !transition::is_permissive(listener) {
            return tls;
        }
        let port = listener.port_mapping.port;
        let waits = self.transition.plaintext(node, port);
        self.inputs.borrow_mut().waits.entry(node.clone()).or_default().insert(port, waits.cloned());
        tls.filter(|_| waits.is_none())
    }

    pub(super) fn into_inputs(self) -> Inputs {
        self.inputs.take()
    }

    pub(super) fn mesh_spec(&self) -> Option<FoundInput<'a, MeshSpec>> {
        let record = self.get(ResourceId::mesh(self.mesh))?;
        if let Spec::Mesh(spec) = &record.spec { Some(FoundInput { record, spec }) } else { None }
    }

    pub(super) fn virtual_node(&self, name: &str) -> Option<FoundInput<'a, VirtualNodeSpec>> {
        let record = self.get(ResourceId::virtual_node(self.mesh, name))?;
        if let Spec::VirtualNode(spec) = &record.spec { Some(FoundInput { record, spec }) } else { None }
    }

    pub(super) fn virtual_service(&self, name: &str) -> Option<FoundInput<'a, VirtualServiceSpec>> {
        let record = self.get(ResourceId::virtual_service(self.mesh, name))?;
        if let Spec::VirtualService(spec) = &record.spec { Some(FoundInput { record, spec }) } else { None }
    }

    pub(super) fn virtual_router(&self, name: &str) -> Option<FoundInput<'a, VirtualRouterSpec>> {
        let record = self.get(ResourceId::virtual_router(self.mesh, name))?;
        if let Spec::VirtualRouter(spec) = &record.spec { Some(FoundInput { record, spec }) } else { None }
    }

    pub(super) fn virtual_gateway(&self, name: &str) -> Option<FoundInput<'a, VirtualGatewaySpec>> {
        let record = self.get(ResourceId::virtual_gateway(self.mesh, name))?;
        if let Spec::VirtualGateway(spec) = &record.spec { Some(FoundInput { record, spec }) } else { None }
    }

    /// The routes of the virtual router `name` that are served, by name.
    pub(super) fn routes(&self, name: &'a str) -> Vec<FoundInput<'a, RouteSpec>> {
        let records = self.members(Collection::routes(self.mesh, name));
        let found = |record: &'a Arc<Record>| {
            if let Spec::Route(spec) = &record.spec {
                Some(FoundInput { record, spec: spec.as_ref() })
            } else {
                None
            }
        };
        records.into_iter().filter(served).filter_map(found).collect()
    }

    /// The route `name` of the virtual gateway `gateway`.
    pub(super) fn gateway_route(
        &self,
        gateway: &str,
        name: &str,
    ) -> Option<FoundInput<'a, GatewayRouteSpec>> {
        let record = self.get(ResourceId::gateway_route(self.mesh, gateway, name)).filter(served)?;
        if let Spec::GatewayRoute(spec) = &record.spec { Some(FoundInput { record, spec }) } else { None }
    }

    /// The gateway routes of the virtual gateway `name` that are served, by name.
    pub(super) fn gateway_routes(&self, name: &str) -> Vec<FoundInput<'a, GatewayRouteSpec>> {
        let records = self.members(Collection::gateway_routes(self.mesh, name));
        let found = |record: &'a Arc<Record>| {
            if let Spec::GatewayRoute(spec) = &record.spec {
                Some(FoundInput { record, spec: spec.as_ref() })
            } else {
                None
            }
        };
        records.into_iter().filter(served).filter_map(found).collect()
    }

    fn members(&self, collection: Collection) -> Vec<&'a Arc<Record>> {
        let records: Vec<&'a Arc<Record>> = self.view.members(&collection).collect();
        let seen = records.iter().map(|record| Arc::clone(record));
        let mut inputs = self.inputs.borrow_mut();
        if self.earlier {
            inputs.earlier.extend(seen.map(|record| (record.id.clone(), record)));
        } else {
            inputs.members.insert(collection, seen.collect());
        }
        records
    }

    /// The instances of a service of Cloud Map; `None` while it was never discovered.
    pub(super) fn instances(&self, service: &ServiceName) -> Option<&'a Arc<Vec<RegisteredInstance>>> {
        let instances = self.discovered.instances(service);
        self.inputs.borrow_mut().instances.insert(service.clone(), instances.cloned());
        instances
    }

    /// Why a service of Cloud Map was never discovered.
    pub(super) fn discovery_failure(&self, service: &ServiceName) -> Option<&'a str> {
        self.inputs.borrow_mut().failures.insert(service.clone());
        self.discovered.failure(service)
    }

    /// The form in which the proxies of `record` get their configuration.
    pub(super) fn form(&self, record: &Record) -> Form {
        self.view.form(record)
    }

    /// The certificate of an authority of ACM PCA; `None` while it was never read.
    pub(super) fn authority(&self, arn: &str) -> Option<&'a Arc<str>> {
        let found = self.discovered.authority(arn);
        self.inputs.borrow_mut().authorities.insert(arn.to_owned(), found.cloned());
        found
    }

    /// Why the certificate of an authority is not known; `None` when it is.
    pub(super) fn unread(&self, arn: &str) -> Option<String> {
        self.authority(arn);
        unread(self.discovered, arn)
    }

    fn get(&self, id: ResourceId) -> Option<&'a Arc<Record>> {
        let record = self.view.get(&id);
        let mut inputs = self.inputs.borrow_mut();
        if self.earlier {
            inputs.earlier.extend(record.map(|record| (id, Arc::clone(record))));
        } else {
            inputs.records.insert(id, record.cloned());
        }
        record
    }
}

/// Whether a route is not left out.
fn served(route: &&Arc<Record>) -> bool {
    refused::fate(&route.spec) != Fate::LeftOut
}

/// Why the certificate of the authority `arn` is not known; `None` when it is.
pub(super) fn unread(discovered: &Discovered, arn: &str) -> Option<String> {
    if discovered.authority(arn).is_some() {
        return None;
    }
    Some(discovered.authority_failure(arn).unwrap_or("it was not asked for yet").to_owned())
}

/// The version of a node to whose port callers speak plaintext, if they had one.
type InPlaintext = Option<Arc<Record>>;

/// Everything that a snapshot was made from.
#[derive(Debug, Default)]
pub struct Inputs {
    records: BTreeMap<ResourceId, Option<Arc<Record>>>,
    members: BTreeMap<Collection, Vec<Arc<Record>>>,
    instances: BTreeMap<ServiceName, Option<Arc<Vec<RegisteredInstance>>>>,
    /// The certificates of authorities, by ARN.
    authorities: BTreeMap<String, Option<Arc<str>>>,
    /// Services of Cloud Map of which it was asked why they were never discovered. No snapshot depends on that.
    failures: BTreeSet<ServiceName>,
    /// The virtual services that were read in an earlier view, and in which one.
    delayed: BTreeMap<ResourceId, Arc<MeshView>>,
    /// What was read in earlier views, which never change.
    earlier: BTreeMap<ResourceId, Arc<Record>>,
    /// The ports that are served though the node has no listener on them any more.
    closing: BTreeMap<i32, Arc<Record>>,
    /// Whether callers speak plaintext to ports that take TLS as well, and as what version of the node they have these then.
    waits: BTreeMap<ResourceId, BTreeMap<i32, Option<InPlaintext>>>,
}

/// Something that what is not served of an object was worked out from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ground {
    /// An object, or that there is none of that identity.
    Record(ResourceId),
    /// Which members a collection has.
    Members(Collection),
    /// Whether a service of Cloud Map was ever discovered, and why not.
    Service(ServiceName),
    /// The certificate of an authority, or why it was never read.
    Authority(String),
}

impl Inputs {
    /// Whether a snapshot of `node` made from `view` and `discovered` during `transition` would be the same.
    pub(super) fn unchanged(
        &self,
        node: &ResourceId,
        view: &MeshView,
        transition: &Transition,
        discovered: &Discovered,
    ) -> bool {
        self.is_during(node, transition) && self.is_of(view, discovered)
    }

    /// Whether `transition` says what was read of it.
    fn is_during(&self, node: &ResourceId, transition: &Transition) -> bool {
        let Transition { delayed, closing, plaintext: _ } = transition;
        let read =
            |service: &ResourceId| self.records.contains_key(service) || self.delayed.contains_key(service);
        let none = BTreeMap::new();
        delayed
            .iter()
            .filter(|(service, _)| read(service))
            .all(|(service, view)| same(self.delayed.get(service), Some(view)))
            && self.delayed.keys().all(|service| delayed.contains_key(service))
            && transition::same_each(&self.closing, closing.get(node).unwrap_or(&none))
            && self.waits.iter().all(|(node, ports)| {
                ports.iter().all(|(port, seen)| match (seen, transition.plaintext(node, *port)) {
                    (Some(seen), Some(now)) => same(seen.as_ref(), now.as_ref()),
                    (seen, now) => seen.is_none() && now.is_none(),
                })
            })
    }

    /// Whether something of it is as it was in an earlier view.
    pub(super) fn is_delayed(&self) -> bool {
        !self.delayed.is_empty() || self.waits.values().flat_map(BTreeMap::values).any(Option::is_some)
    }

    fn is_of(&self, view: &MeshView, discovered: &Discovered) -> bool {
        self.records.iter().all(|(id, record)| same(record.as_ref(), view.get(id)))
            && self.members.iter().all(|(collection, seen)| {
                let mut now = view.members(collection);
                seen.iter().all(|record| same(Some(record), now.next())) && now.next().is_none()
            })
            && self.instances.iter().all(|(service, seen)| same(seen.as_ref(), discovered.instances(service)))
            && self.authorities.iter().all(|(arn, seen)| same(seen.as_ref(), discovered.authority(arn)))
    }

    /// What was looked at; of instances of Cloud Map only whether they are known.
    pub(super) fn into_grounds(self) -> Vec<Ground> {
        let records = self.records.into_keys().map(Ground::Record);
        let members = self.members.into_keys().map(Ground::Members);
        let services: BTreeSet<ServiceName> =
            self.failures.into_iter().chain(self.instances.into_keys()).collect();
        let services = services.into_iter().map(Ground::Service);
        let authorities = self.authorities.into_keys().map(Ground::Authority);
        records.chain(members).chain(services).chain(authorities).collect()
    }

    /// The objects that exist among the inputs, each in the version that is in force: the earlier one of those that were read in
    /// several views. One of which it is not known what that is, but not the newest, is not among them.
    pub fn objects(&self) -> BTreeMap<ResourceId, Arc<Record>> {
        let records = self.records.values().flatten().chain(self.members.values().flatten());
        let waits = self.waits.values().flat_map(BTreeMap::values).flatten().flatten();
        let records = records.chain(self.earlier.values()).chain(waits);
        let mut objects: BTreeMap<ResourceId, Arc<Record>> =
            records.map(|record| (record.id.clone(), Arc::clone(record))).collect();
        let unknown = |wait: &Option<InPlaintext>| wait.as_ref().is_some_and(Option::is_none);
        objects.retain(|id, _| !self.waits.get(id).is_some_and(|ports| ports.values().any(unknown)));
        objects
    }
}

fn same<T: ?Sized>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}
