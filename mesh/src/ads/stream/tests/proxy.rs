//! A model of a proxy, in either variant of the protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use envoy_types::pb::envoy::config::listener::v3::{Listener, filter};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};
use proptest::prelude::*;

use super::{KINDS, VARIANTS};
use crate::ads::stream::{Changes, Interest, Request, Send, Variant};
use crate::cloud_map::Discovered;
use crate::snapshot::{Resource, ResourceSet, ResourceType, content_version, recall};
use crate::testing::{node, version_keys};
use crate::view::MeshView;

/// What a proxy runs and says, as Envoy does: it applies an accepted answer, applies parts of a refused one, drops what
/// an answer removes, and subscribes to the routes that its listeners ask for. In delta it remembers of each resource the version
/// of the last answer that it accepted, and nothing of answers that it refused.
pub(super) struct StreamProxy {
    variant: Variant,
    runs: BTreeMap<ResourceType, BTreeMap<String, Arc<Resource>>>,
    /// The versions, as they were sent.
    accepted: BTreeMap<ResourceType, String>,
    /// In delta: those of the resources.
    listed: BTreeMap<ResourceType, BTreeMap<String, String>>,
    pub(super) nonces: BTreeMap<ResourceType, String>,
    subscribed: BTreeSet<String>,
    opened: BTreeSet<ResourceType>,
}

impl StreamProxy {
    pub(super) fn new(variant: Variant) -> Self {
        assert!(VARIANTS.contains(&variant));
        Self {
            variant,
            runs: BTreeMap::new(),
            accepted: BTreeMap::new(),
            listed: BTreeMap::new(),
            nonces: BTreeMap::new(),
            subscribed: BTreeSet::new(),
            opened: BTreeSet::new(),
        }
    }

    pub(super) fn running(&self, kind: ResourceType) -> impl Iterator<Item = &Arc<Resource>> {
        self.runs.get(&kind).into_iter().flat_map(BTreeMap::values)
    }

    /// What it says of the last answer of a type.
    pub(super) fn request(&self, kind: ResourceType, error: Option<String>) -> Request {
        let nonce = self.nonces.get(&kind).cloned().unwrap_or_default();
        let interest = match self.variant {
            Variant::StateOfTheWorld => self.whole(kind, ResourceSet::new()),
            Variant::Delta => change([], []),
        };
        Request { kind, nonce, error, interest }
    }

    fn names(&self, kind: ResourceType) -> Vec<String> {
        let names = self.subscribed.iter().filter(|_| kind == ResourceType::Route);
        names.cloned().collect()
    }

    fn whole(&self, kind: ResourceType, recalled: ResourceSet) -> Interest {
        let version = self.accepted.get(&kind).map(|version| content_version(version).to_owned());
        Interest::Whole { version: version.unwrap_or_default(), names: self.names(kind), recalled }
    }

    /// The first request of a stream for a type.
    fn opening(&self, kind: ResourceType, view: Option<&MeshView>) -> Request {
        let interest = match self.variant {
            Variant::StateOfTheWorld => {
                let version = self.accepted.get(&kind).map_or("", String::as_str);
                let recalls = view.filter(|_| kind == ResourceType::Cluster);
                let recalled = recalls.map(|view| {
                    recall(view, &Discovered::default(), &version_keys(1), &node("client"), version)
                });
                self.whole(kind, recalled.unwrap_or_default())
            }
            Variant::Delta => Interest::Change {
                subscribe: self.names(kind),
                unsubscribe: Vec::new(),
                versions: self.listed.get(&kind).cloned().unwrap_or_default(),
            },
        };
        Request { kind, nonce: String::new(), error: None, interest }
    }

    /// Takes an answer; `refuse` says which resources it cannot apply.
    pub(super) fn answer(&mut self, answer: Send, refuse: u8) -> Vec<Request> {
        let Send { kind, nonce, content, changes, wording: _ } = answer;
        self.nonces.insert(kind, nonce);
        match changes {
            Some(changes) => self.change(kind, &changes, refuse),
            None => self.replace(kind, &content.resources, refuse),
        }
        if refuse == 0 {
            self.accepted.insert(kind, version_keys(1).version(&node("client"), kind, &content));
        }
        let error = (refuse != 0).then(|| "refused".to_owned());
        let mut requests = vec![self.request(kind, error)];
        requests.extend(self.follow_up(kind));
        requests
    }

    fn watches(&self, kind: ResourceType, name: &String) -> bool {
        kind != ResourceType::Route || self.subscribed.contains(name)
    }

    fn replace(&mut self, kind: ResourceType, content: &ResourceSet, refuse: u8) {
        // Envoy removes clusters even while it refuses others; that a version then no longer says what a proxy has is
        // the one thing that a restart at that moment can get wrong, so here a nack removes nothing.
        if kind.is_complete() && refuse == 0 {
            self.runs.entry(kind).or_default().retain(|name, _| content.contains_key(name));
        }
        for (index, (name, resource)) in content.iter().enumerate() {
            if self.watches(kind, name) && applies(refuse, index) {
                self.runs.entry(kind).or_default().insert(name.clone(), Arc::clone(resource));
            }
        }
    }

