use super::*;

const DAY: u64 = 24 * 3600;

fn wanted() -> Wanted {
    Wanted {
        namespace: "mesh".into(),
        certificates: Some(["ca".into(), "server".into()]),
        ca_validity: Duration::from_secs(3650 * DAY),
        server_validity: Duration::from_secs(90 * DAY),
        names: vec!["one.example.com".into()],
        addresses: vec!["127.0.0.1".parse().expect("an address")],
        access_key: Some("key".into()),
        access_key_name: "operator".into(),
        access_key_meshes: Vec::new(),
    }
}

fn at(days: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs((20_000 + days) * DAY)
}

/// Plans, and writes it to `found`; gives what was said of each Secret.
fn applied(wanted: &Wanted, found: &mut FoundParts, now: SystemTime) -> Vec<&'static str> {
    let changes = plan(wanted, found, now).expect("a plan");
    let said = changes.iter().map(|(_, change)| change.said()).collect();
    for (name, change) in changes {
        match change {
            PlannedChange::Keep => {}
            PlannedChange::Create(secret, _) => {
                assert!(found.insert(name, secret).is_none(), "created over another")
            }
            PlannedChange::Replace(secret, _) => {
                assert!(found.insert(name, secret).is_some(), "replaced nothing")
            }
        }
    }
    said
}

const KEPT: &str = "kept as it is";

#[test]
fn what_is_there_is_kept_and_a_certificate_is_renewed_in_its_last_third() {
    let (wanted, mut found) = (wanted(), FoundParts::new());
    applied(&wanted, &mut found, at(0));
    let first = found.clone();
    assert_eq!(applied(&wanted, &mut found, at(59)), [KEPT; 3]);
    assert_eq!(found, first);
    assert_eq!(applied(&wanted, &mut found, at(60)), [KEPT, "renewed: another certificate", KEPT]);
    assert_ne!(text(&found["server"], "tls.key"), text(&first["server"], "tls.key"));
    assert_eq!(text(&found["server"], "ca.crt"), text(&first["ca"], "tls.crt"));
    assert_eq!(applied(&wanted, &mut found, at(61)), [KEPT; 3]);

    // Other names; then another CA, whose Secret somebody deleted.
    let other = Wanted { names: vec!["two.example.com".into()], ..wanted };
    assert_eq!(applied(&other, &mut found, at(62)), [KEPT, "renewed: another certificate", KEPT]);
    found.remove("ca");
    let said = applied(&other, &mut found, at(63));
    assert_eq!(said, ["made: a new CA", "renewed: another certificate", KEPT]);
    assert_eq!(text(&found["server"], "ca.crt"), text(&found["ca"], "tls.crt"));
}

#[test]
fn no_certificate_outlives_its_authority_and_one_that_ended_signs_nothing() {
    let (wanted, mut found) = (wanted(), FoundParts::new());
    applied(&wanted, &mut found, at(0));
    applied(&wanted, &mut found, at(3640));
    let due = &found["server"].metadata.annotations.as_ref().expect("annotations")[RENEW];
    let last = at(3640) + Duration::from_secs(10 * DAY * 2 / 3);
    assert_eq!(UNIX_EPOCH + Duration::from_secs(due.parse().expect("a number")), last);
    let error = plan(&wanted, &found, at(3651)).expect_err("refused").to_string();
    assert!(error.contains("Secret ca is kept, and cannot be used: its certificate has ended"), "{error}");
}

/// As a release of before has them: of Helm's making, with its labels, and one of them not to be kept.
#[test]
fn secrets_that_helm_made_are_taken_over_as_they_are() {
    let (wanted, mut found) = (wanted(), FoundParts::new());
    applied(&wanted, &mut found, at(0));
    let helm = [("app.kubernetes.io/managed-by".to_owned(), "Helm".to_owned())];
    for secret in found.values_mut() {
        secret.metadata.labels = Some(helm.clone().into());
        secret.metadata.resource_version = Some("7".into());
        secret.metadata.annotations.as_mut().expect("annotations").remove(POLICY.0);
    }
    let before = found.clone();
    assert_eq!(applied(&wanted, &mut found, at(1)), ["taken over: Helm no longer has it"; 3]);
    for (name, secret) in &found {
        assert_eq!(secret.data, before[name].data, "{name}");
        assert_eq!(secret.metadata.annotations.as_ref().expect("annotations")[POLICY.0], "keep", "{name}");
        assert_eq!(secret.metadata.resource_version.as_deref(), Some("7"), "{name}: not over another change");
        assert_eq!(secret.metadata.labels, before[name].metadata.labels, "{name}");
    }
}

#[test]
fn an_access_key_keeps_its_secret_when_its_meshes_change() {
    let (wanted, mut found) = (wanted(), FoundParts::new());
    applied(&wanted, &mut found, at(0));
    let key = |found: &FoundParts| -> Value {
        serde_json::from_str(&text(&found["key"], "access-key.json")).expect("JSON")
    };
    let first = key(&found);
    assert_eq!((first["access"].as_str(), first.get("meshes")), (Some("write"), None));
    let bounded = Wanted { access_key_meshes: vec!["apps".into()], ..wanted };
    assert_eq!(applied(&bounded, &mut found, at(1))[2], "changed: what the access key may do");
    let second = key(&found);
    assert_eq!(second["meshes"], json!(["apps"]));
    for member in ["accessKeyId", "secretAccessKey"] {
        assert_eq!(second[member], first[member]);
    }
}

#[test]
fn what_cannot_be_used_is_named_and_neither_replaced_nor_quoted() {
    let (wanted, mut found) = (wanted(), FoundParts::new());
    applied(&wanted, &mut found, at(0));
    for (name, file) in [("ca", "tls.key"), ("key", "access-key.json")] {
        let mut broken = found.clone();
        let data = broken.get_mut(name).and_then(|secret| secret.data.as_mut()).expect("data");
        data.insert(file.into(), ByteString(b"hush-hush".to_vec()));
        let error = plan(&wanted, &broken, at(1)).expect_err("refused").to_string();
        assert!(error.starts_with(&format!("Secret {name} is kept, and cannot be used")), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}
