//! What follows from what proxies think of answers. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmesh_model::ResourceId;
use fleetmesh_model::foreign::printable;

use super::part::{Decoder, Part};
use super::{Held, Isolation, Standing, Verdict, Withheld};
use crate::ads::blame;
use crate::distribution::NodeRejection;
use crate::snapshot::{Content, Resource, ResourceType, Snapshot};

/// The most steps that a search takes without an answer. It halves what it takes: no search has so many.
const MOST_STEPS: usize = 256;

/// An acknowledgement.
#[derive(Debug)]
pub(super) struct Seen {
    of: Arc<Snapshot>,
    version: String,
    others_refuse: bool,
}

/// What a proxy acknowledged of a snapshot: as much as it subscribed to.
#[derive(Debug)]
pub(super) struct Ran {
    /// The version of all that the snapshot has of the type.
    version: String,
    content: Arc<Content>,
}

impl Isolation {
    pub(super) fn accept(&mut self, verdict: &Verdict, standing: Standing) -> bool {
        let Verdict { kind, content, of, .. } = verdict;
        let kind = *kind;
        let held = self.held.keys().any(|part| part.kind == kind);
        let contested = held || self.searches.contains_key(&kind);
        let counts = standing.refuses || !contested;
        let others_refuse = standing.others_refuse;
        let is_it = |seen: &Seen| {
            let same = seen.version == content.version && seen.others_refuse == others_refuse;
            same && Arc::ptr_eq(&seen.of, of)
        };
        let row = (kind, standing.refuses);
        if self.seen.get(&row).is_some_and(is_it) {
            return false;
        }
        let version = content.version.clone();
        self.seen.insert(row, Seen { of: Arc::clone(of), version, others_refuse });
        if counts {
            self.proof.prove(kind, content, of, self.generation(kind, of), &self.target);
            self.note_ran(kind, &of.content(kind).version, content);
        }
        if !contested {
            return false;
        }
        let mut changed = !others_refuse && self.release(kind, content, of);
        if !others_refuse && content.version == self.target.content(kind).version {
            changed |= self.searches.remove(&kind).is_some();
        }
        if let Some(search) = self.searches.get_mut(&kind).filter(|_| counts) {
            if search.is_covered_by(content, of.content(kind)) {
                search.pass(of.content(kind).version.clone());
            }
            self.settle(kind);
            return true;
        }
        if changed {
            self.serve();
        }
        changed
    }

    /// The generation of what `of` has of a type: that of what is served when it has the same, so that it counts as no older than what
    /// is served without what is tried.
    fn generation(&self, kind: ResourceType, of: &Arc<Snapshot>) -> u64 {
        let is_served = of.content(kind).version == self.served.content(kind).version;
        self.generations.of(if is_served { &self.served } else { of })
    }

    /// Notes what a proxy runs that counts. One that subscribed to less of the same says nothing new.
    fn note_ran(&mut self, kind: ResourceType, version: &str, content: &Arc<Content>) {
        let holds_more = |ran: &Ran| {
            let known = &ran.content.resources;
            ran.version == version && content.resources.keys().all(|name| known.contains_key(name))
        };
        if !self.ran.get(&kind).is_some_and(holds_more) {
            self.ran.insert(kind, Ran { version: version.to_owned(), content: Arc::clone(content) });
        }
    }

    /// Ends the hold of parts whose refused form a proxy acknowledges all the same.
    fn release(&mut self, kind: ResourceType, content: &Content, of: &Snapshot) -> bool {
        let decoder = Decoder::default();
        let acknowledged = |part: &Part, held: &mut Held| {
            part.kind == kind
                && content.agrees(of.content(kind), &part.resource)
                && decoder.form(of, part).is_some_and(|form| form.version == held.refused)
        };
        let released: Vec<(Part, Held)> = self.held.extract_if(.., acknowledged).collect();
        let any = !released.is_empty();
        let last = released.into_iter().filter_map(|(part, held)| Some((part, held.withheld.last?)));
        self.stored.extend(last);
        self.holds += u64::from(any);
        any
    }