    fn change(&mut self, kind: ResourceType, changes: &Changes, refuse: u8) {
        let Changes { resources, removed, .. } = changes;
        for (index, resource) in resources.iter().enumerate() {
            let Resource { name, version, .. } = resource.as_ref();
            if !self.watches(kind, name) {
                continue;
            }
            if applies(refuse, index) {
                self.runs.entry(kind).or_default().insert(name.clone(), Arc::clone(resource));
            }
            if refuse == 0 {
                self.listed.entry(kind).or_default().insert(name.clone(), version.clone());
            }
        }
        for (index, name) in removed.iter().enumerate() {
            if applies(refuse, resources.len() + index) {
                self.runs.entry(kind).or_default().remove(name);
            }
            if refuse == 0 {
                self.listed.entry(kind).or_default().remove(name);
            }
        }
    }

    fn follow_up(&mut self, kind: ResourceType) -> Vec<Request> {
        let mut requests = Vec::new();
        if kind == ResourceType::Cluster && self.opened.insert(ResourceType::Listener) {
            requests.push(self.opening(ResourceType::Listener, None));
        }
        let wanted: BTreeSet<String> =
            self.running(ResourceType::Listener).flat_map(|one| routes_of(one)).collect();
        if kind == ResourceType::Listener && wanted != self.subscribed {
            let new: Vec<String> = wanted.difference(&self.subscribed).cloned().collect();
            let old: Vec<String> = self.subscribed.difference(&wanted).cloned().collect();
            self.subscribed = wanted;
            if let Some(routes) = self.runs.get_mut(&ResourceType::Route) {
                routes.retain(|name, _| self.subscribed.contains(name));
            }
            if let Some(routes) = self.listed.get_mut(&ResourceType::Route) {
                routes.retain(|name, _| self.subscribed.contains(name));
            }
            let opens = self.opened.insert(ResourceType::Route);
            requests.push(match self.variant {
                Variant::Delta if !opens => Request {
                    nonce: String::new(),
                    interest: change(new, old),
                    ..self.request(ResourceType::Route, None)
                },
                Variant::Delta => self.opening(ResourceType::Route, None),
                Variant::StateOfTheWorld => self.request(ResourceType::Route, None),
            });
        }
        requests
    }

    /// Connects again: every type at once, with the versions it accepted last.
    pub(super) fn reconnect(&mut self, view: &MeshView) -> Vec<Request> {
        self.nonces.clear();
        self.opened.insert(ResourceType::Cluster);
        let requests = KINDS.into_iter().filter(|kind| self.opened.contains(kind));
        requests.map(|kind| self.opening(kind, Some(view))).collect()
    }

    /// No listener or route refers to a cluster that is not there.
    pub(super) fn check(&self) -> Result<(), TestCaseError> {
        let has: BTreeSet<&String> =
            self.running(ResourceType::Cluster).map(|cluster| &cluster.name).collect();
        for kind in [ResourceType::Listener, ResourceType::Route] {
            for resource in self.running(kind) {
                for cluster in &resource.clusters {
                    prop_assert!(has.contains(cluster), "{} refers to {cluster}, of {has:?}", resource.name);
                }
            }
        }
        Ok(())
    }
}

fn applies(refuse: u8, index: usize) -> bool {
    refuse == 0 || (refuse >> (index % 8)) & 1 == 0
}

/// A request in delta for these names from now on, and not for those.
pub(super) fn change(
    subscribe: impl IntoIterator<Item = String>,
    unsubscribe: impl IntoIterator<Item = String>,
) -> Interest {
    let (subscribe, unsubscribe) = (subscribe.into_iter().collect(), unsubscribe.into_iter().collect());
    Interest::Change { subscribe, unsubscribe, versions: BTreeMap::new() }
}

/// The route configurations that a listener asks for.
fn routes_of(listener: &Resource) -> Vec<String> {
    let any = Any::decode(listener.body().clone()).expect("an Any");
    let listener = Listener::decode(any.value.as_slice()).expect("a listener");
    let filters = listener.filter_chains.into_iter().flat_map(|chain| chain.filters);
    let managers = filters.filter_map(|filter| match filter.config_type {
        Some(filter::ConfigType::TypedConfig(any)) if any.type_url == HttpConnectionManager::type_url() => {
            Some(HttpConnectionManager::decode(any.value.as_slice()).expect("a manager"))
        }
        _ => None,
    });
    managers
        .filter_map(|manager| match manager.route_specifier {
            Some(RouteSpecifier::Rds(rds)) => Some(rds.route_config_name),
            _ => None,
        })
        .collect()
}
