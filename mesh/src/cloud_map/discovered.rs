//! Which services of Cloud Map are in use, what is known of them, and of what else AWS is asked about ([`Authority`]). Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use fleetmesh_model::service_discovery::{AwsCloudMapServiceDiscovery, ServiceDiscovery};
use serde::{Deserialize, Serialize};

use super::instance::RegisteredInstance;
use crate::authorities::{Authority, Wanted};
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

/// What is known of every service and every authority that is wanted. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Discovered {
    services: Arc<BTreeMap<ServiceName, Discovery>>,
    /// By ARN.
    authorities: Arc<BTreeMap<String, Authority>>,
}

impl Discovered {
    /// The instances of `service`; `None` while it was never discovered.
    pub fn instances(&self, service: &ServiceName) -> Option<&Arc<Vec<RegisteredInstance>>> {
        match self.services.get(service)? {
            Discovery::Instances(instances) => Some(instances),
            Discovery::Failed(_) => None,
        }
    }

    /// Why `service` was never discovered; `None` when it was, or when no attempt has ended yet.
    pub fn failure(&self, service: &ServiceName) -> Option<&str> {
        match self.services.get(service)? {
            Discovery::Instances(_) => None,
            Discovery::Failed(reason) => Some(reason),
        }
    }

    /// The services whose instances are known.
    pub fn lists(&self) -> impl Iterator<Item = (&ServiceName, &Arc<Vec<RegisteredInstance>>)> {
        self.services.iter().filter_map(|(service, discovery)| match discovery {
            Discovery::Instances(instances) => Some((service, instances)),
            Discovery::Failed(_) => None,
        })
    }

    /// Takes in the outcome of an attempt; says whether that changed anything. A failure changes no list, and a list of
    /// the same instances stays the one that it was, so that nothing is made anew from it.
    pub fn enter(&mut self, service: &ServiceName, outcome: Discovery) -> bool {
        let changed = match (self.services.get(service), &outcome) {
            (Some(Discovery::Instances(_)), Discovery::Failed(_)) => false,
            (known, outcome) => known != Some(outcome),
        };
        if changed {
            Arc::make_mut(&mut self.services).insert(service.clone(), outcome);
        }
        changed
    }

    /// Forgets every service that is not in `wanted`; says whether there was one.
    pub fn retain(&mut self, wanted: &BTreeSet<ServiceName>) -> bool {
        let all = self.services.keys().all(|service| wanted.contains(service));
        if !all {
            Arc::make_mut(&mut self.services).retain(|service, _| wanted.contains(service));
        }
        !all
    }

    /// The certificate of the authority with this ARN, in PEM; `None` while it was never read.
    pub fn authority(&self, arn: &str) -> Option<&Arc<str>> {
        match self.authorities.get(arn)? {
            Authority::Certificate(pem) => Some(pem),
            Authority::Failed(_) => None,
        }
    }

    /// Why the authority with this ARN was never read; `None` when it was, or when no attempt has ended yet.
    pub fn authority_failure(&self, arn: &str) -> Option<&str> {
        match self.authorities.get(arn)? {
            Authority::Certificate(_) => None,
            Authority::Failed(reason) => Some(reason),
        }
    }

    /// The authorities that were read, by ARN, each with its certificate in PEM.
    pub fn authorities(&self) -> impl Iterator<Item = (&String, &Arc<str>)> {
        self.authorities.iter().filter_map(|(arn, authority)| match authority {
            Authority::Certificate(pem) => Some((arn, pem)),
            Authority::Failed(_) => None,
        })
    }

    /// Takes in the outcome of an attempt to read an authority; says whether that changed anything. A failure takes away no
    /// certificate: what was trusted is no less true of it.
    pub fn enter_authority(&mut self, arn: &str, outcome: Authority) -> bool {
        let changed = match (self.authorities.get(arn), &outcome) {
            (Some(Authority::Certificate(_)), Authority::Failed(_)) => false,
            (known, outcome) => known != Some(outcome),
        };
        if changed {
            Arc::make_mut(&mut self.authorities).insert(arn.to_owned(), outcome);
        }
        changed
    }

    /// Forgets every authority that is not `wanted`; says whether there was one.
    pub fn retain_authorities(&mut self, wanted: &Wanted) -> bool {
        let all = self.authorities.keys().all(|arn| wanted.contains(arn));
        if !all {
            Arc::make_mut(&mut self.authorities).retain(|arn, _| wanted.contains(arn));
        }
        !all
    }

    /// The same authorities, and no service.
    #[must_use]
    pub fn authorities_alone(&self) -> Self {
        Self { services: Arc::default(), authorities: Arc::clone(&self.authorities) }
    }

    /// Whether both are the same, not merely equal.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.services, &other.services) && Arc::ptr_eq(&self.authorities, &other.authorities)
    }
}

impl FromIterator<(ServiceName, Discovery)> for Discovered {
    fn from_iter<I: IntoIterator<Item = (ServiceName, Discovery)>>(discoveries: I) -> Self {
        Self { services: Arc::new(discoveries.into_iter().collect()), authorities: Arc::default() }
    }
}
