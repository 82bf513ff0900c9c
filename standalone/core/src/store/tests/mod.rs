//! Requests on a store in memory, as the shell makes them: decide, check the guards, record.

mod cases;
mod properties;

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::resource::{Resource, Resources};
use crate::status::Status;

/// Made once: the definitions take longer than any test.
static RESOURCES: LazyLock<Resources> = LazyLock::new(|| Resources::new(&fleetmesh_crds::all()));

/// A store and the resources that it has.
struct Bed {
    resources: &'static Resources,
    ledger: Ledger,
    made: u64,
}

impl Bed {
    fn new() -> Self {
        Self::bounded(HistoryBounds::default())
    }

    /// With a namespace `apps`.
    fn bounded(bounds: HistoryBounds) -> Self {
        let mut bed = Self { resources: &RESOURCES, ledger: Ledger::new(State::default(), bounds), made: 0 };
        bed.create("namespaces", json!({"metadata": {"name": "apps"}})).expect("a namespace");
        bed
    }

    fn resource(&self, plural: &str) -> Arc<Resource> {
        let found = self.resources.iter().find(|one| one.plural == plural);
        Arc::clone(found.expect("a resource"))
    }

    fn fresh(&mut self) -> Fresh {
        self.made += 1;
        Fresh {
            now: Timestamp::from_second(1_700_000_000).expect("a time"),
            uid: format!("uid-{}", self.made),
            suffix: format!("{:05}", self.made),
        }
    }

    fn key(&self, plural: &str, name: &str) -> Key {
        let resource = self.resource(plural);
        Key::new(&resource.store, if resource.namespaced { "apps" } else { "" }, name)
    }

    fn get(&self, plural: &str, name: &str) -> Option<Arc<Stored>> {
        self.ledger.state.get(&self.key(plural, name)).cloned()
    }

    fn value(&self, plural: &str, name: &str) -> Value {
        self.get(plural, name).expect("an object").value()
    }

    /// Stores what was decided.
    fn commit(&mut self, decision: Decision) -> Arc<Stored> {
        match decision {
            Decision::Unchanged(object) => object,
            Decision::Write(write, guards) => {
                assert!(guards.iter().all(|guard| self.ledger.state.holds(guard)), "{guards:?}");
                let kind = write.kind;
                let object = State::stored(write, self.ledger.state.revision() + 1);
                self.ledger.record(kind, Arc::clone(&object));
                object
            }
        }
    }

    fn create(&mut self, plural: &str, object: Value) -> Result<Arc<Stored>, Status> {
        let (resource, fresh) = (self.resource(plural), self.fresh());
        let mut object = object;
        object["apiVersion"] = resource.api_version().into();
        object["kind"] = resource.kind.as_str().into();
        let namespace = if resource.namespaced { "apps" } else { "" };
        create::place(&resource, namespace, None, &mut object)?;
        create::check_new(&object)?;
        create::prepare(&resource, &mut object, &fresh);
        let decision = create::decide(&resource, &self.ledger.state, object)?;
        Ok(self.commit(decision))
    }

    fn update(
        &mut self,
        plural: &str,
        name: &str,
        part: update::Part,
        edit: impl FnOnce(&mut Value),
    ) -> Result<Arc<Stored>, Status> {
        let resource = self.resource(plural);
        let stored = self.get(plural, name).ok_or_else(|| Status::not_found("", plural, name))?;
        let old = stored.value();
        let mut new = old.clone();
        edit(&mut new);
        update::check_uid(&resource, &stored, &new)?;
        update::check_current(&resource, &stored, &new)?;
        update::prepare(&resource, &old, &mut new, part);
        let decision = update::decide(&resource, &stored, &old, new)?;
        Ok(self.commit(decision))
    }

    fn delete(
        &mut self,
        plural: &str,
        name: &str,
        options: &delete::DeleteOptions,
    ) -> Result<Arc<Stored>, Status> {
        let (resource, fresh) = (self.resource(plural), self.fresh());
        let stored = self.get(plural, name).ok_or_else(|| Status::not_found("", plural, name))?;
        let decision = delete::decide(&resource, &stored, options, &fresh)?;
        Ok(self.commit(decision))
    }

    /// Does what is due until nothing is; answers how many steps that took.
    fn settle(&mut self) -> usize {
        let mut steps = 0;
        loop {
            let due = collect::due(&self.ledger.state, |_, kind| kind != "Pod");
            let before = self.ledger.state.revision();
            for one in due {
                steps += 1;
                assert!(steps < 10_000, "it comes to an end");
                match &one {
                    collect::Due::Delete { key, foreground, .. } => self.delete_due(key, *foreground),
                    _ => {
                        if let Some((write, guards)) = collect::write(&self.ledger.state, &one) {
                            self.commit(Decision::Write(write, guards));
                        }
                    }
                }
            }
            if self.ledger.state.revision() == before {
                return steps;
            }
        }
    }

    fn delete_due(&mut self, key: &Key, foreground: bool) {
        let found = self.resources.iter().find(|one| one.store == key.store).map(Arc::clone);
        let (resource, fresh) = (found.expect("a resource"), self.fresh());
        let Some(stored) = self.ledger.state.get(key).cloned() else { return };
        let propagation = foreground.then_some(delete::Propagation::Foreground);
        let options = delete::DeleteOptions { propagation, ..delete::DeleteOptions::default() };
        let decision = delete::decide(&resource, &stored, &options, &fresh).expect("it may go");
        self.commit(decision);
    }
}
