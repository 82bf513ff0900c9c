//! The snapshot that is served while something is withheld. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;

use super::part::{self, Decoder, Part};
use super::{Isolation, LastForm, Search, Withheld};
use crate::ads::blame;
use crate::snapshot::overlay::{Overlay, stand_in};
use crate::snapshot::{Resource, ResourceSet, ResourceType, Snapshot};

impl Isolation {
    /// Makes the snapshot to serve: the target without what is held or waits to be tried.
    pub(super) fn serve(&mut self) {
        let withheld = self.withheld(&Decoder::default());
        if withheld.is_empty() {
            if !Arc::ptr_eq(&self.served, &self.target) {
                self.served = Arc::clone(&self.target);
                // Newer than what was served in between.
                self.generations.bear(&self.served);
            }
            return;
        }
        let served = self.target.overlaid(overlay(&self.target, withheld));
        if !is_same(&self.served, &served) {
            self.served = Arc::new(served);
            self.generations.bear(&self.served);
        }
    }

    /// What is served of parts that are held or wait to be tried.
    fn withheld(&self, decoder: &Decoder) -> BTreeMap<Part, Withheld> {
        let mut withheld: BTreeMap<Part, Withheld> =
            self.held.iter().map(|(part, held)| (part.clone(), held.withheld.clone())).collect();
        for part in self.searches.values().flat_map(Search::waiting) {
            if let Some(form) = decoder.form(&self.target, part) {
                withheld.insert(part.clone(), self.withhold(decoder, part, &form));
            }
        }
        withheld
    }

    /// Makes what is served without what is tried, and sees to it that a proxy is sent that.
    pub(super) fn rebase(&mut self) {
        let searching = self.searching();
        if searching.is_empty() {
            (self.base, self.tester) = (None, None);
            return;
        }
        self.tester = self.tester.or_else(|| self.candidates.first().copied());
        let decoder = Decoder::default();
        let mut withheld = self.withheld(&decoder);
        for kind in searching {
            let concerns = |name: &str| self.searches.get(&kind).is_some_and(|search| search.concerns(name));
            for (part, form) in self.unproven(&decoder, kind, concerns) {
                let instead = self.withhold(&decoder, &part, &form);
                withheld.insert(part, instead);
            }
        }
        let base = self.target.overlaid(overlay(&self.target, withheld));
        if self.base.as_ref().is_none_or(|known| !is_same(known, &base)) {
            let base = Arc::new(base);
            self.generations.bear_before(&base, &self.served);
            self.base = Some(base);
        }
    }

    /// What is served instead of `form`, the newest of `part`.
    pub(super) fn withhold(&self, decoder: &Decoder, part: &Part, form: &Resource) -> Withheld {
        let good = self.proof.of(part.kind, &part.resource).map(AsRef::as_ref);
        let last = self.last_form(decoder, part, &form.version);
        Withheld { last, without: blame::changed(form, &self.target, good) }
    }

    /// The form of `part` that was acknowledged last and is not the one of version `newest`, with all that it needs.
    pub(super) fn last_form(&self, decoder: &Decoder, part: &Part, newest: &str) -> Option<LastForm> {
        let known = self.proof.last(part.kind, &part.resource);
        let known = known.and_then(|snapshot| form_in(decoder, snapshot, part, newest));
        known.or_else(|| self.stored.get(part).filter(|stored| stored.form.version != newest).cloned())
    }
}

