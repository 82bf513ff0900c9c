//! What somebody else changes of the objects that were applied, and when it is put back.
//!
//! `change of an object → does MANAGER still own what it applied? → due at once, or later when two parties fight → applied again`
//!
//! Whoever gives a field that was applied another value, or removes it, takes it out of what [`MANAGER`] owns (`managedFields`). So a
//! status, a finalizer or a field that no file has is none of this, and nothing is compared but what is owned.
//!
//! Pure: the time is passed in, as what has passed since some moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{MANAGER, ObjectName, is_owned};

/// An object that is changed again so soon after it was put back is fought over.
const CALM: Duration = Duration::from_secs(120);
/// How long the second putting back waits; twice as long each time, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(600);

/// What [`MANAGER`] owns of an object, as a digest; `None` when it owns nothing.
type Owned = Option<[u8; 32]>;

/// What another manager owns of an object: when that changed last, the manager, and the digest of all of the entry. The last is the
/// greatest.
type Write = (String, String, [u8; 32]);

/// What has become of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Existence {
    Live(Owned),
    /// It has finalizers, or is a namespace that is not empty.
    Deleting,
    Gone,
}

/// A change of an object, or how it was left by a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    revision: u64,
    existence: Existence,
    /// What others wrote of it.
    others: BTreeSet<Write>,
    /// Its uid, when an answer shows that it was made for the directory.
    ours: Option<String>,
}

/// What a line of a watch says.
#[derive(Debug, PartialEq, Eq)]
pub enum WatchLine {
    /// An object changed: its namespace, its name, and how.
    Changed {
        /// Empty for kinds that have none.
        namespace: String,
        /// Its name.
        name: String,
        /// How it is now.
        change: Change,
    },
    /// Nothing changed until this resource version.
    Bookmark(u64),
    /// The watch has to begin anew: it missed changes.
    Lost,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    namespace: String,
    name: String,
    resource_version: String,
    deletion_timestamp: Option<String>,
    managed_fields: Vec<Entry>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    manager: String,
    operation: String,
    subresource: String,
    time: String,
    fields_v1: Value,
}

impl Entry {
    fn write(&self) -> Write {
        let Self { manager, operation, time, fields_v1, .. } = self;
        let digest = Sha256::digest(format!("{operation} {fields_v1}")).into();
        (time.clone(), manager.clone(), digest)
    }
}

impl Metadata {
    fn change(&self, is_gone: bool) -> Change {
        let applies = |entry: &&Entry| entry.manager == MANAGER && entry.operation == "Apply";
        let own = self.managed_fields.iter().find(|entry| applies(entry) && entry.subresource.is_empty());
        let owned = own.map(|entry| Sha256::digest(entry.fields_v1.to_string()).into());
        // Statuses are not applied.
        let others = self.managed_fields.iter().filter(|one| !applies(one) && one.subresource.is_empty());
        // Who deletes leaves no trace.
        let others = others.filter(|_| !is_gone).map(Entry::write).collect();
        let existence = match (is_gone, &self.deletion_timestamp) {
            (true, _) => Existence::Gone,
            (false, Some(_)) => Existence::Deleting,
            (false, None) => Existence::Live(owned),
        };
        Change { revision: self.resource_version.parse().unwrap_or_default(), existence, others, ours: None }
    }
}

impl Change {
    /// The resource version of the change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How an answer shows an object; `None` when it has no metadata.
    pub fn of(object: &Value) -> Option<Self> {
        let Object { metadata } = Object::deserialize(object).ok()?;
        let uid = object["metadata"]["uid"].as_str().filter(|_| is_owned(object));
        Some(Change { ours: uid.map(str::to_owned), ..metadata.change(false) })
    }
}

/// Reads a line of a watch. What is no such line ends the watch.
pub fn watch_line(line: &[u8]) -> WatchLine {
    let read = || -> Option<WatchLine> {
        let Line { kind, object: Object { metadata } } = serde_json::from_slice(line).ok()?;
        Some(match kind.as_str() {
            "ADDED" | "MODIFIED" | "DELETED" => {
                let change = metadata.change(kind == "DELETED");
                WatchLine::Changed { namespace: metadata.namespace, name: metadata.name, change }
            }
            "BOOKMARK" => WatchLine::Bookmark(metadata.resource_version.parse().ok()?),
            _ => WatchLine::Lost,
        })
    };
    read().unwrap_or(WatchLine::Lost)
}

