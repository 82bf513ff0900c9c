//! Tests of the verification: against the signer of AWS's SDK, and every way in which a request can be altered.

use std::fs;

use ::http::{HeaderName, HeaderValue, Method, Request, Uri};
use aws_sigv4::http_request::SigningInstructions;
use tower::ServiceExt as _;

use super::*;
use crate::listen::Peer;

const ID: &str = "FMKYEXAMPLE";
const SECRET: &str = "0123456789012345678901234567890123456789";
const BODY: &[u8] = br#"{"spec":{}}"#;
const PATH: &str = "/v20190125/meshes/apps/virtualServices/service%2Eb%2Fc?meshOwner=111122223333&limit=5";

fn keys() -> Keys {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.json");
    fs::write(&file, format!(r#"{{"accessKeyId":"{ID}","secretAccessKey":"{SECRET}"}}"#)).expect("written");
    let keys = Keys::default();
    keys.load(folder.path(), Some(&file)).expect("keys");
    keys
}

fn audience() -> Audience {
    Audience::new("eu-west-1", &["mesh.example".into()], None)
}

/// A request as AWS's SDK signs it.
fn signed(secret: &str, service: &str, time: SystemTime) -> Parts {
    signed_for("eu-west-1", secret, service, time)
}

fn signed_for(region: &str, secret: &str, service: &str, time: SystemTime) -> Parts {
    signed_as("PUT", BODY, region, secret, service, time)
}

fn signed_as(
    method: &str,
    body: &[u8],
    region: &str,
    secret: &str,
    service: &str,
    time: SystemTime,
) -> Parts {
    let request = Request::builder().method(method).uri(PATH).header("host", "mesh.example:9443");
    let request = request.header("content-type", "application/json");
    let mut head = request.body(()).expect("a request").into_parts().0;
    let identity = Credentials::new(ID, secret, None, None, "test").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .expect("parameters")
        .into();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text")));
    let request = SignableRequest::new(
        method,
        format!("https://mesh.example:9443{PATH}"),
        headers,
        SignableBody::Bytes(body),
    );
    let instructions: SigningInstructions =
        sign(request.expect("a request"), &parameters).expect("signed").into_parts().0;
    for (name, value) in instructions.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        head.headers.insert(name, HeaderValue::from_str(value).expect("a value"));
    }
    head
}

/// The name of the refusal; empty when there is none.
fn outcome(head: &Parts, body: &[u8], now: SystemTime) -> &'static str {
    match verify(head, body, &keys(), &audience(), now) {
        Ok(verified) => {
            assert_eq!(verified.holder.id, ID);
            ""
        }
        Err(refused) => refused.shape(),
    }
}

#[test]
fn what_aws_s_signer_signs_is_let_in_within_five_minutes() {
    let now = SystemTime::now();
    let head = signed(SECRET, SERVICE, now);
    assert_eq!(outcome(&head, BODY, now), "");
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    assert_eq!(outcome(&head, BODY, now + minutes(4)), "");
    assert_eq!(outcome(&head, BODY, now - minutes(4)), "");
    assert_eq!(outcome(&head, BODY, now + minutes(6)), "InvalidSignatureException");
    assert_eq!(outcome(&head, BODY, now - minutes(6)), "InvalidSignatureException");
}

#[test]
fn http_2_has_the_host_in_its_address() {
    let now = SystemTime::now();
    let mut head = signed(SECRET, SERVICE, now);
    head.headers.remove("host");
    head.version = Version::HTTP_2;
    head.uri = format!("https://mesh.example:9443{PATH}").parse().expect("an address");
    assert_eq!(outcome(&head, BODY, now), "");
    head.uri = format!("https://other.example:9443{PATH}").parse().expect("an address");
    assert_eq!(outcome(&head, BODY, now), "InvalidSignatureException");
}

