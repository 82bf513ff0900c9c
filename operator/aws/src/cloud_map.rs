//! Cloud Map: instances of a service that callers discover.

use std::sync::Arc;

use aws_sdk_servicediscovery::Client;
use aws_sdk_servicediscovery::types::{FilterCondition, ServiceFilter, ServiceFilterName};
use fleetmesh_core::{Failure, FailureClass};
use fleetmesh_model::tag::Tags;

use crate::connection::{AwsConnection, call};

/// Cloud Map of the connection's region.
#[derive(Clone, Debug)]
pub struct CloudMap(Arc<AwsConnection>);

impl CloudMap {
    /// Cloud Map through `connection`.
    pub fn new(connection: Arc<AwsConnection>) -> Self {
        Self(connection)
    }

    async fn client(&self) -> Client {
        Client::new(&self.0.shared().await.config)
    }

    /// The id of the service `service` of the namespace `namespace`; `None` when there is none.
    ///
    /// # Errors
    /// Every failure.
    pub async fn service(&self, namespace: &str, service: &str) -> Result<Option<String>, Failure> {
        let Some(namespace) = self.namespace(namespace).await? else { return Ok(None) };
        let client = self.client().await;
        let filter = ServiceFilter::builder()
            .name(ServiceFilterName::NamespaceId)
            .values(namespace)
            .condition(FilterCondition::Eq)
            .build()
            .map_err(|error| malformed("ListServices", &error))?;
        let mut page = None;
        loop {
            let request = client.list_services().filters(filter.clone()).set_next_token(page);
            let answer = call!(self.0, read, "ListServices", request)?;
            let found = answer.services().iter().find(|found| found.name() == Some(service));
            if let Some(id) = found.and_then(|found| found.id()) {
                return Ok(Some(id.to_owned()));
            }
            page = answer.next_token().map(ToOwned::to_owned);
            if page.is_none() {
                return Ok(None);
            }
        }
    }

    async fn namespace(&self, name: &str) -> Result<Option<String>, Failure> {
        let client = self.client().await;
        let mut page = None;
        loop {
            let request = client.list_namespaces().set_next_token(page);
            let answer = call!(self.0, read, "ListNamespaces", request)?;
            let found = answer.namespaces().iter().find(|found| found.name() == Some(name));
            if let Some(id) = found.and_then(|found| found.id()) {
                return Ok(Some(id.to_owned()));
            }
            page = answer.next_token().map(ToOwned::to_owned);
            if page.is_none() {
                return Ok(None);
            }
        }
    }

    /// The ids of the instances of a service that have the attribute `key` with this value.
    ///
    /// # Errors
    /// `NotFound` when the service does not exist.
    pub async fn instances(&self, service: &str, key: &str, value: &str) -> Result<Vec<String>, Failure> {
        let client = self.client().await;
        let mut instances = Vec::new();
        let mut page = None;
        loop {
            let request = client.list_instances().service_id(service).set_next_token(page);
            let answer = call!(self.0, read, "ListInstances", request)?;
            for instance in answer.instances() {
                let attributes = instance.attributes();
                let matches = attributes.and_then(|map| map.get(key)).is_some_and(|found| found == value);
                instances.extend(instance.id().filter(|_| matches).map(ToOwned::to_owned));
            }
            page = answer.next_token().map(ToOwned::to_owned);
            if page.is_none() {
                return Ok(instances);
            }
        }
    }

    /// Registers an instance, or replaces what is registered of it.
    ///
    /// # Errors
    /// `NotFound` when the service does not exist.
    pub async fn register(&self, service: &str, instance: &str, attributes: &Tags) -> Result<(), Failure> {
        let client = self.client().await;
        let attributes = attributes.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let request = client
            .register_instance()
            .service_id(service)
            .instance_id(instance)
            .set_attributes(Some(attributes));
        call!(self.0, write, "RegisterInstance", request).map(|_| ())
    }

    /// Takes an instance out; one that is not registered is out already.
    ///
    /// # Errors
    /// Every failure but `NotFound`.
    pub async fn deregister(&self, service: &str, instance: &str) -> Result<(), Failure> {
        let client = self.client().await;
        let request = client.deregister_instance().service_id(service).instance_id(instance);
        match call!(self.0, write, "DeregisterInstance", request) {
            Err(failure) if failure.class != FailureClass::NotFound => Err(failure),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

fn malformed(operation: &str, error: &impl std::fmt::Display) -> Failure {
    let message = format!("the request cannot be built: {error}");
    Failure { class: FailureClass::Malformed, operation: operation.to_owned(), message }
}
