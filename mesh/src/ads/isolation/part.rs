//! The parts that answers are made of, as far as one can be withheld without the others. Pure.
//!
//! Of a route configuration these are its virtual hosts, so that one service does not take down the others of its port;
//! of every other type its resources.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, VirtualHost};
use envoy_types::pb::google::protobuf::Any;
use fleetmesh_model::{ResourceId, Spec};
use prost::Message;

use crate::snapshot::{Resource, ResourceType, Snapshot};

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub(super) kind: ResourceType,
    /// The name of the resource.
    pub(super) resource: String,
    /// The name of the virtual host; none for the whole resource.
    pub(super) host: Option<String>,
}

/// The parts of a resource.
pub(super) type Forms = BTreeMap<Part, Arc<Resource>>;

/// A resource of a snapshot.
type Decoded = (*const Snapshot, ResourceType, String);

/// Splits each resource once, however many parts of it are asked for, while the snapshots that it is asked about are kept.
#[derive(Default)]
pub(super) struct Decoder {
    known: RefCell<HashMap<Decoded, Rc<Forms>>>,
}

impl Decoder {
    /// The parts of the resource `name` of `snapshot`; nothing when it is not there.
    pub(super) fn forms(&self, snapshot: &Snapshot, kind: ResourceType, name: &str) -> Rc<Forms> {
        let key = (std::ptr::from_ref(snapshot), kind, name.to_owned());
        if let Some(known) = self.known.borrow().get(&key) {
            return Rc::clone(known);
        }
        let resource = snapshot.content(kind).resources.get(name);
        let made = Rc::new(resource.map(|resource| forms(snapshot, kind, resource)).unwrap_or_default());
        self.known.borrow_mut().insert(key, Rc::clone(&made));
        made
    }

    /// The form of `part` in `snapshot`.
    pub(super) fn form(&self, snapshot: &Snapshot, part: &Part) -> Option<Arc<Resource>> {
        self.forms(snapshot, part.kind, &part.resource).get(part).cloned()
    }
}

/// The parts of a resource of `snapshot`, each as a resource of its own: a virtual host with the clusters that it refers to and
/// the objects that it is made from.
fn forms(snapshot: &Snapshot, kind: ResourceType, resource: &Arc<Resource>) -> Forms {
    let part = |host| Part { kind, resource: resource.name.clone(), host };
    let whole = || BTreeMap::from([(part(None), Arc::clone(resource))]);
    let Some(configuration) = configuration(kind, resource) else { return whole() };
    let count = configuration.virtual_hosts.len();
    let forms: Forms = configuration
        .virtual_hosts
        .iter()
        .map(|host| (part(Some(host.name.clone())), Arc::new(form(snapshot, resource, host))))
        .collect();
    // Two of one name cannot be distinguished.
    if forms.len() == count { forms } else { whole() }
}

/// A virtual host as a resource.
fn form(snapshot: &Snapshot, resource: &Resource, host: &VirtualHost) -> Resource {
    Resource::new(host.name.clone(), host, clusters(host), objects(snapshot, resource, &host.name))
}

/// The virtual host that a form of one holds.
pub(super) fn virtual_host(form: &Resource) -> Option<VirtualHost> {
    let any = Any::decode(form.body().clone()).ok()?;
    VirtualHost::decode(any.value.as_slice()).ok()
}

/// What a resource of type `kind` says, if that is a route configuration.
pub(super) fn configuration(kind: ResourceType, resource: &Resource) -> Option<RouteConfiguration> {
    if kind != ResourceType::Route {
        return None;
    }
    let any = Any::decode(resource.body().clone()).ok()?;
    RouteConfiguration::decode(any.value.as_slice()).ok()
}

/// The clusters that a virtual host refers to.
fn clusters(host: &VirtualHost) -> BTreeSet<String> {
    let actions = host.routes.iter().filter_map(|route| match &route.action {
        Some(Action::Route(action)) => action.cluster_specifier.as_ref(),
        _ => None,
    });
    let named = actions.flat_map(|specifier| match specifier {
        ClusterSpecifier::Cluster(name) => vec![name.clone()],
        ClusterSpecifier::WeightedClusters(weighted) => {
            weighted.clusters.iter().map(|cluster| cluster.name.clone()).collect()
        }
        _ => Vec::new(),
    });
    named.collect()
}

/// The objects that a virtual host is made from: the virtual service of its name with its provider and that one's routes; all
/// of the resource's where no virtual service has the name, and at a gateway, where it is what requests name.
fn objects(snapshot: &Snapshot, resource: &Resource, host: &str) -> BTreeSet<ResourceId> {
    let mesh = snapshot.node.mesh_name();
    let service = ResourceId::virtual_service(mesh, host);
    let of_gateway = resource.objects.iter().any(|id| id.parent().as_ref() == Some(&snapshot.node));
    if of_gateway || !resource.objects.contains(&service) {
        return resource.objects.clone();
    }
    let provider = snapshot.objects.get(&service).and_then(|record| {
        let Spec::VirtualService(spec) = &record.spec else { return None };
        spec.provider.as_ref()
    });
    let mut objects = BTreeSet::from([service]);
    if let Some(provider) = provider {
        let provider = provider.resource(mesh);
        objects.extend(resource.objects.iter().filter(|id| id.parent().as_ref() == Some(&provider)).cloned());
        objects.insert(provider);
    }
    objects
}
