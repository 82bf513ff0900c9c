//! Verdicts.

use std::time::{Duration, SystemTime};

use fleetmesh_client::{Greeting, Place, SurveyError};
use fleetmesh_core::{Failure, FailureClass};
use fleetmesh_operator::cloud::{CredentialSource, EndpointList};
use serde_json::json;

use super::api::{self, ApiFacts, DefinitionFact};
use super::app_mesh::{self, AppMeshFacts, Fault, is_aws, without_user};
use super::check::{Check, State, document, is_well, table};
use super::host::{self, HostFacts, TOOLS, ToolFact};

/// 2026-11-30T20:00:00Z.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_796_068_800)
}

fn definition(found: Option<serde_json::Value>) -> DefinitionFact {
    let schema = json!({"type": "object", "minProperties": 1.0});
    let wanted = json!({"group": "g", "versions": [{"schema": {"openAPIV3Schema": schema}}]});
    DefinitionFact { name: "meshes.g".to_owned(), wanted, found }
}

fn served(schema: serde_json::Value) -> Option<serde_json::Value> {
    let versions = json!([{"schema": {"openAPIV3Schema": schema}, "served": true}]);
    Some(json!({"group": "g", "conversion": {"strategy": "None"}, "versions": versions}))
}

fn api() -> ApiFacts {
    let date = "Mon, 30 Nov 2026 20:00:00 GMT".to_owned();
    ApiFacts {
        source: "--kubeconfig k".to_owned(),
        place: Place { kubeconfig: Some("k".into()), context: Some("c".to_owned()), namespace: None },
        is_standalone: false,
        server: "https://127.0.0.1:6443".to_owned(),
        greeting: Ok(Greeting { version: "v1.34.0".to_owned(), date }),
        asked: (now(), now()),
        definitions: Ok(vec![definition(served(json!({"type": "object", "minProperties": 1})))]),
        denied: Ok(Vec::new()),
    }
}

fn states(checks: &[Check]) -> Vec<State> {
    checks.iter().map(|check| check.state).collect()
}

fn one(checks: &[Check], name: &str) -> (State, String, String) {
    let check = checks.iter().find(|check| check.name == name).unwrap();
    (check.state, check.found.clone(), check.fix.clone())
}

#[test]
fn an_api_with_our_definitions_is_well() {
    assert_eq!(states(&api::checks(&api())), [State::Ok; 4]);
}

#[test]
fn an_api_that_does_not_answer_says_why_and_what_to_do() {
    for (error, state, expected) in [
        (SurveyError::Refused, State::Failed, "does not answer: nobody listens there"),
        (SurveyError::Answered(401, "Unauthorized".into()), State::Failed, "does not know the token"),
        (SurveyError::Unusable("no file".into()), State::Failed, "--kubeconfig k: no file"),
        (SurveyError::Unconfigured("none".into()), State::Failed, "--kubeconfig k: none"),
    ] {
        let checks = api::checks(&ApiFacts { greeting: Err(error), ..api() });
        let (found, said, fix) = one(&checks, api::API);
        assert_eq!(found, state);
        assert!(said.contains(expected) && !fix.is_empty(), "{said}: {fix}");
        assert_eq!(states(&checks)[1..], [State::Skipped; 3]);
    }
    for error in [SurveyError::Refused, SurveyError::Unconfigured("no file".into())] {
        let facts = ApiFacts {
            source: "--data-dir /d".to_owned(),
            is_standalone: true,
            greeting: Err(error),
            ..api()
        };
        let (_, said, fix) = one(&api::checks(&facts), api::API);
        assert!(fix.starts_with("fleetmesh standalone --data-dir /d"), "{said}: {fix}");
    }
    let nothing =
        ApiFacts { source: String::new(), greeting: Err(SurveyError::Unconfigured(String::new())), ..api() };
    assert_eq!(states(&api::checks(&nothing)), [State::Skipped; 4]);
}

#[test]
fn definitions_that_are_missing_or_of_another_version_are_named() {
    for (found, expected) in [
        (None, "missing: meshes.g"),
        (
            served(json!({"type": "object", "minProperties": 1, "maxProperties": 1})),
            "not those of this version of fleetmesh: meshes.g",
        ),
        (served(json!({})), "not those of this version of fleetmesh: meshes.g"),
    ] {
        let facts = ApiFacts { definitions: Ok(vec![definition(found)]), ..api() };
        let (state, said, fix) = one(&api::checks(&facts), api::DEFINITIONS);
        assert_eq!((state, said.as_str()), (State::Failed, expected));
        assert!(fix.starts_with("fleetmesh crds | kubectl --kubeconfig k --context c apply"), "{fix}");
        let facts = ApiFacts { is_standalone: true, ..facts };
        let (_, _, fix) = one(&api::checks(&facts), api::DEFINITIONS);
        assert!(fix.starts_with("stop `fleetmesh standalone`"), "{fix}");
    }
    let denied = ApiFacts { denied: Ok(vec!["patch meshes".to_owned()]), ..api() };
    assert_eq!(one(&api::checks(&denied), api::RIGHTS).0, State::Warning);
}

