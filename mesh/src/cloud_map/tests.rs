//! Tests of the services in use, the known ones, the addresses and the schedule.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetmesh_model::common::IpPreference;
use fleetmesh_model::service_discovery::AwsCloudMapInstanceAttribute;
use serde_json::{Value, json};

use super::discovered::{Discovered, Discovery, wanted};
use super::instance::{AttributeChoice, RegisteredInstance, addresses};
use super::schedule::{REREAD, Schedule};
use crate::testing::{instance, list, service, view};

const PLAIN: AttributeChoice<'static> =
    AttributeChoice { attributes: &[], preference: None, port: 8080, only_listener: true };

fn chosen(instances: &[RegisteredInstance], choice: AttributeChoice<'_>) -> Vec<String> {
    addresses(instances, choice).iter().map(ToString::to_string).collect()
}

#[test]
fn every_service_that_a_virtual_node_names_is_wanted_once() {
    let node = |service: &str| json!({"serviceDiscovery": {"awsCloudMap": {"namespaceName": "apps.local", "serviceName": service}}});
    let dns: Value = json!({"serviceDiscovery": {"dns": {"hostname": "d"}}});
    let one = view(&[("virtualNode/a", node("a")), ("virtualNode/a2", node("a")), ("virtualNode/d", dns)]);
    let other = view(&[("virtualNode/b", node("b")), ("virtualNode/client", json!({}))]);
    assert_eq!(wanted([&one, &other]), BTreeSet::from([service("a"), service("b")]));
    assert!(wanted([]).is_empty());
}

#[test]
fn a_failure_changes_no_list() {
    let mut known = Discovered::default();
    let failed = || Discovery::Failed("Throttled".into());
    assert!(known.enter(&service("a"), failed()));
    assert_eq!((known.failure(&service("a")), known.instances(&service("a"))), (Some("Throttled"), None));
    assert!(!known.enter(&service("a"), failed()), "nothing new");
    let instances = [instance("i-1", &[])];
    assert!(known.enter(&service("a"), list(&instances)));
    assert!(!known.enter(&service("a"), failed()));
    assert_eq!(known.failure(&service("a")), None);
    assert_eq!(known.instances(&service("a")).map(|list| list.to_vec()), Some(instances.to_vec()));
    let before = known.clone();
    assert!(!known.enter(&service("a"), list(&instances)) && known.is_same(&before), "equal is the same");
    assert!(known.enter(&service("a"), list(&[])), "an answer that is empty counts");
    assert_eq!(known.instances(&service("a")).map(|list| list.len()), Some(0));
    assert!(!known.retain(&BTreeSet::from([service("a")])));
    assert!(known.retain(&BTreeSet::new()) && known.instances(&service("a")).is_none());
}

#[test]
fn an_instance_needs_every_attribute_with_its_value() {
    let attribute =
        |key: &str, value: &str| AwsCloudMapInstanceAttribute { key: key.into(), value: value.into() };
    let instances = [
        instance("1", &[("AWS_INSTANCE_IPV4", "10.0.0.1"), ("version", "v1"), ("az", "a")]),
        instance("2", &[("AWS_INSTANCE_IPV4", "10.0.0.2"), ("version", "v2"), ("az", "a")]),
        instance("3", &[("AWS_INSTANCE_IPV4", "10.0.0.3"), ("version", "v1")]),
    ];
    let by = |attributes: &[AwsCloudMapInstanceAttribute]| {
        chosen(&instances, AttributeChoice { attributes, ..PLAIN })
    };
    assert_eq!(by(&[attribute("version", "v1")]), ["10.0.0.1:8080", "10.0.0.3:8080"]);
    assert_eq!(by(&[attribute("version", "v1"), attribute("az", "a")]), ["10.0.0.1:8080"]);
    assert!(by(&[attribute("version", "V1")]).is_empty());
    assert_eq!(by(&[]).len(), 3);
}