#[test]
fn whatever_was_altered_is_refused_by_its_name() {
    type Alter = fn(&mut Parts);
    let cases: [(&str, Alter, &str); 11] = [
        ("nothing", |_| {}, ""),
        ("method", |head| head.method = Method::DELETE, "InvalidSignatureException"),
        ("path", |head| head.uri = Uri::from_static("/v20190125/meshes/other"), "InvalidSignatureException"),
        ("host", |head| insert(head, "host", "other.example"), "InvalidSignatureException"),
        ("type", |head| insert(head, "content-type", "text/plain"), "InvalidSignatureException"),
        ("absent", |head| drop(head.headers.remove("content-type")), "IncompleteSignatureException"),
        ("unsigned", |head| insert(head, "x-amz-target", "Other"), "IncompleteSignatureException"),
        ("date", |head| drop(head.headers.remove("x-amz-date")), "IncompleteSignatureException"),
        ("none", |head| drop(head.headers.remove("authorization")), "MissingAuthenticationTokenException"),
        ("basic", |head| insert(head, "authorization", "Basic QTpC"), "IncompleteSignatureException"),
        ("id", |head| replace(head, ID, "FMKYOTHER"), "UnrecognizedClientException"),
    ];
    let now = SystemTime::now();
    for (name, alter, expected) in cases {
        let mut head = signed(SECRET, SERVICE, now);
        alter(&mut head);
        assert_eq!(outcome(&head, BODY, now), expected, "{name}");
    }
    let head = signed(SECRET, SERVICE, now);
    assert_eq!(outcome(&head, br#"{"spec":{"x":1}}"#, now), "InvalidSignatureException", "body");
    assert_eq!(
        outcome(&signed(&SECRET.replace('0', "1"), SERVICE, now), BODY, now),
        "InvalidSignatureException"
    );
    assert_eq!(outcome(&signed(SECRET, "s3", now), BODY, now), "IncompleteSignatureException", "service");
}

#[test]
fn a_signature_for_another_region_or_host_is_of_no_use() {
    let now = SystemTime::now();
    let head = signed_for("us-west-2", SECRET, SERVICE, now);
    let refused = verify(&head, BODY, &keys(), &audience(), now).expect_err("refused");
    assert_eq!(refused, Refused::Region { signed: "us-west-2".into(), ours: "eu-west-1".into() });
    // It is good for `mesh.example:9443`, and somebody brings it to another control plane that has the same key.
    let head = signed(SECRET, SERVICE, now);
    let elsewhere = Audience::new("eu-west-1", &["other.example".into()], None);
    let refused = verify(&head, BODY, &keys(), &elsewhere, now).expect_err("refused");
    assert_eq!(refused, Refused::Host { signed: "mesh.example:9443".into() });
}

#[test]
fn a_key_counts_until_it_ends() {
    let now = SystemTime::now();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.json");
    for (seconds, expected) in
        [(2, Ok(())), (0, Err("ExpiredTokenException")), (-2, Err("ExpiredTokenException"))]
    {
        let end = jiff::Timestamp::try_from(now).expect("a time") + jiff::SignedDuration::from_secs(seconds);
        let key = format!(r#"{{"accessKeyId":"{ID}","secretAccessKey":"{SECRET}","expiresAt":"{end}"}}"#);
        fs::write(&file, key).expect("written");
        let keys = Keys::default();
        keys.load(folder.path(), Some(&file)).expect("keys");
        let verified = verify(&signed(SECRET, SERVICE, now), BODY, &keys, &audience(), now);
        assert_eq!(verified.map(drop).map_err(|refused| refused.shape()), expected, "{seconds}");
    }
}

/// 31 KB of this became 350 MB: each name is worth a copy of its header's value, and is sent before any signature is judged.
#[test]
fn a_header_that_is_signed_again_and_again_is_copied_never() {
    let now = SystemTime::now();
    let mut head = signed(SECRET, SERVICE, now);
    let long = HeaderValue::from_str(&"v".repeat(15_500)).expect("a value");
    head.headers.insert("a", long);
    let listed = head.headers["authorization"].to_str().expect("text").to_owned();
    let listed = listed.split_once("SignedHeaders=").and_then(|(_, rest)| rest.split_once(','));
    let listed = listed.expect("names").0.to_owned();
    let many: Vec<String> = (0..65).map(|name| format!("b{name:02}")).collect();
    for (names, what) in [
        (format!("host;x-amz-date{}", ";a".repeat(7_900)), "repeated"),
        ("host;host;x-amz-date".to_owned(), "twice"),
        ("x-amz-date;host".to_owned(), "not sorted"),
        ("Host;x-amz-date".to_owned(), "not in lower case"),
        (";host;x-amz-date".to_owned(), "empty"),
        (format!("{};host;x-amz-date", many[..63].join(";")), "too many"),
    ] {
        let mut head = head.clone();
        replace(&mut head, &format!("SignedHeaders={listed}"), &format!("SignedHeaders={names}"));
        let refused = Claim::parse(&head.headers).expect_err(what);
        assert!(
            matches!(&refused, Refused::Incomplete(words) if words.contains("sorted, each of them once")),
            "{what}: {refused}"
        );
    }
}

fn insert(head: &mut Parts, name: &'static str, value: &'static str) {
    head.headers.insert(name, HeaderValue::from_static(value));
}

fn replace(head: &mut Parts, from: &str, to: &str) {
    let value = head.headers["authorization"].to_str().expect("text").replace(from, to);
    head.headers.insert("authorization", HeaderValue::from_str(&value).expect("a value"));
}

/// A guard that knows a key of this access, and keeps signatures in `folder`.
fn guarded(folder: &std::path::Path, access: &str) -> axum::Router {
    let file = folder.join("keys.json");
    let entry = format!(r#"{{"accessKeyId":"{ID}","secretAccessKey":"{SECRET}","access":"{access}"}}"#);
    fs::write(&file, entry).expect("written");
    let keys = Arc::new(Keys::default());
    keys.load(folder, Some(&file)).expect("keys");
    let replays = Replays::open(folder, None).expect("a file");
    let guarded = SignatureGuard {
        keys,
        audience: Arc::new(audience()),
        replays,
        proofs: Proofs::default(),
        bodies: Bodies::default(),
    };
    guard(axum::Router::new().fallback(|| async {}), guarded)
}

#[tokio::test]
async fn what_writes_nothing_brings_no_large_body() {
    let cases = [
        ("read", Method::PUT, 400),
        ("write", Method::GET, 400),
        ("write", Method::DELETE, 400),
        // It is read, and is not the body that was signed.
        ("write", Method::PUT, 403),
    ];
    for (access, method, status) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let mut head = signed(SECRET, "appmesh", SystemTime::now());
        head.method = method.clone();
        let body = axum::body::Body::from(vec![b' '; 16 * 1024 + 1]);
        let request = Request::from_parts(head, body);
        let answer = guarded(folder.path(), access).oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), status, "{access} {method}");
    }
}

/// It was kept on disk before anybody asked whether the key may write.
#[tokio::test]
async fn a_write_of_a_key_that_reads_leaves_nothing_on_disk() {
    for (access, leaves) in [("read", false), ("write", true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let router = guarded(folder.path(), access);
        let ahead = SystemTime::now() + Duration::from_secs(60);
        let request = Request::from_parts(signed(SECRET, "appmesh", ahead), axum::body::Body::from(BODY));
        let answer = router.oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), 200, "whether it may is asked behind the guard");
        let kept = fs::read_to_string(folder.path().join("used-signatures")).expect("the file");
        assert_eq!(!kept.trim().is_empty(), leaves, "{access}: {kept}");
    }
}