/// What is put back, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutBack {
    /// The object.
    pub name: ObjectName,
    /// Whether it was deleted, or else changed.
    pub is_gone: bool,
    /// Who wrote it last since it was applied; `None` for who only removed or deleted.
    pub by: Option<String>,
    /// How often it was put back in succession before: the next time waits for twice as long.
    pub before: u32,
}

/// How an object was left when it was applied.
#[derive(Clone, Debug)]
struct Mark {
    revision: u64,
    owned: Owned,
    others: BTreeSet<Write>,
    /// Its uid, if it was made for the directory.
    ours: Option<String>,
}

/// That an object was put back before.
#[derive(Clone, Copy, Debug)]
struct Contest {
    times: u32,
    at: Duration,
}

impl Contest {
    fn wait(self) -> Duration {
        FIRST.saturating_mul(1 << self.times.saturating_sub(1).min(16)).min(LONGEST)
    }
}

/// What was applied, and what is due.
#[derive(Debug, Default)]
pub struct Drift {
    marks: BTreeMap<ObjectName, Mark>,
    due: BTreeMap<ObjectName, (Duration, PutBack)>,
    contests: BTreeMap<ObjectName, Contest>,
    /// What was applied and is being deleted or gone. What was in such a namespace cannot be made before the namespace is there again.
    absent: BTreeSet<ObjectName>,
}

impl Drift {
    /// The object was applied and left like this.
    pub fn applied(&mut self, name: &ObjectName, left: &Change) {
        let Change { revision, existence: Existence::Live(owned), others, ours } = left.clone() else {
            return;
        };
        self.due.remove(name);
        self.absent.remove(name);
        self.marks.insert(name.clone(), Mark { revision, owned, others, ours });
    }

    /// The uid of the object that was made for the directory, whatever has become of its label.
    pub fn ours(&self, name: &ObjectName) -> Option<&str> {
        self.marks.get(name)?.ours.as_deref()
    }

    /// The object was put back at `now`.
    pub fn put_back(&mut self, done: &PutBack, now: Duration) {
        let contest = Contest { times: done.before.saturating_add(1), at: now };
        self.contests.insert(done.name.clone(), contest);
    }

    /// Nothing but these is applied any more.
    pub fn keep(&mut self, wanted: impl Fn(&ObjectName) -> bool) {
        self.marks.retain(|name, _| wanted(name));
        self.due.retain(|name, _| wanted(name));
        self.contests.retain(|name, _| wanted(name));
        self.absent.retain(wanted);
    }

    /// Changes were missed: nothing is known to be absent any more, and all of it is to be applied again.
    pub fn missed(&mut self) {
        self.absent.clear();
    }

    /// An object changed. What was not applied is passed over, and so is what happened before it was. Returns whether the object is
    /// being deleted, which was not known: it can be made again when it is gone.
    pub fn see(&mut self, name: &ObjectName, change: &Change, now: Duration) -> bool {
        let Some(mark) = self.marks.get(name).filter(|mark| change.revision > mark.revision) else {
            return false;
        };
        let is_new = match change.existence {
            Existence::Live(_) => !self.absent.remove(name),
            Existence::Deleting | Existence::Gone => self.absent.insert(name.clone()),
        };
        let is_gone = match &change.existence {
            Existence::Live(owned) if *owned == mark.owned => {
                // Somebody put it back.
                self.due.remove(name);
                return false;
            }
            Existence::Deleting => return is_new,
            Existence::Live(_) => false,
            Existence::Gone => true,
        };
        let contest = self.contests.get(name).filter(|last| now.saturating_sub(last.at) < CALM + last.wait());
        let (wait, before) = contest.map_or((Duration::ZERO, 0), |contest| (contest.wait(), contest.times));
        // Who only removes has no entry; one that was there before is of somebody else.
        let by = change.others.difference(&mark.others).max().map(|(_, manager, _)| manager.clone());
        let put_back = PutBack { name: name.clone(), is_gone, by, before };
        // What is due already keeps its time.
        let at = self.due.get(name).map_or(now + wait, |(at, _)| *at);
        self.due.insert(name.clone(), (at, put_back));
        false
    }

