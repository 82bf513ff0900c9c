//! The search for what is at fault in answers of one type. Pure bookkeeping: which parts wait to be tried, and which answers
//! were judged.
//!
//! A refused answer's new parts are split; one half waits, the other is served. When that passes, the half that waited last is
//! served beside it: if that is the answer that was refused before, this is known without sending it again, and it is split in
//! turn. So one part at fault among `n` is found with `⌈log2 n⌉` answers after the refused one. Then all that waits is tried at
//! once, as most often there was just one: each part at fault takes `⌈log2 n⌉ + 1` answers at most.
//!
//! What changes meanwhile comes last, when all that the search began with is in force or held.

use std::collections::{BTreeMap, BTreeSet};

use super::part::Part;
use crate::snapshot::Content;

/// The most answers that a search keeps in mind. Only targets that change all the time bring so many.
const MOST_JUDGED: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Search {
    /// The resources that it is about.
    resources: BTreeSet<String>,
    /// Parts that are not served yet; the last group is tried next.
    waiting: Vec<BTreeSet<Part>>,
    /// Those that are tried when nothing else waits.
    later: BTreeSet<Part>,
    /// The versions of the answers that were refused, and the words.
    refused: BTreeMap<String, String>,
    passed: BTreeSet<String>,
    /// A proxy refuses an answer of which others run every part: nothing can be learned from it.
    pub(super) stuck: bool,
}

impl Search {
    pub(super) fn concern(&mut self, resources: impl Iterator<Item = String>) {
        self.resources.extend(resources);
    }

    pub(super) fn concerns(&self, resource: &str) -> bool {
        self.resources.contains(resource)
    }

    /// Whether an answer held all that the search is about and `served` has.
    pub(super) fn is_covered_by(&self, content: &Content, served: &Content) -> bool {
        let mut concerned = self.resources.iter().filter(|name| served.resources.contains_key(*name));
        concerned.all(|name| content.resources.contains_key(name))
    }

    pub(super) fn refuse(&mut self, version: String, message: &str) {
        self.refused.insert(version, message.to_owned());
    }

    pub(super) fn pass(&mut self, version: String) {
        self.passed.insert(version);
    }

    /// Forgets what was acknowledged: it is no proof any more.
    pub(super) fn doubt(&mut self) {
        self.passed.clear();
    }

    pub(super) fn refusal(&self, version: &str) -> Option<&str> {
        self.refused.get(version).map(String::as_str)
    }

    pub(super) fn has_passed(&self, version: &str) -> bool {
        self.passed.contains(version)
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &Part> {
        self.waiting.iter().flatten().chain(&self.later)
    }

    pub(super) fn awaits(&self, part: &Part) -> bool {
        self.later.contains(part) || self.waiting.iter().any(|group| group.contains(part))
    }

    /// Lets a part wait for all others.
    pub(super) fn defer(&mut self, part: Part) {
        self.resources.insert(part.resource.clone());
        self.later.insert(part);
    }

    /// Lets one group of what waits be served; says whether there was one.
    pub(super) fn widen(&mut self) -> bool {
        self.waiting.pop().is_some() || !std::mem::take(&mut self.later).is_empty()
    }

    /// Lets all be served that waits since the search began; says whether anything waits or waited.
    pub(super) fn widen_all(&mut self) -> bool {
        !std::mem::take(&mut self.waiting).is_empty() || !self.later.is_empty()
    }

    /// Lets some of `parts` wait: those that are hinted at when these are some but not all, else half of them.
    pub(super) fn split(&mut self, parts: Vec<Part>, hints: Vec<bool>) {
        let hinted = hints.iter().filter(|hint| **hint).count();
        let middle = parts.len().div_ceil(2);
        let by_hint = hinted > 0 && hinted < parts.len();
        let waits = |index: usize, hint: bool| if by_hint { hint } else { index >= middle };
        let parts = parts.into_iter().zip(hints).enumerate();
        let group = parts.filter(|(index, (_, hint))| waits(*index, *hint)).map(|(_, (part, _))| part);
        self.waiting.push(group.collect());
    }

    /// Forgets parts that are no more, and answers when there are too many.
    pub(super) fn keep(&mut self, exists: impl Fn(&Part) -> bool) {
        self.waiting.iter_mut().chain([&mut self.later]).for_each(|group| group.retain(&exists));
        self.waiting.retain(|group| !group.is_empty());
        if self.refused.len() + self.passed.len() > MOST_JUDGED {
            self.refused.clear();
            self.passed.clear();
        }
    }
}