/// The attack: writes whose streams are reset as soon as they were sent. They are done all the same, and their bodies were not counted
/// meanwhile.
#[tokio::test]
async fn a_write_that_nobody_waits_for_keeps_its_room() {
    let (bodies, served) = (Bodies::default(), Arc::new(tokio::sync::Notify::new()));
    let (waits, arrived) = (Arc::clone(&served), Arc::new(tokio::sync::Notify::new()));
    let arrives = Arc::clone(&arrived);
    let handler = move || async move {
        arrives.notify_one();
        waits.notified().await;
    };
    let (keys, audience, replays) = (Arc::new(keys()), Arc::new(audience()), Replays::new(None));
    let guarded =
        SignatureGuard { keys, audience, replays, proofs: Proofs::default(), bodies: bodies.clone() };
    let router = guard(axum::Router::new().fallback(handler), guarded);
    let head = signed(SECRET, SERVICE, SystemTime::now());
    let write = router.oneshot(Request::from_parts(head, axum::body::Body::from(BODY)));
    tokio::select! {
        answer = write => panic!("answered: {answer:?}"),
        () = arrived.notified() => {}
    }
    assert!(!bodies.is_free(), "the stream is gone, and the body is not");
    served.notify_one();
    tokio::time::timeout(Duration::from_secs(10), async {
        while !bodies.is_free() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is done");
}

/// Whoever saw one signed request took the bound from as many connections as he liked by sending it again.
#[tokio::test]
async fn only_a_signature_that_is_new_and_taken_proves_whose_a_connection_is() {
    let router = |since: Option<SystemTime>| {
        let (replays, proofs) = (Replays::new(since), Proofs::default());
        let (keys, audience, bodies) = (Arc::new(keys()), Arc::new(audience()), Bodies::default());
        guard(
            axum::Router::new().fallback(|| async {}),
            SignatureGuard { keys, audience, replays, proofs, bodies },
        )
    };
    // The status, and whether the connection still counts as a stranger's.
    let send = async |router: &axum::Router, head: &Parts, body: &'static [u8]| {
        let peer = Peer::stranger();
        let mut request = Request::from_parts(head.clone(), axum::body::Body::from(body));
        request.extensions_mut().insert(peer.clone());
        let answer = router.clone().oneshot(request).await.expect("an answer");
        (answer.status().as_u16(), peer.is_guest())
    };
    let now = SystemTime::now();
    let served = router(None);
    let forged = signed("wrong", SERVICE, now);
    assert_eq!(send(&served, &forged, BODY).await, (403, true), "it is of no key");
    let write = signed(SECRET, SERVICE, now);
    assert_eq!(send(&served, &write, BODY).await, (200, false));
    assert_eq!(
        send(&served, &write, BODY).await,
        (200, true),
        "it is answered as the first, and proves nothing"
    );
    let early = router(Some(now + Duration::from_secs(60)));
    assert_eq!(send(&early, &write, BODY).await, (403, true), "it may have been used before");
    // What changes nothing may be sent again, and proves nothing by it.
    let read = |time| signed_as("GET", b"", "eu-west-1", SECRET, SERVICE, time);
    assert_eq!(send(&served, &read(now), b"").await, (200, false));
    assert_eq!(send(&served, &read(now), b"").await, (200, true));
    assert_eq!(send(&served, &read(now + Duration::from_secs(1)), b"").await, (200, false));
}

/// It acted for the first account in silence.
#[tokio::test]
async fn who_signs_with_a_key_of_another_account_on_this_host_does_not_act_for_the_first() {
    use std::str::FromStr as _;

    use crate::accounts::Accounts;
    use fleetmesh_mesh::identity::Identity;

    let others = [fleetmesh_model::AccountId::from_str("444455556666").expect("an account")];
    let accounts = Accounts::new(Identity { others: others.into(), ..Identity::default() });
    let first = accounts.identity().account.clone();
    let send = async |account: &str, head: Parts| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keys.json");
        let key = format!(r#"{{"accessKeyId":"{ID}","secretAccessKey":"{SECRET}"{account}}}"#);
        fs::write(&file, key).expect("written");
        let keys = Arc::new(Keys::default());
        keys.load(folder.path(), Some(&file)).expect("keys");
        let router = axum::Router::new().fallback(|| async {});
        let router = local(router, Some(LocalKeys { keys, accounts: accounts.clone() }));
        let answer = router.oneshot(Request::from_parts(head, axum::body::Body::from(BODY))).await;
        let answer = answer.expect("an answer");
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 4096).await.expect("a body");
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    let signed = || signed(SECRET, SERVICE, SystemTime::now());
    for other in ["444455556666", "999999999999"] {
        let (status, body) = send(&format!(r#","account":"{other}""#), signed()).await;
        assert_eq!(status, 403, "{body}");
        let said = format!(
            "{ID} is of account {other}, and callers on loopback and Unix sockets act for account {first}"
        );
        assert!(body.contains(&said) && body.contains("--tls-cert"), "{body}");
    }
    // Of the first, of none in particular, of AWS, and not signed at all.
    assert_eq!(send(&format!(r#","account":"{first}""#), signed()).await.0, 200);
    assert_eq!(send("", signed()).await.0, 200);
    let mut of_aws = signed();
    replace(&mut of_aws, ID, "AKIAIOSFODNN7EXAMPLE");
    assert_eq!(send(r#","account":"444455556666""#, of_aws).await.0, 200);
    let mut unsigned = signed();
    unsigned.headers.remove("authorization");
    assert_eq!(send(r#","account":"444455556666""#, unsigned).await.0, 200);
}
