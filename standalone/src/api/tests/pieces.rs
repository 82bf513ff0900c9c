//! What is written of long answers, and when.

use super::*;

/// An API with so many ConfigMaps in `default`, each of this many bytes.
async fn with_maps(count: usize, bytes: usize) -> Api {
    let api = api().await;
    let writes = (0..count).map(|at| {
        let api = api.clone();
        async move {
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("m{at:04}")}, "data": {"k": "x".repeat(bytes)}});
            ask(&api, "POST", MAPS, &map).await.0
        }
    });
    let codes = futures::future::join_all(writes).await;
    assert!(codes.iter().all(|code| *code == 201), "{codes:?}");
    api
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// The next piece of a body, and the objects of a watch in it.
async fn piece(body: &mut axum::body::BodyDataStream) -> Option<Vec<Value>> {
    let piece = body.next().await?.expect("a piece");
    let text = std::str::from_utf8(&piece).expect("UTF-8");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("whole lines")).collect())
}

#[tokio::test]
async fn a_watch_begins_with_one_revision_and_writes_no_more_of_it_than_is_taken() {
    let api = with_maps(100, 1000).await;
    let query = "watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let mut body =
        raw(&api, "GET", &format!("{MAPS}?{query}"), "", Body::empty()).await.into_body().into_data_stream();
    // What changes after the beginning is shown after it, whether the watch had come to it or not.
    let first = piece(&mut body).await.expect("a piece");
    assert!((10..40).contains(&first.len()), "{} lines in a piece", first.len());
    ask(&api, "DELETE", &format!("{MAPS}/m0000"), &Value::Null).await;
    ask(&api, "PATCH", &format!("{MAPS}/m0050"), &json!({"data": {"k": "changed"}})).await;
    ask(&api, "DELETE", &format!("{MAPS}/m0099"), &Value::Null).await;
    let mut lines = first;
    while lines.len() < 104 {
        lines.extend(piece(&mut body).await.expect("more"));
    }
    let shown = |line: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&line["type"]), text(&line["object"]["metadata"]["name"]))
    };
    let mut expected: Vec<(String, String)> =
        (0..100).map(|at| ("ADDED".into(), format!("m{at:04}"))).collect();
    expected.push(("BOOKMARK".into(), String::new()));
    expected.extend(
        [("DELETED", "m0000"), ("MODIFIED", "m0050"), ("DELETED", "m0099")]
            .map(|(a, b)| (a.into(), b.into())),
    );
    assert_eq!(lines.iter().map(shown).collect::<Vec<_>>(), expected);
    assert_eq!(
        lines[50]["object"]["data"]["k"].as_str().map(str::len),
        Some(1000),
        "it shows another revision"
    );
}

#[tokio::test]
async fn watches_and_lists_that_nobody_reads_hold_no_objects() {
    let api = with_maps(50, 1000).await;
    let held = |api: &Api| {
        let key = Key::new(&stores(api, "configmaps"), "default", "m0030");
        api.store.read(|ledger| ledger.state.get(&key).map(Arc::strong_count)).expect("an object")
    };
    let before = held(&api);
    let mut watches = Vec::new();
    for _ in 0..200 {
        let response = raw(&api, "GET", &format!("{MAPS}?watch=1"), "", Body::empty()).await;
        let mut body = response.into_body().into_data_stream();
        piece(&mut body).await.expect("a piece");
        watches.push(body);
    }
    assert_eq!(held(&api), before, "watches hold objects");
    let list = raw(&api, "GET", MAPS, "", Body::empty()).await.into_body().into_data_stream();
    assert_eq!(held(&api), before + 1, "a list holds more than a reference to each object");
    drop((watches, list));
}

/// The store of a resource.
fn stores(api: &Api, plural: &str) -> String {
    let found = api.resources.iter().find(|one| one.plural == plural);
    found.expect("a resource").store.clone()
}

#[tokio::test]
async fn a_watch_that_takes_nothing_while_too_much_is_written_ends_with_410() {
    let api = with_maps(20, 100_000).await;
    let mut late = Vec::new();
    for query in ["watch=1", "watch=1&resourceVersion=2"] {
        let response = raw(&api, "GET", &format!("{MAPS}?{query}"), "", Body::empty()).await;
        late.push(response.into_body().into_data_stream());
    }
    // More than is remembered.
    for at in 0..350 {
        let patch = json!({"data": {"k": format!("{at}{}", "y".repeat(100_000))}});
        assert_eq!(ask(&api, "PATCH", &format!("{MAPS}/m0007"), &patch).await.0, 200);
    }
    for mut body in late {
        let lines = piece(&mut body).await.expect("a line");
        let (kind, code) = (&lines[0]["type"], &lines[0]["object"]["code"]);
        assert_eq!((kind, code), (&json!("ERROR"), &json!(410)), "{lines:?}");
        assert!(body.next().await.is_none());
    }
}

#[tokio::test]
async fn a_list_in_pieces_is_the_same_in_each_form() {
    let api = with_maps(60, 1000).await;
    for (accept, member) in [
        ("application/json", "items"),
        ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "items"),
        ("application/json;as=Table;v=v1;g=meta.k8s.io", "rows"),
    ] {
        let ask = async |query: &str, more: &str| {
            let request = Request::get(format!("{MAPS}?{query}")).header("accept", format!("{accept}{more}"));
            let request = request.body(Body::empty()).expect("a request");
            let response = api.answer(&Caller::administrator("tester"), request).await;
            let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
            String::from_utf8(bytes.to_vec()).expect("UTF-8")
        };
        let (compact, pretty) = (ask("", "").await, ask("", ";pretty=1").await);
        let value: Value = serde_json::from_str(&compact).expect("JSON");
        assert_eq!(value[member].as_array().map(Vec::len), Some(60), "{accept}");
        let printed: Value = serde_json::from_str(&pretty).expect("JSON");
        assert!(pretty == format!("{printed:#}\n"), "{accept}: {}", &pretty[..100]);
        assert_eq!(printed[member].as_array().map(Vec::len), Some(60), "{accept}");
        // In pages, the objects are the same.
        let page: Value = serde_json::from_str(&ask("limit=2", "").await).expect("JSON");
        assert_eq!(page[member].as_array().map(Vec::len), Some(2));
        assert_eq!((&page["kind"], &page["metadata"]["remainingItemCount"]), (&value["kind"], &json!(58)));
    }
}