    pub(super) fn refuse(&mut self, verdict: &Verdict, message: &str) -> bool {
        let Verdict { kind, content, of, unknown_prior_state, .. } = verdict;
        let kind = *kind;
        let version = &of.content(kind).version;
        if self.searches.get(&kind).is_some_and(|search| search.refusal(version).is_some()) {
            return false;
        }
        if *version != self.served.content(kind).version {
            let is_base = self.base.as_ref().is_some_and(|base| *version == base.content(kind).version);
            if let Some(search) = self.searches.get_mut(&kind) {
                // It will not be sent again, also if it is what is to be tried one day.
                search.refuse(version.clone(), message);
            }
            return if is_base { self.refuse_base(verdict) } else { self.refuse_stale(verdict, message) };
        }
        if self.roll_back(verdict) {
            self.forget_passed(kind);
        }
        let answered = |name: &str| content.resources.contains_key(name);
        let mut unproven = self.unproven(&Decoder::default(), kind, answered);
        if unproven.is_empty() && verdict.is_new() {
            self.proof.doubt(kind, content);
            self.forget_passed(kind);
            unproven = self.unproven(&Decoder::default(), kind, answered);
        }
        if unproven.is_empty() {
            // The proxy runs all of this, or cannot be known to lack any. If a search is on, others may go on with it.
            return self
                .searches
                .get_mut(&kind)
                .is_some_and(|search| !std::mem::replace(&mut search.stuck, true));
        }
        let decoder = Decoder::default();
        let is_known =
            |(part, form): (&Part, &Arc<Resource>)| self.last_form(&decoder, part, &form.version).is_some();
        if *unknown_prior_state && !unproven.iter().all(is_known) {
            // It keeps what it has, all of it: to leave out a part would take it away.
            return false;
        }
        let search = self.searches.entry(kind).or_default();
        search.concern(unproven.keys().map(|part| part.resource.clone()));
        search.refuse(version.clone(), message);
        self.settle(kind);
        true
    }

    /// A proxy still rejects what is held: its newest words are why, unless others have words of their own.
    pub(super) fn repeat(&mut self, verdict: &Verdict, message: &str, standing: Standing) -> bool {
        if standing.others_refuse {
            return false;
        }
        let (decoder, message) = (Decoder::default(), printable(message));
        let mut changed = false;
        for (part, held) in &mut self.held {
            let is_it = part.kind == verdict.kind && verdict.content.resources.contains_key(&part.resource);
            let form = decoder.form(&verdict.of, part).filter(|form| is_it && form.version == held.refused);
            if form.is_some() && held.rejection.message != message {
                held.rejection.message.clone_from(&message);
                changed = true;
            }
        }
        changed
    }

    /// What a proxy that refuses an answer acknowledged before counts; says whether that makes a difference.
    fn roll_back(&mut self, verdict: &Verdict) -> bool {
        let Some(before) = &verdict.before else { return false };
        let generation = self.generation(verdict.kind, &before.of);
        self.proof.roll_back(verdict.kind, &verdict.content, before, generation)
    }

    /// What was acknowledged of the type is no proof any more.
    fn forget_passed(&mut self, kind: ResourceType) {
        self.ran.remove(&kind);
        if let Some(search) = self.searches.get_mut(&kind) {
            search.doubt();
        }
    }

    /// A proxy refused what is served without what is tried, which another one acknowledged: what it does not run itself is no
    /// proof any more. Says whether there was any.
    fn refuse_base(&mut self, verdict: &Verdict) -> bool {
        let Verdict { kind, content, before, .. } = verdict;
        let kind = *kind;
        let doubts = before.is_none() && verdict.is_new();
        let changed = self.roll_back(verdict) || (doubts && self.proof.doubt(kind, content));
        let Some(search) = self.searches.get_mut(&kind).filter(|_| changed) else { return false };
        search.concern(content.resources.keys().cloned());
        self.forget_passed(kind);
        self.settle(kind);
        true
    }

    /// A proxy refused an answer that is not served any more.
    fn refuse_stale(&mut self, verdict: &Verdict, message: &str) -> bool {
        let Verdict { kind, content, of, before, .. } = verdict;
        let kind = *kind;
        if of.content(kind).version == self.target.content(kind).version {
            // It gets what is served instead. What it runs of what is held is not to be taken from it.
            return before.as_ref().is_some_and(|before| self.complete(kind, &before.content, &before.of));
        }
        if self.searches.contains_key(&kind) {
            return false;
        }
        // What is served changes faster than the proxy answers. From now on what changes has to wait.
        let unproven = self.unproven(&Decoder::default(), kind, |name| content.resources.contains_key(name));
        if unproven.is_empty() {
            return false;
        }
        let search = self.searches.entry(kind).or_default();
        search.concern(unproven.into_keys().map(|part| part.resource));
        search.refuse(of.content(kind).version.clone(), message);
        true
    }

    /// Gives what is held and left out the form that a proxy runs which refuses the newest.
    fn complete(&mut self, kind: ResourceType, content: &Content, of: &Snapshot) -> bool {
        let decoder = Decoder::default();
        let mut completed = false;
        for (part, held) in &mut self.held {
            let runs = part.kind == kind && content.agrees(of.content(kind), &part.resource);
            if runs && held.withheld.last.is_none() {
                held.withheld.last = super::serve::form_in(&decoder, of, part, &held.refused);
                completed |= held.withheld.last.is_some();
            }
        }
        if completed {
            self.holds += 1;
            self.serve();
        }
        completed
    }