    /// Whether the object is known to be gone, and can be made again.
    pub fn is_gone(&self, name: &ObjectName) -> bool {
        self.due.get(name).is_some_and(|(_, one)| one.is_gone) && !self.is_held(name)
    }

    /// When something is due next.
    pub fn next(&self) -> Option<Duration> {
        let ready = self.due.values().filter(|(_, one)| !self.is_held(&one.name));
        ready.map(|(at, _)| *at).min()
    }

    /// Takes what is due at `now`, namespaces first. What is in a namespace that is absent is due when that is applied.
    pub fn take(&mut self, now: Duration) -> Vec<PutBack> {
        let is_due = |(at, one): &&(Duration, PutBack)| *at <= now && !self.is_held(&one.name);
        let mut due: Vec<PutBack> = self.due.values().filter(is_due).map(|(_, one)| one.clone()).collect();
        due.iter().for_each(|one| _ = self.due.remove(&one.name));
        due.sort_by_key(|one| !one.name.is_namespace());
        due
    }

    fn is_held(&self, name: &ObjectName) -> bool {
        !self.absent.is_empty() && self.absent.contains(&ObjectName::of_namespace(&name.namespace))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::LABEL;
    use super::*;

    fn name(kind: &str, namespace: &str, name: &str) -> ObjectName {
        let [kind, namespace, name] = [kind, namespace, name].map(str::to_owned);
        ObjectName { group: String::new(), kind, namespace, name }
    }

    fn object(revision: u64, owned: &[&str], status_of: &str) -> Value {
        let fields: serde_json::Map<String, Value> =
            owned.iter().map(|field| (format!("f:{field}"), json!({}))).collect();
        json!({"metadata": {
            "name": "a", "resourceVersion": revision.to_string(),
            "managedFields": [
                {"manager": MANAGER, "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": fields}},
                {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-02T00:00:00Z", "fieldsV1": {}},
                {"manager": "operator", "operation": "Update", "subresource": "status", "time": status_of, "fieldsV1": {}},
            ],
        }})
    }

    fn change(revision: u64, owned: &[&str]) -> Change {
        Change::of(&object(revision, owned, "2026-01-03T00:00:00Z")).expect("an object")
    }

    fn watched(kind: &str, object: &Value) -> Change {
        match watch_line(json!({"type": kind, "object": object}).to_string().as_bytes()) {
            WatchLine::Changed { change, .. } => change,
            other => panic!("{other:?}"),
        }
    }

    const NOW: Duration = Duration::from_secs(1000);

    fn seconds(seconds: u64) -> Duration {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn what_takes_a_field_away_is_put_back_and_nothing_else() {
        let (a, mut drift) = (name("ConfigMap", "default", "a"), Drift::default());
        drift.applied(&a, &change(5, &["x", "y"]));
        drift.see(&a, &change(6, &["x", "y"]), NOW);
        drift.see(&name("ConfigMap", "default", "b"), &change(6, &[]), NOW);
        assert_eq!(drift.next(), None, "a status, and what nobody applied");
        drift.see(&a, &change(4, &["x"]), NOW);
        assert_eq!(drift.next(), None, "it was so before it was applied");
        drift.see(&a, &change(7, &["x"]), NOW);
        assert_eq!(drift.next(), Some(NOW), "at once");
        assert_eq!(drift.take(NOW), [PutBack { name: a.clone(), is_gone: false, by: None, before: 0 }]);
        assert_eq!(drift.next(), None);
        drift.see(&a, &change(8, &["x"]), NOW);
        drift.see(&a, &change(9, &["x", "y"]), NOW);
        assert_eq!(drift.next(), None, "somebody put it back");
        drift.see(&a, &change(10, &["x"]), NOW);
        drift.keep(|_| false);
        assert_eq!(drift.next(), None, "no file has it any more");
    }

    #[test]
    fn what_is_deleted_is_made_again_when_it_is_gone_and_its_namespace_before_it() {
        let (space, a) = (name("Namespace", "", "shop"), name("ConfigMap", "shop", "a"));
        let mut drift = Drift::default();
        drift.applied(&space, &change(1, &["x"]));
        drift.applied(&a, &change(2, &["x"]));
        let mut deleting = object(3, &["x"], "");
        deleting["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        drift.see(&space, &watched("MODIFIED", &deleting), NOW);
        drift.see(&a, &watched("DELETED", &object(4, &["x"], "")), NOW);
        assert_eq!((drift.next(), drift.take(seconds(9))), (None, vec![]), "the namespace ends");
        assert!(!drift.is_gone(&a), "nor is it tried with the rest");
        drift.see(&space, &watched("DELETED", &object(5, &["x"], "")), NOW);
        assert!(drift.is_gone(&space));
        assert_eq!(gone(&drift.take(NOW)), [&space]);
        assert_eq!(drift.next(), None, "there is no namespace yet");
        drift.applied(&space, &change(6, &["x"]));
        assert_eq!(drift.next(), Some(NOW), "at once");
        assert_eq!(gone(&drift.take(NOW)), [&a]);
    }

    #[test]
    fn what_was_made_for_the_directory_is_known_without_its_label_until_no_file_has_it() {
        let (a, mut drift) = (name("ConfigMap", "default", "a"), Drift::default());
        let mut made = object(1, &["x"], "");
        made["metadata"]["uid"] = "u".into();
        drift.applied(&a, &Change::of(&made).expect("an object"));
        assert_eq!(drift.ours(&a), None, "it was there before");
        made["metadata"]["labels"] = json!({(LABEL): "applied"});
        made["metadata"]["managedFields"][0]["fieldsV1"] =
            json!({"f:metadata": {"f:labels": {format!("f:{LABEL}"): {}}}});
        drift.applied(&a, &Change::of(&made).expect("an object"));
        assert!(!drift.see(&a, &change(2, &[]), NOW), "the label is gone");
        assert_eq!(drift.ours(&a), Some("u"));
        drift.keep(|_| false);
        assert_eq!(drift.ours(&a), None);
    }

    fn gone(due: &[PutBack]) -> Vec<&ObjectName> {
        due.iter().filter(|one| one.is_gone).map(|one| &one.name).collect()
    }

    /// A namespace and what is in it, applied, and deleted as a collector does that, from the revision on.
    fn delete_namespace(drift: &mut Drift, inside: &ObjectName, revision: u64, now: Duration) -> bool {
        let space = ObjectName::of_namespace(&inside.namespace);
        let mut deleting = object(revision, &["x"], "");
        deleting["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        let is_new = drift.see(&space, &watched("MODIFIED", &deleting), now);
        drift.see(inside, &watched("DELETED", &object(revision + 1, &["x"], "")), now);
        is_new
    }

    #[test]
    fn what_is_in_a_namespace_that_is_deleted_twice_waits_for_it_the_second_time_too() {
        let (space, a) = (name("Namespace", "", "shop"), name("ConfigMap", "shop", "a"));
        let mut drift = Drift::default();
        drift.applied(&space, &change(1, &["x"]));
        drift.applied(&a, &change(2, &["x"]));
        assert!(delete_namespace(&mut drift, &a, 3, NOW), "it waits until it is gone");
        drift.see(&space, &watched("DELETED", &object(5, &["x"], "")), NOW);
        for (revision, name) in [(6, &space), (7, &a)] {
            let due = drift.take(NOW);
            assert_eq!(gone(&due), [name]);
            drift.applied(name, &change(revision, &["x"]));
            due.iter().for_each(|one| drift.put_back(one, NOW));
        }
        delete_namespace(&mut drift, &a, 8, seconds(3));
        // Later than what is in it: both wait for a second, each from its own deletion.
        drift.see(&space, &watched("DELETED", &object(10, &["x"], "")), seconds(5));
        assert_eq!(drift.next(), Some(seconds(6)), "what is in it waits for the namespace");
        assert_eq!(gone(&drift.take(seconds(6))), [&space]);
        drift.applied(&space, &change(11, &["x"]));
        assert_eq!(gone(&drift.take(seconds(6))), [&a]);
    }

    #[test]
    fn a_namespace_holds_nothing_when_no_file_has_it_or_its_changes_are_missed_or_it_is_older_than_known() {
        let (space, a) = (name("Namespace", "", "shop"), name("ConfigMap", "shop", "a"));
        let deleted = |has_namespace: bool| {
            let mut drift = Drift::default();
            drift.applied(&a, &change(1, &["x"]));
            if has_namespace {
                drift.applied(&space, &change(2, &["x"]));
            }
            let is_new = delete_namespace(&mut drift, &a, 3, NOW);
            assert_eq!(is_new, has_namespace);
            drift
        };
        assert_eq!(deleted(false).next(), Some(NOW), "it is another's");
        let mut drift = deleted(true);
        assert_eq!(drift.next(), None);
        drift.keep(|name| !name.is_namespace());
        assert_eq!(drift.next(), Some(NOW), "no file has it any more");
        let mut drift = deleted(true);
        drift.missed();
        assert_eq!(drift.next(), Some(NOW), "nobody would say when it is gone");
        drift.applied(&space, &change(9, &["x"]));
        drift.see(&space, &watched("DELETED", &object(8, &["x"], "")), NOW);
        assert_eq!(gone(&drift.take(NOW)), [&a], "it was gone before it was made again");
    }

    #[test]
    fn who_wrote_since_it_was_applied_is_named_and_nobody_for_who_only_removes() {
        let a = name("ConfigMap", "default", "a");
        let entry = |manager: &str, day: u32, fields: &str| json!({"manager": manager, "operation": "Update", "time": format!("2026-01-0{day}T00:00:00Z"), "fieldsV1": {fields: {}}});
        let by = |entries: &[Value]| {
            let mut drift = Drift::default();
            drift.applied(&a, &change(1, &["x"]));
            let mut changed = object(2, &[], "2026-01-09T00:00:00Z");
            let known = changed["metadata"]["managedFields"].as_array_mut().expect("entries");
            known.extend(entries.iter().cloned());
            drift.see(&a, &watched("MODIFIED", &changed), NOW);
            drift.take(NOW).pop().expect("due").by
        };
        assert_eq!(by(&[]), None, "kubectl-edit was there before, and a status is none");
        assert_eq!(
            by(&[entry("culprit", 1, "f:data")]).as_deref(),
            Some("culprit"),
            "new, whatever its time"
        );
        let two = [entry("culprit", 3, "f:data"), entry("another", 2, "f:data")];
        assert_eq!(by(&two).as_deref(), Some("culprit"), "the last of them");
        assert_eq!(
            by(&[entry("kubectl-edit", 2, "f:data")]).as_deref(),
            Some("kubectl-edit"),
            "other fields"
        );
        assert_eq!(by(&[entry("kubectl-edit", 3, "f:data")]).as_deref(), Some("kubectl-edit"), "and later");
    }

    #[test]
    fn two_parties_that_fight_do_so_more_and_more_slowly() {
        let (a, mut drift, mut now) = (name("ConfigMap", "default", "a"), Drift::default(), NOW);
        drift.applied(&a, &change(0, &["x"]));
        let mut waits = Vec::new();
        for revision in 1..14_u64 {
            // The other one answers at once.
            drift.see(&a, &change(2 * revision - 1, &[]), now);
            let next = drift.next().expect("due");
            waits.push((next - now).as_secs());
            drift.see(&a, &change(2 * revision - 1, &[]), now);
            assert_eq!(drift.next(), Some(next), "not later for being changed again");
            now = next;
            let due = drift.take(now);
            drift.applied(&a, &change(2 * revision, &["x"]));
            due.iter().for_each(|one| drift.put_back(one, now));
        }
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        now += LONGEST + CALM;
        drift.see(&a, &change(100, &[]), now);
        assert_eq!(drift.next(), Some(now), "after a calm it is at once again");
    }

    #[test]
    fn lines_of_a_watch_are_read_and_what_is_none_ends_it() {
        let line = |text: &str| watch_line(text.as_bytes());
        let bookmark =
            r#"{"type":"BOOKMARK","object":{"kind":"ConfigMap","metadata":{"resourceVersion":"7"}}}"#;
        assert_eq!(line(bookmark), WatchLine::Bookmark(7));
        for lost in [
            "",
            "{",
            r#"{"type":"ERROR","object":{"kind":"Status","code":410}}"#,
            r#"{"type":"BOOKMARK","object":{}}"#,
        ] {
            assert_eq!(line(lost), WatchLine::Lost, "{lost}");
        }
    }
}
