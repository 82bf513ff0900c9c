//! In which order the proxies of several virtual nodes learn that a node has other ports, or takes TLS on one: make before break.
//! Pure: views, what proxies run and the time in, a [`Transition`] out.
//!
//! A caller that uses a new port before the node's own proxy takes connections to it has failed requests, and so has one that
//! still opens connections to an old port when that is gone. So a change of the ports of a node that has proxies has three steps:
//! 1. *Opening.* The node's proxies serve the new and the old ports. The virtual services that lead to a new port are delayed:
//!    callers get them, with providers, routes and targets, as they were.
//! 2. *Moved.* When each of the node's proxies runs the new ports, or [`OPENING`] has passed, callers get the newest state.
//! 3. *Closed.* [`CLOSING`] after the last caller got it, the old ports go. Whether callers acknowledged it does not matter: one
//!    that takes longer is not waited for.
//!
//! A port that begins to take TLS beside plaintext is the same in small ([`tls`]): callers use TLS when the node's proxies run it.
//!
//! Guarantees:
//! - No caller is sent a port before the node's proxies run it, and none is taken from them while a caller is sent it, nor for as
//!   long afterwards as a proxy may take to acknowledge that. Only the bounds end that earlier.
//! - Nothing else waits: not what a caller's other services say, nor the node's other changes. A change of no port costs a look at
//!   the mesh's virtual nodes.
//! - A later change starts from what is served: a port that is still served needs not be opened again, and a service that is
//!   delayed stays as it is served until it leads to nothing that opens, at most [`OPENING`] in all.

mod ports;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetmesh_model::{Collection, Kind, MeshName, ResourceId, Spec};

use crate::snapshot::{Transition, reached};
use crate::view::{MeshView, Record};
pub use ports::{Open, OpenPorts};
use tls::AwaitedTls;

/// How long callers wait at most for the proxies of a node that gets a port: one that is gone or rejects what it is sent holds up
/// nobody for longer.
pub const OPENING: Duration = Duration::from_secs(2);
/// How long a port is served after callers got another one: longer than a busy proxy takes to use that.
pub const CLOSING: Duration = Duration::from_secs(5);

/// How the ports of one mesh move.
#[derive(Debug)]
pub struct Handover {
    mesh: ResourceId,
    /// The newest state.
    view: Arc<MeshView>,
    /// The ports that nodes got, until when they are waited for.
    opening: BTreeMap<ResourceId, BTreeMap<i32, Instant>>,
    /// The virtual services that lead to them.
    delayed: BTreeMap<ResourceId, Delayed>,
    /// The ports that nodes lost.
    closing: BTreeMap<ResourceId, BTreeMap<i32, Closing>>,
    /// The ports whose TLS callers do not use yet.
    plaintext: AwaitedTls,
    transition: Arc<Transition>,
}

#[derive(Debug)]
struct Delayed {
    /// What callers get.
    view: Arc<MeshView>,
    until: Instant,
}

#[derive(Debug)]
struct Closing {
    /// Where the port's listener is.
    record: Arc<Record>,
    /// When it goes; nothing while callers are sent it.
    until: Option<Instant>,
}

impl Handover {
    /// All proxies of `mesh` are served `view`, as after a start: what they ran before is not known, but that callers spoke plaintext
    /// to the ports `plaintext` because the node's proxies rejected its TLS ([`Isolation::memory`](super::isolation::Isolation::memory)).
    pub fn new(mesh: &MeshName, view: Arc<MeshView>, plaintext: BTreeMap<ResourceId, BTreeSet<i32>>) -> Self {
        let mut plaintext = AwaitedTls::known(plaintext);
        plaintext.advance(&view, |_| None);
        let mut made = Self {
            mesh: ResourceId::mesh(mesh),
            view,
            opening: BTreeMap::new(),
            delayed: BTreeMap::new(),
            closing: BTreeMap::new(),
            plaintext,
            transition: Arc::default(),
        };
        made.turn();
        made
    }

    /// The newest state.
    pub fn view(&self) -> &Arc<MeshView> {
        &self.view
    }

    /// What differs from it now.
    pub fn transition(&self) -> &Arc<Transition> {
        &self.transition
    }

    /// When [`Self::advance`] may have something to do though nothing happens.
    pub fn next(&self) -> Option<Instant> {
        let opening = self.opening.values().flat_map(BTreeMap::values).copied();
        let delayed = self.delayed.values().map(|delayed| delayed.until);
        let closing = self.closing.values().flat_map(BTreeMap::values).filter_map(|closing| closing.until);
        opening.chain(delayed).chain(closing).min()
    }

    /// Takes in that `newest` is the state now, and on what all proxies of a node take connections; `open` gives nothing for a node without
    /// proxies. Says whether [`Self::transition`] is another one now.
    pub fn advance(
        &mut self,
        now: Instant,
        newest: &Arc<MeshView>,
        open: impl Fn(&ResourceId) -> Option<Open>,
    ) -> bool {
        let before = std::mem::replace(&mut self.view, Arc::clone(newest));
        let before = (!Arc::ptr_eq(&before, newest)).then_some(before);
        if let Some(before) = &before {
            self.move_ports(now, before, &open);
        }
        self.plaintext.advance(newest, &open);
        if self.opening.is_empty() && self.delayed.is_empty() && self.closing.is_empty() {
            return self.turn();
        }
        self.opening.retain(|node, ports| {
            let open = open(node);
            ports.retain(|port, until| {
                now < *until && open.as_ref().is_some_and(|open| !open.ports.contains(port))
            });
            !ports.is_empty()
        });
        self.delay(now, before.as_ref());
        self.closing.retain(|node, _| open(node).is_some());
        self.close(now);
        self.turn()
    }