#[test]
fn a_clock_that_is_off_is_found_in_either_direction() {
    for (seconds, state) in [
        (0, State::Ok),
        (-4, State::Ok),
        (60, State::Warning),
        (-60, State::Warning),
        (1000, State::Failed),
        (-1000, State::Failed),
    ] {
        let off = Duration::from_secs(u64::try_from(i64::abs(seconds)).unwrap());
        let here = if seconds < 0 { now() - off } else { now() + off };
        let checks = api::checks(&ApiFacts { asked: (here, here), ..api() });
        assert_eq!(one(&checks, api::CLOCK).0, state, "{seconds}: {checks:?}");
    }
    let mut silent = api();
    silent.greeting = Ok(Greeting { version: String::new(), date: String::new() });
    assert_eq!(one(&api::checks(&silent), api::CLOCK).0, State::Skipped);
}

fn endpoint() -> AppMeshFacts {
    let source = CredentialSource {
        provider: "EnvironmentVariable".into(),
        account: Some("111122223333".into()),
        expiry: None,
    };
    AppMeshFacts {
        source: "--app-mesh-endpoint".to_owned(),
        is_standalone: false,
        url: "http://127.0.0.1:9080".to_owned(),
        region: "us-west-2".to_owned(),
        answer: Some(Ok(EndpointList { meshes: 1, is_fleetmesh: true })),
        credentials: Some(Ok(source)),
        ready: Some(Ok((200, "ok".to_owned()))),
    }
}

#[test]
fn an_endpoint_is_judged_by_its_answer() {
    assert_eq!(states(&app_mesh::checks(&endpoint(), now())), [State::Ok; 3]);
    let failure = |class| {
        Some(Err(Fault::Call(Failure { class, operation: "ListMeshes".into(), message: "why".into() })))
    };
    for (answer, fix) in [
        (failure(FailureClass::Unreachable), "fleetmesh control-plane --data-dir"),
        (failure(FailureClass::Credentials), "fleetmesh control-plane keys create"),
        (Some(Err(Fault::Late(Duration::from_secs(10)))), "fleetmesh control-plane --data-dir"),
        (Some(Err(Fault::Usage("no address".into()))), "--app-mesh-endpoint"),
        (None, "fleetmesh control-plane --data-dir"),
    ] {
        let (state, said, way_out) =
            one(&app_mesh::checks(&AppMeshFacts { answer, ..endpoint() }, now()), app_mesh::ENDPOINT);
        assert_eq!(state, State::Failed, "{said}");
        assert!(way_out.contains(fix) && !said.contains("The operator keeps"), "{said}: {way_out}");
    }
    // Of a standalone it is that one that is started.
    for answer in [
        failure(FailureClass::Unreachable),
        Some(Err(Fault::Late(Duration::from_secs(10)))),
        Some(Err(Fault::Ended("nobody serves it".into()))),
    ] {
        let facts =
            AppMeshFacts { source: "--data-dir /d".to_owned(), is_standalone: true, answer, ..endpoint() };
        let (state, said, fix) = one(&app_mesh::checks(&facts, now()), app_mesh::ENDPOINT);
        assert_eq!(state, State::Failed, "{said}");
        assert!(fix.contains("fleetmesh standalone --data-dir /d"), "{said}: {fix}");
    }
    let none =
        AppMeshFacts { source: String::new(), answer: None, credentials: None, ready: None, ..endpoint() };
    assert_eq!(states(&app_mesh::checks(&none, now())), [State::Skipped; 3]);
    let unready = AppMeshFacts { ready: Some(Ok((503, "a\nb".into()))), ..endpoint() };
    let (state, said, _) = one(&app_mesh::checks(&unready, now()), app_mesh::CONTROL_PLANE);
    assert_eq!((state, said.as_str()), (State::Failed, "/readyz answers 503: a; b"));
}

#[test]
fn credentials_are_judged_by_when_they_end() {
    let of = |expiry| {
        let source = CredentialSource { provider: "Sso".into(), account: None, expiry };
        let facts = AppMeshFacts { credentials: Some(Ok(source)), ..endpoint() };
        one(&app_mesh::checks(&facts, now()), app_mesh::CREDENTIALS).0
    };
    assert_eq!(of(Some(now() - Duration::from_secs(1))), State::Failed);
    assert_eq!(of(Some(now() + Duration::from_secs(60))), State::Warning);
    assert_eq!(of(Some(now() + Duration::from_secs(3600))), State::Ok);
    let none = AppMeshFacts { credentials: Some(Err("none".into())), ..endpoint() };
    assert_eq!(one(&app_mesh::checks(&none, now()), app_mesh::CREDENTIALS).0, State::Warning);
}

