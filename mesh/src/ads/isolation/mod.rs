//! What the proxies of one virtual node are served while they refuse a part of what its objects say. Pure: verdicts and targets
//! in, snapshots out; no clock, no I/O. It knows nothing of streams, so it serves every variant of the protocol.
//!
//! Envoy refuses an answer whole, or as good as whole: one bad virtual host keeps a port's route table from all its services, and
//! a proxy that starts anew gets none. So when an answer is refused, what the proxy has not acknowledged of it is halved until the
//! part at fault is found. That part is held: it keeps the form that was acknowledged last, or is left out when there never was
//! one; everything else is served as it is.
//!
//! Guarantees, whatever proxies refuse:
//! - **Neighbours.** While a search is on, what the proxy acknowledged stays as it was, and whatever changes waits for the next
//!   turn of the search. So a search ends whatever is changed meanwhile, and a part that was refused is tried anew only when all
//!   others are in force.
//! - **The true one.** A part is held only when an answer was refused that held it and, beside it, nothing but acknowledged
//!   forms. What the proxy says orders the search and decides nothing.
//! - **Bounds.** A search takes one answer at a time and no answer twice: about log2 of what is new for each part at fault
//!   ([`Search`]), however many proxies refuse it: one of them, the [tester](Isolation::tester), is sent what is tried, the others
//!   what it has acknowledged ([`base`](Isolation::base)). Nothing that was refused is sent again until what it was made from changes.
//! - **An end.** A part is held for as long as its newest form is the one that was refused and no proxy acknowledges it while none
//!   refuses anything.
//!
//! Proxies that refuse something get the same instead ([`Following`]). Two that differ in what they accept (two versions of Envoy,
//! say) are distinguished by their [`Standing`]: one that refuses nothing runs everything and proves nothing to the others.

mod following;
mod generations;
mod judge;
mod memory;
mod part;
mod proof;
mod search;
mod serve;
mod tester;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmesh_model::ResourceId;

use crate::distribution::NodeRejection;
use crate::snapshot::{Content, Resource, ResourceType, Snapshot};
pub use following::{Following, Offer};
use generations::Generations;
use judge::{Ran, Seen};
pub use memory::plaintext;
use part::{Decoder, Part};
use proof::Proof;
use search::Search;

/// What a proxy thinks of an answer.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The type of its resources.
    pub kind: ResourceType,
    /// Its resources.
    pub content: Arc<Content>,
    /// The snapshot that it was made from.
    pub of: Arc<Snapshot>,
    /// Why the proxy refuses it; none when it acknowledged it.
    pub error: Option<String>,
    /// What the proxy had acknowledged of the type before, if anything.
    pub before: Option<Acknowledged>,
    /// Whether the proxy runs something of an earlier stream that is not known here.
    pub unknown_prior_state: bool,
    /// Whether it is about what the proxy rejected before and got once more, by itself ([`StreamEvent::Again`](super::stream::StreamEvent)).
    pub again: bool,
}

impl Verdict {
    /// Whether it is known that the proxy had acknowledged none of these resources.
    fn is_new(&self) -> bool {
        let before = self.before.as_ref().map(|before| &before.content.resources);
        let had = |name: &String| before.is_some_and(|before| before.contains_key(name));
        let resources = &self.content.resources;
        !self.unknown_prior_state && !resources.is_empty() && !resources.keys().any(had)
    }
}

/// What a proxy has acknowledged of one type.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// The resources.
    pub content: Arc<Content>,
    /// The snapshot that the last of them were made from.
    pub of: Arc<Snapshot>,
}

/// How a proxy that judges stands among those of its node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its number among those of the node, of which no two that are connected have the same.
    pub proxy: u64,
    /// Whether it has refused something, and has not run everything since ([`Following::is_wary`]).
    pub refuses: bool,
    /// Whether another one has.
    pub others_refuse: bool,
}

/// The configuration of one virtual node, and what its proxies think of it.
#[derive(Debug)]
pub struct Isolation {
    target: Arc<Snapshot>,
    served: Arc<Snapshot>,
    /// While a search is on: what is served without what is tried.
    base: Option<Arc<Snapshot>>,
    /// While a search is on: the proxy that is sent what is tried.
    tester: Option<u64>,
    /// The proxies that refused something, have not run everything since, and answer what they are sent.
    candidates: BTreeSet<u64>,
    generations: Generations,
    /// What is known to be accepted.
    proof: Proof,
    /// The acknowledgements that came last, of proxies that refuse nothing and of others: thousands of proxies acknowledge the same.
    seen: BTreeMap<(ResourceType, bool), Seen>,
    /// What a proxy acknowledged last which counts as proof.
    ran: BTreeMap<ResourceType, Ran>,
    held: BTreeMap<Part, Held>,
    /// How often that changed.
    holds: u64,
    /// The last forms of parts that were held and are not now, in case that they are again and no snapshot is known of them.
    stored: BTreeMap<Part, LastForm>,
    searches: BTreeMap<ResourceType, Search>,
}

/// A part that proxies refuse.
#[derive(Clone, Debug)]
struct Held {
    /// The version of the form that they refuse.
    refused: String,
    withheld: Withheld,
    rejection: NodeRejection,
}