/// The form of `part` in a snapshot of which it was acknowledged, with all that it needs there; none when it is the one of version
/// `newest`.
pub(super) fn form_in(decoder: &Decoder, good: &Snapshot, part: &Part, newest: &str) -> Option<LastForm> {
    let form = decoder.form(good, part).filter(|form| form.version != newest)?;
    let found = |kind: ResourceType, name: &str| {
        good.content(kind).resources.get(name).map(|found| (kind, Arc::clone(found)))
    };
    let mut needs: Vec<(ResourceType, Arc<Resource>)> = Vec::new();
    let mut clusters = form.clusters.clone();
    if part.kind == ResourceType::Listener {
        // It asks for routes by name.
        let routes = good.content(ResourceType::Route).resources.keys();
        needs.extend(routes.filter_map(|name| found(ResourceType::Route, name)));
        clusters.extend(needs.iter().flat_map(|(_, route)| route.clusters.iter().cloned()));
    }
    for cluster in &clusters {
        needs.extend(found(ResourceType::Cluster, cluster));
        needs.extend(found(ResourceType::Endpoint, cluster));
    }
    // Which ones its sockets name is not known here; that few more are served does no harm.
    let secrets = good.content(ResourceType::Secret).resources.keys();
    needs.extend(secrets.filter_map(|name| found(ResourceType::Secret, name)));
    let nodes = clusters
        .iter()
        .filter_map(|cluster| Some((cluster.clone(), good.targets.nodes.get(cluster)?.clone())));
    let nodes = nodes.collect();
    Some(LastForm { form, needs, nodes })
}

/// Whether both are made from the same, and say the same.
fn is_same(a: &Snapshot, b: &Snapshot) -> bool {
    let same = ResourceType::ALL.into_iter().all(|kind| a.content(kind).version == b.content(kind).version);
    same && a.objects.len() == b.objects.len() && a.objects.values().all(|record| b.contains(record))
}

/// `target` with other forms of what is withheld.
fn overlay(target: &Snapshot, withheld: BTreeMap<Part, Withheld>) -> Overlay {
    let mut overlay = Overlay::default();
    let mut hosts: BTreeMap<String, BTreeMap<String, Option<LastForm>>> = BTreeMap::new();
    for (part, Withheld { last, without }) in withheld {
        overlay.without.extend(without);
        if last.is_none() {
            overlay.left_out.insert(part.kind);
        }
        if let Some(last) = &last {
            overlay.nodes.extend(last.nodes.clone());
            for (kind, resource) in &last.needs {
                let set = contents(&mut overlay, target, *kind);
                set.entry(resource.name.clone()).or_insert_with(|| Arc::clone(resource));
            }
        }
        match part.host {
            Some(host) => _ = hosts.entry(part.resource).or_default().insert(host, last),
            None => replace(contents(&mut overlay, target, part.kind), part.kind, &part.resource, last),
        }
    }
    for (name, hosts) in hosts {
        let routes = contents(&mut overlay, target, ResourceType::Route);
        if let Some(made) = routes.get(&name).and_then(|routes| rehosted(routes, hosts)) {
            routes.insert(name, Arc::new(made));
        }
    }
    overlay
}

/// All resources of a type, to be changed.
fn contents<'a>(overlay: &'a mut Overlay, target: &Snapshot, kind: ResourceType) -> &'a mut ResourceSet {
    overlay.contents.entry(kind).or_insert_with(|| target.content(kind).resources.clone())
}

/// Puts the last form of a whole resource in its place. What refers to a cluster stays valid without one.
fn replace(set: &mut ResourceSet, kind: ResourceType, name: &str, last: Option<LastForm>) {
    match (last, set.get(name)) {
        (Some(last), _) => _ = set.insert(name.to_owned(), last.form),
        (None, Some(newest)) if kind == ResourceType::Cluster => {
            let nowhere = Arc::new(stand_in(newest));
            set.insert(name.to_owned(), nowhere);
        }
        (None, _) => _ = set.remove(name),
    }
}

/// A route configuration with other forms of these virtual hosts, or without them.
fn rehosted(routes: &Resource, hosts: BTreeMap<String, Option<LastForm>>) -> Option<Resource> {
    let mut configuration: RouteConfiguration = part::configuration(ResourceType::Route, routes)?;
    let mut clusters = routes.clusters.clone();
    let all = std::mem::take(&mut configuration.virtual_hosts).into_iter();
    configuration.virtual_hosts = all
        .filter_map(|host| match hosts.get(&host.name) {
            None => Some(host),
            Some(last) => {
                let form = &last.as_ref()?.form;
                clusters.extend(form.clusters.iter().cloned());
                part::virtual_host(form)
            }
        })
        .collect();
    Some(Resource::new(routes.name.clone(), &configuration, clusters, routes.objects.clone()))
}