    /// Notes which nodes have other ports than in the view before.
    fn move_ports(&mut self, now: Instant, before: &MeshView, open: impl Fn(&ResourceId) -> Option<Open>) {
        let newest = Arc::clone(&self.view);
        self.opening.retain(|node, _| newest.get(node).is_some());
        self.closing.retain(|node, _| newest.get(node).is_some());
        for record in members(&newest, Kind::VirtualNode, &self.mesh) {
            let old = before.get(&record.id);
            if old.is_none_or(|old| !Arc::ptr_eq(old, record)) && open(&record.id).is_some() {
                self.move_ports_of(now, old, record);
                self.plaintext.change(old, record);
            }
        }
    }

    fn move_ports_of(&mut self, now: Instant, old: Option<&Arc<Record>>, new: &Arc<Record>) {
        let (had, has) = (old.map(|old| ports(old)).unwrap_or_default(), ports(new));
        if had == has {
            return;
        }
        let closing = self.closing.entry(new.id.clone()).or_default();
        let opening = self.opening.entry(new.id.clone()).or_default();
        // What all proxies run, as what closes, opens at once.
        opening.extend(has.difference(&had).map(|port| (*port, now + OPENING)));
        opening.retain(|port, _| has.contains(port));
        for (port, record) in had.difference(&has).zip(std::iter::repeat(old).flatten()) {
            closing.insert(*port, Closing { record: Arc::clone(record), until: None });
        }
        closing.retain(|port, _| !has.contains(port));
    }

    /// Delays the services that lead to what opens. What was not delayed is so only from a new view on: callers have it already.
    fn delay(&mut self, now: Instant, before: Option<&Arc<MeshView>>) {
        let mut were = std::mem::take(&mut self.delayed);
        if self.opening.is_empty() {
            return;
        }
        let newest = Arc::clone(&self.view);
        let services: Vec<ResourceId> = match before {
            Some(_) => members(&newest, Kind::VirtualService, &self.mesh).map(|one| one.id.clone()).collect(),
            None => were.keys().cloned().collect(),
        };
        for service in services {
            let (view, until) = match (were.remove(&service), before) {
                (Some(Delayed { view, until }), _) => (view, until),
                (None, Some(before)) => (Arc::clone(before), now + OPENING),
                (None, None) => continue,
            };
            if now < until && self.awaits(&service, &view) {
                self.delayed.insert(service, Delayed { view, until });
            }
        }
    }

    /// Whether `service` leads to a port that opens, and did not do so in `earlier`.
    fn awaits(&self, service: &ResourceId, earlier: &MeshView) -> bool {
        let opens = |(node, port): &(ResourceId, i32)| {
            self.opening.get(node).is_some_and(|ports| ports.contains_key(port))
        };
        let mut awaited = reached(&self.view, service);
        awaited.retain(opens);
        !awaited.is_empty() && !awaited.is_subset(&reached(earlier, service))
    }

    /// Ends what callers have not been sent for long.
    fn close(&mut self, now: Instant) {
        if self.closing.is_empty() {
            return;
        }
        let delayed = self.delayed.iter();
        let used: BTreeSet<(ResourceId, i32)> =
            delayed.flat_map(|(service, delayed)| reached(&delayed.view, service)).collect();
        self.closing.retain(|node, ports| {
            ports.retain(|port, closing| {
                if used.contains(&(node.clone(), *port)) {
                    closing.until = None;
                    return true;
                }
                now < *closing.until.get_or_insert(now + CLOSING)
            });
            !ports.is_empty()
        });
    }

    /// Makes the transition; says whether it is another one.
    fn turn(&mut self) -> bool {
        let delayed =
            self.delayed.iter().map(|(service, delayed)| (service.clone(), Arc::clone(&delayed.view)));
        let records = |ports: &BTreeMap<i32, Closing>| {
            ports.iter().map(|(port, closing)| (*port, Arc::clone(&closing.record))).collect()
        };
        let closing = self.closing.iter().map(|(node, ports)| (node.clone(), records(ports)));
        let (delayed, closing) = (delayed.collect(), closing.collect());
        let transition = Transition { delayed, closing, plaintext: self.plaintext.ports().clone() };
        let changed = !transition.is_same(&self.transition);
        if changed {
            self.transition = Arc::new(transition);
        }
        changed
    }
}

/// What there is of `kind` in `view`, directly in the mesh `mesh`.
fn members<'a>(
    view: &'a MeshView,
    kind: Kind,
    mesh: &ResourceId,
) -> impl Iterator<Item = &'a Arc<Record>> + use<'a> {
    Collection::of(kind, Some(mesh)).into_iter().flat_map(|collection| view.members(&collection))
}

/// The ports of a virtual node.
fn ports(record: &Record) -> BTreeSet<i32> {
    let Spec::VirtualNode(spec) = &record.spec else { return BTreeSet::new() };
    spec.listeners().iter().map(|listener| listener.port_mapping.port).collect()
}
