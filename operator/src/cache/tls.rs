//! The TLS of whole meshes: which step of it the specs of their nodes and gateways have, and when the next one follows
//! ([`fleetmesh_core::mesh_tls`]). No I/O.

use std::sync::Arc;
use std::time::Duration;

use fleetmesh_core::mesh_tls::{self, SETTLE, Stage};
use fleetmesh_core::{Distribution, Object, ObjectKey, programmed};
use fleetmesh_crds::{MeshTlsMode, MeshTlsStatus};
use fleetmesh_model::{Kind, ResourceId};

use super::entries::CacheEntry;
use super::{Cache, CacheInner, Triggers};
use crate::queue::Trigger;

/// Whether resources of the kind have TLS of their mesh's.
fn takes_tls(kind: Kind) -> bool {
    match kind {
        Kind::VirtualNode | Kind::VirtualGateway => true,
        Kind::Mesh | Kind::VirtualRouter | Kind::Route | Kind::VirtualService | Kind::GatewayRoute => false,
    }
}

/// What a Mesh asks for.
fn wanted(mesh: &Object) -> Option<MeshTlsMode> {
    mesh.extension.mesh().and_then(|mesh| mesh.tls)
}

impl Cache {
    /// Takes the next step of the TLS of the mesh `key`, when it is time; triggers those whose specs change by it. Proxies that say
    /// nothing are waited for as long as `patience`.
    pub fn advance_tls(&self, key: &ObjectKey, patience: Duration) -> Triggers {
        let mut inner = self.lock();
        let Some(entry) = inner.entries.get(key) else { return Triggers::new() };
        let mesh = Arc::clone(&entry.object);
        if !inner.leads_tls(&mesh) {
            return Triggers::new();
        }
        let stage = entry.memory.mesh().and_then(|mesh| mesh.tls);
        let next = mesh_tls::next(stage, mesh_tls::goal(wanted(&mesh)));
        let held_up_by = match mesh_tls::waits(stage, next) {
            true => inner.unsettled(mesh.id.mesh_name(), patience),
            false => Vec::new(),
        };
        let follows = held_up_by.is_empty() && next != stage;
        if let Some(memory) = inner.entries.memory(&(&*mesh).into()).and_then(|memory| memory.mesh_mut()) {
            memory.held_up_by = held_up_by;
            if follows {
                memory.tls = next;
            }
        }
        if follows { inner.spread_tls(mesh.id.mesh_name()) } else { Triggers::new() }
    }

    /// How far the TLS of a mesh is, for its status; `None` where there is none.
    pub fn mesh_tls(&self, mesh: &Object) -> Option<MeshTlsStatus> {
        let inner = self.lock();
        let memory = inner.entries.of(&mesh.into())?.memory.mesh()?;
        mesh_tls::status(memory.tls, mesh_tls::goal(wanted(mesh)), &memory.held_up_by)
    }

    /// Whether a further step of the TLS of a mesh is to follow.
    pub fn awaits_tls(&self, mesh: &Object) -> bool {
        let inner = self.lock();
        let memory = inner.entries.of(&mesh.into()).and_then(|entry| entry.memory.mesh());
        inner.leads_tls(mesh) && memory.is_some_and(|memory| memory.tls != mesh_tls::goal(wanted(mesh)))
    }
}

impl CacheInner {
    /// Whether the resource is the one that decides on the TLS of a mesh: a Mesh that has its name and stays.
    fn leads_tls(&self, mesh: &Object) -> bool {
        mesh.key.kind == Kind::Mesh && !mesh.deleting && self.holder(&mesh.id) == Some(&mesh.key)
    }

    /// `object` as its mesh wants it.
    pub(super) fn with_mesh_tls(&self, object: Object) -> Object {
        if !takes_tls(object.key.kind) {
            return object;
        }
        match self.tls_of(object.id.mesh_name()) {
            None => object,
            stage => object.with_mesh_tls(stage),
        }
    }

    /// The step that is in the specs of the nodes of a mesh.
    fn tls_of(&self, mesh: &str) -> Stage {
        let mesh = self.holder(&ResourceId::mesh(mesh)).and_then(|key| self.entries.get(key));
        mesh.and_then(|entry| entry.memory.mesh()).and_then(|mesh| mesh.tls)
    }

    /// Puts the step of a mesh into the specs of its nodes and gateways, and triggers those whose specs change by that. What a Mesh
    /// that is gone left stays as it is: nothing is written without one.
    pub(super) fn spread_tls(&mut self, mesh: &str) -> Triggers {
        if self.holder(&ResourceId::mesh(mesh)).is_none() {
            return Triggers::new();
        }
        let stage = self.tls_of(mesh);
        let members = self.entries.values().map(|entry| &entry.object);
        let members =
            members.filter(|object| object.id.mesh_name().name() == mesh && takes_tls(object.key.kind));
        let others = members.filter(|object| object.mesh_tls != stage);
        let changed: Vec<Arc<Object>> = others.map(|object| Arc::new(object.with_mesh_tls(stage))).collect();
        changed
            .into_iter()
            .map(|object| {
                self.entries.update(&object);
                (object.key.clone(), Trigger::Look)
            })
            .collect()
    }

