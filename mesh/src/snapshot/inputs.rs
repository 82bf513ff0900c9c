//! What a snapshot was made from. Every look-up goes through [`Reader`], which remembers it, so a later view can be
//! asked whether it would give the same snapshot, without making it. Pure.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmesh_model::{
    Collection, GatewayRouteSpec, MeshName, MeshSpec, ResourceId, RouteSpec, Spec, VirtualGatewaySpec,
    VirtualNodeSpec, VirtualRouterSpec, VirtualServiceSpec,
};

use crate::cloud_map::{Discovered, RegisteredInstance, ServiceName};
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
    inputs: RefCell<Inputs>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(view: &'a MeshView, discovered: &'a Discovered, mesh: &'a MeshName) -> Self {
        Self { view, discovered, mesh, inputs: RefCell::default() }
    }

    pub(super) fn into_inputs(self) -> Inputs {
        self.inputs.into_inner()
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

    /// The routes of the virtual router `name`, by name.
    pub(super) fn routes(&self, name: &'a str) -> Vec<FoundInput<'a, RouteSpec>> {
        let records = self.members(Collection::routes(self.mesh, name));
        let found = |record: &'a Arc<Record>| {
            if let Spec::Route(spec) = &record.spec {
                Some(FoundInput { record, spec: spec.as_ref() })
            } else {
                None
            }
        };
        records.into_iter().filter_map(found).collect()
    }

    /// The gateway routes of the virtual gateway `name`, by name.
    pub(super) fn gateway_routes(&self, name: &str) -> Vec<FoundInput<'a, GatewayRouteSpec>> {
        let records = self.members(Collection::gateway_routes(self.mesh, name));
        let found = |record: &'a Arc<Record>| {
            if let Spec::GatewayRoute(spec) = &record.spec {
                Some(FoundInput { record, spec: spec.as_ref() })
            } else {
                None
            }
        };
        records.into_iter().filter_map(found).collect()
    }

    fn members(&self, collection: Collection) -> Vec<&'a Arc<Record>> {
        let records: Vec<&'a Arc<Record>> = self.view.members(&collection).collect();
        let seen = records.iter().map(|record| Arc::clone(record)).collect();
        self.inputs.borrow_mut().members.insert(collection, seen);
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

    fn get(&self, id: ResourceId) -> Option<&'a Arc<Record>> {
        let record = self.view.get(&id);
        self.inputs.borrow_mut().records.insert(id, record.cloned());
        record
    }
}

/// Everything that a snapshot was made from.
#[derive(Debug, Default)]
pub struct Inputs {
    records: BTreeMap<ResourceId, Option<Arc<Record>>>,
    members: BTreeMap<Collection, Vec<Arc<Record>>>,
    instances: BTreeMap<ServiceName, Option<Arc<Vec<RegisteredInstance>>>>,
    /// Services of Cloud Map of which it was asked why they were never discovered. No snapshot depends on that.
    failures: BTreeSet<ServiceName>,
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
}

impl Inputs {
    /// Whether a snapshot made from `view` and `discovered` would be the same.
    pub fn unchanged(&self, view: &MeshView, discovered: &Discovered) -> bool {
        self.records.iter().all(|(id, record)| same(record.as_ref(), view.get(id)))
            && self.members.iter().all(|(collection, seen)| {
                let mut now = view.members(collection);
                seen.iter().all(|record| same(Some(record), now.next())) && now.next().is_none()
            })
            && self.instances.iter().all(|(service, seen)| same(seen.as_ref(), discovered.instances(service)))
    }

    /// What was looked at; of instances of Cloud Map only whether they are known.
    pub(super) fn into_grounds(self) -> Vec<Ground> {
        let records = self.records.into_keys().map(Ground::Record);
        let members = self.members.into_keys().map(Ground::Members);
        let services: BTreeSet<ServiceName> =
            self.failures.into_iter().chain(self.instances.into_keys()).collect();
        records.chain(members).chain(services.into_iter().map(Ground::Service)).collect()
    }

    /// The objects that exist among the inputs.
    pub fn objects(&self) -> BTreeMap<ResourceId, Arc<Record>> {
        let records = self.records.values().flatten().chain(self.members.values().flatten());
        records.map(|record| (record.id.clone(), Arc::clone(record))).collect()
    }
}

fn same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}
