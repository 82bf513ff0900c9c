//! `Recorder`, whose Events of events.k8s.io/v1 are what `kubectl get events` shows of core/v1.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event as StoredEvent;
use kube::api::{Api, ListParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Resource as _, ResourceExt as _};

use super::{KubeRsSpace, on_each};

fn event(reason: &str, type_: EventType, note: &str) -> Event {
    let (reason, action) = (reason.to_owned(), "Reconciling".to_owned());
    Event { type_, reason, note: Some(note.to_owned()), action, secondary: None }
}

async fn stored(space: &KubeRsSpace, namespace: &str) -> Vec<StoredEvent> {
    let events: Api<StoredEvent> = Api::namespaced(space.client.clone(), namespace);
    let reported = |event: &StoredEvent| event.reporting_controller.as_deref() == Some("example.com/ports");
    events.list(&ListParams::default()).await.unwrap().into_iter().filter(reported).collect()
}

#[tokio::test]
async fn events_of_a_recorder_are_one_series_and_kubectl_shows_them() {
    on_each("recorders", recording).await;
}

async fn recording(space: &KubeRsSpace) {
    let instance = Some("pod-1".to_owned());
    let reporter = Reporter { controller: "example.com/ports".to_owned(), instance };
    let recorder = Recorder::new(space.client.clone(), reporter);
    let router = space.create_router("shop", 80).await;
    let about = router.object_ref(&());
    for _ in 0..3 {
        recorder.publish(&event("PortTaken", EventType::Warning, "80 is taken"), &about).await.unwrap();
    }
    recorder.publish(&event("PortFreed", EventType::Normal, "80 is free"), &about).await.unwrap();

    let mut events = stored(space, "recorders").await;
    events.sort_by_key(|event| event.series.is_none());
    let [taken, freed] = &events[..] else { panic!("two Events, not {events:?}") };
    let series = taken.series.as_ref().unwrap();
    assert_eq!(
        (series.count, taken.reason.as_deref(), taken.type_.as_deref()),
        (3, Some("PortTaken"), Some("Warning"))
    );
    assert!(series.last_observed_time.0 > taken.event_time.as_ref().unwrap().0);
    assert_eq!(taken.regarding.as_ref().unwrap().uid, router.uid());
    assert_eq!((freed.series.as_ref(), freed.note.as_deref()), (None, Some("80 is free")));

    let kubectl = &space.kubectl;
    let get = [
        "get",
        "events",
        "--namespace",
        "recorders",
        "--field-selector",
        "involvedObject.name=shop,reason=PortTaken",
    ];
    let seen = kubectl.json(&get).await.unwrap();
    let seen = &seen["items"][0];
    assert_eq!((&seen["apiVersion"], &seen["metadata"]["name"]), (&"v1".into(), &taken.name_any().into()));
    assert_eq!((&seen["series"]["count"], &seen["message"]), (&3.into(), &"80 is taken".into()));
    assert_eq!(seen["reportingComponent"], "example.com/ports");
    assert_eq!(seen["reportingInstance"], "pod-1");
    let described = ["describe", "virtualrouters.fleetmesh.dev/shop", "--namespace", "recorders"];
    let described = kubectl.run(&described).await.unwrap();
    assert!(described.contains("PortTaken") && described.contains("80 is taken"), "{described}");
}

#[tokio::test]
async fn events_about_what_has_no_namespace_are_in_default() {
    on_each("placeless", recording_in_default).await;
}

async fn recording_in_default(space: &KubeRsSpace) {
    let reporter = Reporter { controller: "example.com/ports".to_owned(), instance: None };
    let recorder = Recorder::new(space.client.clone(), reporter);
    let namespace = Api::<Namespace>::all(space.client.clone()).get("placeless").await.unwrap();
    let about = namespace.object_ref(&());
    for _ in 0..2 {
        recorder.publish(&event("Seen", EventType::Normal, "it is there"), &about).await.unwrap();
    }
    let events = stored(space, "default").await;
    let [seen] = &events[..] else { panic!("one Event, not {events:?}") };
    assert_eq!(seen.series.as_ref().map(|series| series.count), Some(2));
    assert_eq!(seen.regarding.as_ref().unwrap().uid, namespace.uid());
}