#[test]
fn aws_s_endpoints_are_known_by_their_domains() {
    for url in [
        "https://appmesh.us-west-2.amazonaws.com",
        "https://appmesh.cn-north-1.amazonaws.com.cn/",
        "https://appmesh.us-east-1.api.aws:443",
    ] {
        assert!(is_aws(url), "{url}");
    }
    for url in ["http://127.0.0.1:9080", "https://amazonaws.com.example.org", "https://myamazonaws.com"] {
        assert!(!is_aws(url), "{url}");
    }
}

#[test]
fn an_address_is_shown_without_its_user() {
    for (url, shown) in [
        ("http://a:b@h:1/p@q", "http://h:1/p@q"),
        ("https://h", "https://h"),
        ("http://a:b@c@h/?x", "http://h/?x"),
        ("a:b@h:1", "h:1"),
    ] {
        assert_eq!(without_user(url), shown);
    }
    assert!(is_aws("https://127.0.0.1:x@appmesh.us-west-2.amazonaws.com"));
}

fn host(envoy: bool) -> HostFacts {
    let fact = |name: &str| {
        if name == "envoy" && !envoy { ToolFact::Missing } else { ToolFact::Version("1".into()) }
    };
    HostFacts {
        tools: TOOLS.map(|tool| (tool, fact(tool.name))).to_vec(),
        open_files: (Some(1024), Some(524_288)),
        data: Some(("d".to_owned(), Ok(Duration::from_millis(2)))),
        interceptors: vec!["iptables-restore"],
        kernel: vec!["nf_tables"],
        ports: [9901, 15000, 15001].map(|port| (port, false)).to_vec(),
    }
}

#[test]
fn a_host_is_judged_as_an_instance_where_it_is_one() {
    assert!(states(&host::checks(&host(true))).iter().all(|state| *state == State::Ok));
    let plain = HostFacts { interceptors: Vec::new(), ..host(false) };
    let checks = host::checks(&plain);
    assert_eq!([one(&checks, host::INTERCEPTION).0, one(&checks, host::PORTS).0], [State::Skipped; 2]);
    let without = HostFacts { interceptors: Vec::new(), ..host(true) };
    assert_eq!(one(&host::checks(&without), host::INTERCEPTION).0, State::Failed);
    let unloaded = HostFacts { kernel: Vec::new(), ..host(true) };
    assert_eq!(one(&host::checks(&unloaded), host::INTERCEPTION).0, State::Warning);
    for (taken, state) in [([true; 3], State::Ok), ([true, false, false], State::Warning)] {
        let ports = [9901, 15000, 15001].into_iter().zip(taken).collect();
        assert_eq!(one(&host::checks(&HostFacts { ports, ..host(true) }), host::PORTS).0, state);
    }
}

#[test]
fn limits_and_disks_are_judged() {
    let few = HostFacts { open_files: (Some(256), Some(256)), ..host(true) };
    assert_eq!(one(&host::checks(&few), host::FILES).0, State::Warning);
    let data = |took| {
        let facts = HostFacts { data: Some(("d".to_owned(), took)), ..host(true) };
        one(&host::checks(&facts), host::DATA).0
    };
    assert_eq!(data(Ok(Duration::from_millis(500))), State::Warning);
    assert_eq!(data(Err("read-only".to_owned())), State::Failed);
    let mut broken = host(true);
    broken.tools[0].1 = ToolFact::Broken("no answer within 10s".into());
    assert_eq!(states(&host::checks(&broken))[0], State::Warning);
}

#[test]
fn what_failed_has_its_way_out_below_it() {
    let checks =
        [Check::ok("a", "one"), Check::failed("long", "two", "do it"), Check::skipped("c", "three", "")];
    assert_eq!(
        table(&checks),
        "ok       a     one\nfailed   long  two\n               mend it: do it\nskipped  c     three\n\n\
         1 ok, 0 warnings, 1 failed, 1 skipped\n"
    );
    assert!(!is_well(&checks) && is_well(&checks[..1]));
    let hostile = table(&[Check::ok("a", "v1\u{1b}[2J\r\nok b")]);
    assert!(hostile.starts_with("ok       a  v1 [2J  ok b\n"), "{hostile:?}");
    assert_eq!(document(&checks)["checks"][1]["fix"], "do it");
}