/// What is served instead of a part's newest form.
#[derive(Clone, Debug)]
struct Withheld {
    /// The form that was acknowledged last.
    last: Option<LastForm>,
    /// The objects whose newest version is not in force without the newest form.
    without: BTreeSet<ResourceId>,
}

#[derive(Clone, Debug)]
struct LastForm {
    form: Arc<Resource>,
    /// The resources that it needs, as they were then.
    needs: Vec<(ResourceType, Arc<Resource>)>,
    /// Where the clusters among them lead.
    nodes: BTreeMap<String, ResourceId>,
}

impl Isolation {
    /// A node whose proxies are to run `target`. Nobody has said anything about it.
    pub fn new(target: Arc<Snapshot>) -> Self {
        Self {
            generations: Generations::new(&target),
            served: Arc::clone(&target),
            base: None,
            tester: None,
            candidates: BTreeSet::new(),
            target,
            proof: Proof::default(),
            seen: BTreeMap::new(),
            ran: BTreeMap::new(),
            held: BTreeMap::new(),
            holds: 0,
            stored: BTreeMap::new(),
            searches: BTreeMap::new(),
        }
    }

    /// The snapshot that the node's objects describe.
    pub fn target(&self) -> &Arc<Snapshot> {
        &self.target
    }

    /// The target without what is withheld, for the proxies that [follow](Following) it.
    pub fn served(&self) -> &Arc<Snapshot> {
        &self.served
    }

    /// A number for what is held now: another one whenever that changes, none while it is nothing.
    pub fn holds(&self) -> Option<u64> {
        (!self.held.is_empty()).then_some(self.holds)
    }

    /// What proxies refuse and are not sent any more, with the objects at fault and the proxy's words.
    pub fn rejections(&self) -> Vec<NodeRejection> {
        let mut rejections: Vec<NodeRejection> = Vec::new();
        for Held { rejection, .. } in self.held.values() {
            // A route of a router that provides two services is in two parts.
            if !rejections.contains(rejection) {
                rejections.push(rejection.clone());
            }
        }
        rejections
    }

    /// The types of which something was refused and it is not known yet what is at fault.
    pub fn searching(&self) -> BTreeSet<ResourceType> {
        self.searches.iter().filter(|(_, search)| !search.stuck).map(|(kind, _)| *kind).collect()
    }

    /// The node's objects describe another snapshot now. What is held and changed, and what changed while a search is on, waits
    /// until the rest is in force.
    pub fn retarget(&mut self, target: Arc<Snapshot>) {
        if !Arc::ptr_eq(&self.target, &target) {
            self.generations.bear(&target);
        }
        let old = std::mem::replace(&mut self.target, target);
        self.proof.keep(&self.target);
        let decoder = Decoder::default();
        let newest = |part: &Part| decoder.form(&self.target, part);
        let mut later: Vec<Part> = Vec::new();
        let before = self.held.len();
        for (part, held) in std::mem::take(&mut self.held) {
            match newest(&part) {
                Some(form) if form.version == held.refused => _ = self.held.insert(part, held),
                Some(_) => {
                    self.stored.extend(held.withheld.last.map(|last| (part.clone(), last)));
                    later.push(part);
                }
                None => {}
            }
        }
        for search in self.searches.values_mut() {
            search.keep(|part| newest(part).is_some());
        }
        for kind in self.searches.keys() {
            let unproven = self.unproven(&decoder, *kind, |_| true).into_iter();
            let changed = unproven.filter(|(part, form)| {
                decoder.form(&old, part).is_none_or(|old| old.version != form.version)
            });
            later.extend(changed.map(|(part, _)| part));
        }
        if self.held.len() < before {
            self.holds += 1;
        }
        for part in later {
            self.searches.entry(part.kind).or_default().defer(part);
        }
        let searched = &self.searches;
        self.stored.retain(|part, _| {
            newest(part).is_some_and(|form| {
                let same = decoder.form(&old, part).is_some_and(|old| old.version == form.version);
                same || searched.contains_key(&part.kind)
            })
        });
        let searched: Vec<ResourceType> = self.searches.keys().copied().collect();
        for kind in searched {
            self.settle(kind);
        }
        self.serve();
        self.rebase();
    }

    /// Takes in what a proxy thinks of an answer; says whether any of the other methods answers differently now.
    pub fn judge(&mut self, verdict: &Verdict, standing: Standing) -> bool {
        let mut passed_over = false;
        match standing.refuses {
            true => _ = self.candidates.insert(standing.proxy),
            // It is sent everything.
            false => passed_over = self.pass_over(standing.proxy),
        }
        let changed = match &verdict.error {
            None => self.accept(verdict, standing),
            Some(message) if verdict.again => return self.repeat(verdict, message, standing) || passed_over,
            Some(message) => self.refuse(verdict, message),
        };
        let tester = self.tester;
        self.appoint(standing, changed && verdict.error.is_some());
        if changed {
            self.rebase();
        }
        changed || passed_over || tester != self.tester
    }

    /// A proxy runs all of `snapshot`.
    pub fn runs(&mut self, snapshot: &Arc<Snapshot>, standing: Standing) {
        let contested = !self.held.is_empty() || !self.searches.is_empty();
        if standing.refuses || !contested {
            self.proof.rest(snapshot, self.generations.of(snapshot));
        }
    }
}