    /// The nodes and gateways of a mesh of which it is not known that the endpoint has them as they are, and that enough of their
    /// proxies run that for long enough; the first few.
    fn unsettled(&self, mesh: &str, patience: Duration) -> Vec<ObjectKey> {
        let members = self.entries.values().filter(|entry| {
            let object = &entry.object;
            object.id.mesh_name().name() == mesh && takes_tls(object.key.kind) && !object.deleting
        });
        let members = members.filter(|entry| self.exists(&entry.object.key));
        let held_up = members.filter(|entry| !self.is_settled(entry, patience));
        let mut held_up: Vec<ObjectKey> = held_up.map(|entry| entry.object.key.clone()).collect();
        held_up.sort();
        held_up
    }

    fn is_settled(&self, CacheEntry { object, memory, .. }: &CacheEntry, patience: Duration) -> bool {
        let Some((_, identity)) = &memory.in_step else { return false };
        let distribution = self.distributions.of(&object.id);
        if distribution == Distribution::Unsupported {
            return true;
        }
        let reported_for = self.distributions.reported_for(object).unwrap_or_default();
        let waited = (reported_for >= patience).then_some(patience);
        let owners = self.owners_of(object, &distribution);
        let found = programmed::finding(identity, &distribution, &owners, waited);
        found.holds == Some(true) && self.distributions.unchanged_for(&object.id) >= SETTLE
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use fleetmesh_api::distribution::ObjectStatus;
    use fleetmesh_crds::extension::MeshExtension;
    use fleetmesh_crds::{Extension, MeshStatus, MeshTlsStage, Status};
    use fleetmesh_model::Spec;
    use serde_json::json;

    use super::super::tests::{object, written};
    use super::super::{Answer, Conclusion, NewsSource};
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn mesh(version: u64, tls: Option<MeshTlsMode>) -> Object {
        let extension = Extension::Mesh(MeshExtension { tls, ..MeshExtension::default() });
        let generation = i64::try_from(version).unwrap();
        Object { extension, generation, ..object("m", version, ResourceId::mesh("m"), json!({})) }
    }

    fn node(name: &str) -> Object {
        let spec = json!({"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}],
            "serviceDiscovery": {"dns": {"hostname": "n.local"}}});
        object(name, 1, ResourceId::virtual_node("m", name), spec)
    }

    struct MeshBed {
        cache: Cache,
        mesh: ObjectKey,
        version: i64,
    }

    impl MeshBed {
        fn new(tls: Option<MeshTlsMode>) -> Self {
            let cache = Cache::default();
            cache.supports_distribution(true);
            let mesh = mesh(1, tls);
            let key = mesh.key.clone();
            // Whichever is seen first.
            cache.seen(node("a"), NewsSource::List);
            cache.seen(mesh, NewsSource::List);
            cache.seen(node("b"), NewsSource::List);
            Self { cache, mesh: key, version: 0 }
        }

        fn key(name: &str) -> ObjectKey {
            node(name).key
        }

        /// How many were triggered by the look.
        fn look(&self) -> usize {
            self.cache.advance_tls(&self.mesh, PATIENCE).len()
        }

        fn stages(&self) -> [Stage; 2] {
            ["a", "b"].map(|name| self.cache.object(&Self::key(name)).unwrap().mesh_tls)
        }

        /// The endpoint has what these want, and all their proxies but `silent` run it.
        fn run(&mut self, names: &[&str], silent: i32) {
            self.version += 1;
            for name in names {
                let object = self.cache.object(&Self::key(name)).unwrap();
                self.cache.conclude(&object, written(self.version));
            }
            self.report(names, 2, 2 - silent);
        }

        /// So many proxies of these are connected, and so many run them.
        fn report(&self, names: &[&str], proxies: i32, acknowledged: i32) {
            let status =
                ObjectStatus { version: self.version, proxies, acknowledged, ..ObjectStatus::default() };
            let objects = names.iter().map(|name| (node(name).id, status.clone())).collect();
            self.cache.distribution_reported("m", Answer { objects, ..Answer::default() });
        }

        fn waiting(&self) -> Option<String> {
            let mesh = self.cache.object(&self.mesh).unwrap();
            self.cache.mesh_tls(&mesh).and_then(|status| status.waiting)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_step_follows_when_the_proxies_of_all_run_the_one_before() {
        let mut bed = MeshBed::new(Some(MeshTlsMode::Strict));
        assert_eq!(bed.stages(), [None; 2]);
        bed.run(&["a", "b"], 0);
        assert_eq!(bed.look(), 2, "both are written anew");
        let [listeners, clients, strict] =
            [MeshTlsStage::Listeners, MeshTlsStage::Clients, MeshTlsStage::Strict].map(Some);
        assert_eq!(bed.stages(), [listeners; 2]);
        assert_eq!(bed.look(), 0, "neither is written yet");
        bed.run(&["a"], 0);
        tokio::time::advance(SETTLE).await;
        assert_eq!(bed.look(), 0);
        assert!(bed.waiting().unwrap().contains("VirtualNode apps/b"), "{:?}", bed.waiting());
        bed.run(&["a", "b"], 1);
        tokio::time::advance(SETTLE).await;
        assert_eq!(bed.look(), 0, "a proxy has said nothing");
        bed.run(&["a", "b"], 0);
        assert_eq!(bed.look(), 0, "its certificate may not have come yet");
        tokio::time::advance(SETTLE / 2).await;
        bed.report(&["a"], 1, 1);
        tokio::time::advance(SETTLE / 2).await;
        assert_eq!(bed.look(), 0, "a proxy went, and may be back at any moment");
        bed.report(&["a"], 2, 2);
        tokio::time::advance(SETTLE).await;
        assert_eq!((bed.look(), bed.stages()), (2, [clients; 2]));
        bed.run(&["a", "b"], 0);
        tokio::time::advance(SETTLE).await;
        assert_eq!((bed.look(), bed.stages()), (2, [strict; 2]));
        assert_eq!(bed.waiting(), None);
        bed.run(&["a", "b"], 0);
        tokio::time::advance(SETTLE).await;
        assert_eq!((bed.look(), bed.stages()), (0, [strict; 2]));
        // Whoever comes later begins there.
        bed.cache.gone(&MeshBed::key("b"), None);
        bed.cache.seen(node("b"), NewsSource::Watch);
        assert_eq!(bed.stages(), [strict; 2]);

        // And back: plaintext is let in at once, the rest waits.
        bed.cache.seen(mesh(2, None), NewsSource::Watch);
        assert_eq!((bed.look(), bed.stages()), (2, [clients; 2]));
        assert_eq!(bed.look(), 0);
        for step in [listeners, None] {
            bed.run(&["a", "b"], 0);
            tokio::time::advance(SETTLE).await;
            assert_eq!((bed.look(), bed.stages()), (2, [step; 2]));
        }
        let spec = |name: &str| bed.cache.object(&MeshBed::key(name)).unwrap().effective_spec.clone();
        assert_eq!(["a", "b"].map(spec), ["a", "b"].map(|name| node(name).effective_spec));
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_is_not_written_yet_is_not_in_force_and_a_mesh_that_goes_awaits_none() {
        let mut bed = MeshBed::new(Some(MeshTlsMode::Strict));
        let in_force = |bed: &MeshBed| bed.cache.observe(&MeshBed::key("a")).unwrap().observed.in_force;
        let awaits = |bed: &MeshBed| bed.cache.awaits_tls(&bed.cache.object(&bed.mesh).unwrap());
        bed.run(&["a", "b"], 0);
        assert!(in_force(&bed) && awaits(&bed));
        assert_eq!(bed.look(), 2);
        assert!(!in_force(&bed), "the step is to be written");
        let object = bed.cache.object(&MeshBed::key("a")).unwrap();
        bed.cache.conclude(&object, Conclusion { failed: true, ..Conclusion::default() });
        assert!(!in_force(&bed), "what differs after a failure is ours, and no drift");
        bed.run(&["a", "b"], 0);
        assert!(in_force(&bed));
        bed.cache.seen(Object { deleting: true, ..mesh(2, Some(MeshTlsMode::Strict)) }, NewsSource::Watch);
        assert!(!awaits(&bed), "nothing is looked at every second for a step that does not come");
    }

    #[test]
    fn a_restart_goes_on_where_the_status_says_and_without_a_mesh_nothing_changes() {
        let cache = Cache::default();
        let status = MeshTlsStatus { stage: MeshTlsStage::Strict, waiting: None };
        let mut mesh = mesh(1, Some(MeshTlsMode::Strict));
        mesh.status.of_kind = MeshStatus { tls: Some(status) }.into();
        cache.seen(node("a"), NewsSource::List);
        cache.seen(mesh.clone(), NewsSource::List);
        let object = || cache.object(&MeshBed::key("a")).unwrap();
        assert_eq!(object().mesh_tls, Some(MeshTlsStage::Strict));
        // A status that somebody else writes moves nothing: what was decided is remembered.
        let mut forged = self::mesh(2, Some(MeshTlsMode::Strict));
        forged.status = Status::empty(Kind::Mesh);
        cache.seen(forged, NewsSource::Watch);
        assert_eq!(object().mesh_tls, Some(MeshTlsStage::Strict));
        let before = object().effective_spec.clone();
        cache.gone(&mesh.key, None);
        assert_eq!(
            object().effective_spec,
            before,
            "nothing is written without a Mesh, and nothing is to change"
        );
        let Spec::VirtualNode(node) = before else { panic!("a node") };
        assert!(node.listeners()[0].tls.is_some());
    }
}
