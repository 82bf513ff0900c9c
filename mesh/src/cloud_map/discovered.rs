//! Which services of Cloud Map are in use, and what is known of them. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use fleetmesh_model::service_discovery::{AwsCloudMapServiceDiscovery, ServiceDiscovery};
use serde::{Deserialize, Serialize};

use super::instance::RegisteredInstance;
use crate::view::MeshView;

/// A service of Cloud Map, as `DiscoverInstances` names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceName {
    /// The HTTP name of its namespace.
    pub namespace_name: String,
    /// Its own name.
    pub service_name: String,
}

impl ServiceName {
    /// The service that a virtual node names.
    pub fn of(discovery: &AwsCloudMapServiceDiscovery) -> Self {
        Self {
            namespace_name: discovery.namespace_name.clone(),
            service_name: discovery.service_name.clone(),
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service {:?} in namespace {:?}", self.service_name, self.namespace_name)
    }
}

/// The services that virtual nodes of these meshes name.
pub fn wanted<'a>(meshes: impl IntoIterator<Item = &'a MeshView>) -> BTreeSet<ServiceName> {
    let records = meshes.into_iter().flat_map(|mesh| mesh.resources.values());
    let named = records.filter_map(|record| match record.spec.service_discovery()? {
        ServiceDiscovery::AwsCloudMap(discovery) => Some(ServiceName::of(discovery)),
        ServiceDiscovery::Dns(_) => None,
    });
    named.collect()
}

/// What is known of one service.
#[derive(Clone, Debug, PartialEq)]
pub enum Discovery {
    /// Its instances, as of the last answer of Cloud Map, by id.
    Instances(Arc<Vec<RegisteredInstance>>),
    /// It was never discovered; why the last attempt failed.
    Failed(String),
}

/// What is known of every service that is wanted. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Discovered(Arc<BTreeMap<ServiceName, Discovery>>);

impl Discovered {
    /// The instances of `service`; `None` while it was never discovered.
    pub fn instances(&self, service: &ServiceName) -> Option<&Arc<Vec<RegisteredInstance>>> {
        match self.0.get(service)? {
            Discovery::Instances(instances) => Some(instances),
            Discovery::Failed(_) => None,
        }
    }

    /// Why `service` was never discovered; `None` when it was, or when no attempt has ended yet.
    pub fn failure(&self, service: &ServiceName) -> Option<&str> {
        match self.0.get(service)? {
            Discovery::Instances(_) => None,
            Discovery::Failed(reason) => Some(reason),
        }
    }

    /// The services whose instances are known.
    pub fn lists(&self) -> impl Iterator<Item = (&ServiceName, &Arc<Vec<RegisteredInstance>>)> {
        self.0.iter().filter_map(|(service, discovery)| match discovery {
            Discovery::Instances(instances) => Some((service, instances)),
            Discovery::Failed(_) => None,
        })
    }

    /// Takes in the outcome of an attempt; says whether that changed anything. A failure changes no list, and a list of
    /// the same instances stays the one that it was, so that nothing is made anew from it.
    pub fn enter(&mut self, service: &ServiceName, outcome: Discovery) -> bool {
        let changed = match (self.0.get(service), &outcome) {
            (Some(Discovery::Instances(_)), Discovery::Failed(_)) => false,
            (known, outcome) => known != Some(outcome),
        };
        if changed {
            Arc::make_mut(&mut self.0).insert(service.clone(), outcome);
        }
        changed
    }

    /// Forgets every service that is not in `wanted`; says whether there was one.
    pub fn retain(&mut self, wanted: &BTreeSet<ServiceName>) -> bool {
        let all = self.0.keys().all(|service| wanted.contains(service));
        if !all {
            Arc::make_mut(&mut self.0).retain(|service, _| wanted.contains(service));
        }
        !all
    }

    /// Whether both are the same, not merely equal.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl FromIterator<(ServiceName, Discovery)> for Discovered {
    fn from_iter<I: IntoIterator<Item = (ServiceName, Discovery)>>(discoveries: I) -> Self {
        Self(Arc::new(discoveries.into_iter().collect()))
    }
}