#[test]
fn the_preference_chooses_the_address() {
    let both = [("AWS_INSTANCE_IPV4", "10.0.0.1"), ("AWS_INSTANCE_IPV6", "fd00::1")];
    let instances = [
        instance("both", &both),
        instance("v4", &[("AWS_INSTANCE_IPV4", "10.0.0.2")]),
        instance("v6", &[("AWS_INSTANCE_IPV6", "fd00::2")]),
        instance("alias", &[("AWS_ALIAS_DNS_NAME", "lb.example.com")]),
        instance("odd", &[("AWS_INSTANCE_IPV4", "not-an-address")]),
    ];
    let (four, six) = (["10.0.0.1:8080", "10.0.0.2:8080"], ["[fd00::1]:8080", "[fd00::2]:8080"]);
    let by = |preference| chosen(&instances, AttributeChoice { preference, ..PLAIN });
    assert_eq!(by(None), [four[0], four[1], six[1]]);
    assert_eq!(by(Some(IpPreference::Ipv4Preferred)), [four[0], four[1], six[1]]);
    assert_eq!(by(Some(IpPreference::Ipv6Preferred)), [four[1], six[0], six[1]]);
    assert_eq!(by(Some(IpPreference::Ipv4Only)), four);
    assert_eq!(by(Some(IpPreference::Ipv6Only)), six);
}

#[test]
fn an_instance_has_its_own_port_where_that_is_unambiguous() {
    let at = |port: &str| [instance("i", &[("AWS_INSTANCE_IPV4", "10.0.0.1"), ("AWS_INSTANCE_PORT", port)])];
    assert_eq!(chosen(&at("9000"), PLAIN), ["10.0.0.1:9000"]);
    assert_eq!(chosen(&at("9000"), AttributeChoice { only_listener: false, ..PLAIN }), ["10.0.0.1:8080"]);
    for nonsense in ["0", "65536", "http", ""] {
        assert_eq!(chosen(&at(nonsense), PLAIN), ["10.0.0.1:8080"], "{nonsense:?}");
    }
}

#[test]
fn unhealthy_instances_serve_only_where_there_is_no_other() {
    let at = |id: &str, version: &str, unhealthy| {
        let address = format!("10.0.0.{id}");
        RegisteredInstance {
            unhealthy,
            ..instance(id, &[("AWS_INSTANCE_IPV4", &address), ("version", version)])
        }
    };
    let instances = [at("1", "v1", true), at("2", "v2", false), at("3", "v2", true)];
    let by = |version: &str| {
        let wanted = [AwsCloudMapInstanceAttribute { key: "version".into(), value: version.into() }];
        chosen(&instances, AttributeChoice { attributes: &wanted, ..PLAIN })
    };
    assert_eq!(by("v2"), ["10.0.0.2:8080"]);
    assert_eq!(by("v1"), ["10.0.0.1:8080"], "another node's healthy instances do not count");
    assert_eq!(chosen(&instances, PLAIN), ["10.0.0.2:8080"]);
}

#[test]
fn the_order_of_instances_does_not_show() {
    let one = instance("1", &[("AWS_INSTANCE_IPV4", "10.0.0.9")]);
    let other = instance("2", &[("AWS_INSTANCE_IPV4", "10.0.0.10")]);
    let same = instance("3", &[("AWS_INSTANCE_IPV4", "10.0.0.9")]);
    let ab = chosen(&[one.clone(), other.clone(), same.clone()], PLAIN);
    assert_eq!(ab, chosen(&[same, other, one], PLAIN));
    assert_eq!(ab, ["10.0.0.9:8080", "10.0.0.10:8080"]);
}

#[test]
fn instances_are_read_when_the_revision_changed_and_now_and_then() {
    let mut schedule = Schedule::default();
    assert!(schedule.is_due(Some(0)), "nothing was read yet");
    schedule.read(Some(0));
    for poll in 1..REREAD {
        assert!(!schedule.is_due(Some(0)), "poll {poll}");
    }
    assert!(schedule.is_due(Some(0)), "health does not change the revision");
    schedule.read(Some(0));
    assert!(!schedule.is_due(Some(0)));
    assert!(schedule.is_due(Some(1)));
    schedule.read(Some(1));
    assert!(schedule.is_due(Some(0)), "a service made anew may have a lower one");
    assert!(schedule.is_due(None), "no revision says nothing");
}

#[test]
fn failures_double_the_delay_up_to_a_bound() {
    let second = Duration::from_secs(1);
    let mut schedule = Schedule::default();
    let mut delays = Vec::new();
    for failure in 0..40 {
        delays.push(schedule.delay(second, 0.5).as_secs());
        assert_eq!(schedule.failed(), failure == 0);
    }
    assert_eq!(&delays[..6], [1, 2, 4, 8, 12, 12]);
    assert_eq!(delays.last(), Some(&12));
    assert!(schedule.is_failing());
    schedule.read(Some(1));
    assert!(!schedule.is_failing());
    let spread = [0.0, 1.0, 7.0].map(|random| schedule.delay(second, random).as_millis());
    assert_eq!(spread, [900, 1100, 1100]);
}