    /// Goes on with the search for what is at fault until the next answer has to be judged.
    pub(super) fn settle(&mut self, kind: ResourceType) {
        for _ in 0..MOST_STEPS {
            let Some(search) = self.searches.get_mut(&kind) else { break };
            search.stuck = false;
            self.serve();
            let version = self.served.content(kind).version.clone();
            let Some(search) = self.searches.get_mut(&kind) else { return };
            if let Some(message) = search.refusal(&version).map(str::to_owned) {
                if !self.narrow(kind, &message) {
                    return;
                }
                continue;
            }
            let served = self.served.content(kind);
            let ran = self.ran.get(&kind).filter(|last| last.version == version);
            let ran = ran.is_some_and(|last| search.is_covered_by(&last.content, served));
            if !(ran || search.has_passed(&version)) {
                return;
            }
            // Others may have run older forms since, and so less may be proven than was when this was acknowledged.
            let names = served.resources.keys().filter(|name| search.concerns(name));
            let generation = self.generations.of(&self.served);
            self.proof.renew(kind, names, &self.served, generation);
            if !search.widen() {
                self.searches.remove(&kind);
            }
        }
        if let Some(search) = self.searches.get_mut(&kind) {
            search.stuck = true;
        }
        self.serve();
    }

    /// What is served was refused with these words: holds the part at fault, or withholds some of those that may be. Says
    /// whether there was any.
    fn narrow(&mut self, kind: ResourceType, message: &str) -> bool {
        let Some(search) = self.searches.get(&kind) else { return false };
        let unproven = self.unproven(&Decoder::default(), kind, |name| search.concerns(name));
        let Some((part, form)) = unproven.first_key_value() else {
            if let Some(search) = self.searches.get_mut(&kind) {
                search.stuck = true;
            }
            return false;
        };
        if unproven.len() == 1 {
            let held = self.hold(part, form, message);
            self.held.insert(part.clone(), held);
            self.holds += 1;
            if self.searches.get_mut(&kind).is_some_and(|search| !search.widen_all()) {
                self.searches.remove(&kind);
            }
            return true;
        }
        let objects: BTreeSet<&ResourceId> = unproven.values().flat_map(|form| &form.objects).collect();
        let quoted: BTreeSet<&ResourceId> =
            objects.into_iter().filter(|id| blame::is_quoted(message, &self.target, id)).collect();
        let hinted = |part: &Part, form: &Resource| {
            let name = part.host.as_ref().unwrap_or(&part.resource);
            message.contains(name.as_str()) || form.objects.iter().any(|id| quoted.contains(id))
        };
        let hints = unproven.iter().map(|(part, form)| hinted(part, form)).collect();
        let parts = unproven.into_keys().collect();
        if let Some(search) = self.searches.get_mut(&kind) {
            search.split(parts, hints);
        }
        true
    }

    fn hold(&self, part: &Part, form: &Arc<Resource>, message: &str) -> Held {
        let good = self.proof.of(part.kind, &part.resource).map(AsRef::as_ref);
        let objects = blame::of_part(message, part.kind, form, &self.target, good);
        let withheld: Withheld = self.withhold(&Decoder::default(), part, form);
        let rejection = NodeRejection { objects, message: printable(message) };
        Held { refused: form.version.clone(), withheld, rejection }
    }

    /// The newest forms of parts of the resources `of` that are served and that no proxy has acknowledged which counts.
    pub(super) fn unproven(
        &self,
        decoder: &Decoder,
        kind: ResourceType,
        of: impl Fn(&str) -> bool,
    ) -> BTreeMap<Part, Arc<Resource>> {
        let waits = |part: &Part| self.searches.get(&kind).is_some_and(|search| search.awaits(part));
        let resources = self.target.content(kind).resources.values().filter(|resource| of(&resource.name));
        let mut unproven = BTreeMap::new();
        for resource in resources {
            let good = self.proof.of(kind, &resource.name);
            if good.is_some_and(|good| self.target.content(kind).agrees(good.content(kind), &resource.name)) {
                continue;
            }
            let proven = good.map(|good| decoder.forms(good, kind, &resource.name));
            let is_proven = |part: &Part, form: &Arc<Resource>| {
                let proven = proven.as_ref().and_then(|proven| proven.get(part));
                proven.is_some_and(|proven| proven.version == form.version)
            };
            let forms = decoder.forms(&self.target, kind, &resource.name);
            let new = forms.iter().filter(|(part, form)| {
                !is_proven(part, form) && !self.held.contains_key(*part) && !waits(part)
            });
            unproven.extend(new.map(|(part, form)| (part.clone(), Arc::clone(form))));
        }
        unproven
    }
}
