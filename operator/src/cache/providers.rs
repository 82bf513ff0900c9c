//! The providers that rollouts may ask, and which namespaces may use them. Nobody is triggered by them: what is asked in vain is
//! asked again once an interval.

use std::collections::BTreeMap;

use fleetmesh_crds::{AllowedNamespaces, MetricProviderSpec, WebhookProviderSpec};

use super::{Cache, CacheInner, Triggers};
use crate::outbound::OutboundFailure;

/// The providers by their names.
#[derive(Debug, Default)]
pub(super) struct Providers {
    metrics: BTreeMap<String, MetricProviderSpec>,
    webhooks: BTreeMap<String, WebhookProviderSpec>,
}

impl Cache {
    /// A MetricProvider as last seen; `None` when it is gone.
    pub fn metric_provider_seen(&self, name: &str, spec: Option<MetricProviderSpec>) -> Triggers {
        set(&mut self.lock().providers.metrics, name, spec);
        Triggers::new()
    }

    /// A WebhookProvider as last seen; `None` when it is gone.
    pub fn webhook_provider_seen(&self, name: &str, spec: Option<WebhookProviderSpec>) -> Triggers {
        set(&mut self.lock().providers.webhooks, name, spec);
        Triggers::new()
    }

    /// The MetricProvider `name` for a Route of `namespace`.
    ///
    /// # Errors
    /// It does not exist, or does not allow the namespace.
    pub fn metric_provider(
        &self,
        name: &str,
        namespace: &str,
    ) -> Result<MetricProviderSpec, OutboundFailure> {
        const KIND: &str = "MetricProvider";
        let inner = self.lock();
        let provider = inner.providers.metrics.get(name);
        let provider =
            provider.ok_or_else(|| OutboundFailure::NoProvider { kind: KIND, name: name.to_owned() })?;
        inner.opens(&provider.allowed_namespaces, namespace, KIND, name)?;
        Ok(provider.clone())
    }

    /// The WebhookProvider `name` for a Route of `namespace`.
    ///
    /// # Errors
    /// As [`Self::metric_provider`].
    pub fn webhook_provider(
        &self,
        name: &str,
        namespace: &str,
    ) -> Result<WebhookProviderSpec, OutboundFailure> {
        const KIND: &str = "WebhookProvider";
        let inner = self.lock();
        let provider = inner.providers.webhooks.get(name);
        let provider =
            provider.ok_or_else(|| OutboundFailure::NoProvider { kind: KIND, name: name.to_owned() })?;
        inner.opens(&provider.allowed_namespaces, namespace, KIND, name)?;
        Ok(provider.clone())
    }
}

fn set<T>(map: &mut BTreeMap<String, T>, name: &str, value: Option<T>) {
    match value {
        Some(value) => _ = map.insert(name.to_owned(), value),
        None => _ = map.remove(name),
    }
}

impl CacheInner {
    /// A namespace whose labels nobody knows is not allowed by a selector.
    fn opens(
        &self,
        allowed: &AllowedNamespaces,
        namespace: &str,
        kind: &'static str,
        name: &str,
    ) -> Result<(), OutboundFailure> {
        let unknown = BTreeMap::new();
        let labels = self.namespaces.get(namespace).unwrap_or(&unknown);
        match allowed.allows(labels) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(OutboundFailure::NotAllowed { kind, name: name.to_owned() }),
        }
    }
}
