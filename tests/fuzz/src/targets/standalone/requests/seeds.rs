//! What the requests that are tried are made of.

use super::TOKEN;

/// A request with the token.
pub(super) fn written(method: &str, path: &str, media_type: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:6443\r\nauthorization: Bearer {TOKEN}\r\naccept: application/json\r\ncontent-type: {media_type}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Requests that are answered.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let maps = "/api/v1/namespaces/default/configmaps";
    let (json, apply) = ("application/json", "application/apply-patch+yaml");
    let map = r#"{"metadata":{"generateName":"x-"},"data":{"a":"1"}}"#;
    let mesh = "/apis/fleetmesh.dev/v1alpha1/meshes/apps";
    let applied = "apiVersion: fleetmesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: apps}\nspec: {}\n";
    let review = r#"{"spec":{"resourceAttributes":{"verb":"get","resource":"pods"}}}"#;
    let asked = [
        ("GET", "/version", json, ""),
        ("GET", "/livez", json, ""),
        ("GET", "/apis/", json, ""),
        ("GET", "/openapi/v3/apis/fleetmesh.dev/v1alpha1?hash=0", json, ""),
        ("GET", &format!("{maps}?limit=1&labelSelector=app%3Da&fieldSelector=metadata.name%3Da"), json, ""),
        ("GET", &format!("{maps}/a"), json, ""),
        ("GET", "/api/v1/configmaps?watch=1&timeoutSeconds=1&resourceVersion=0", json, ""),
        ("GET", "/apis/events.k8s.io/v1/events?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", json, ""),
        ("POST", maps, json, map),
        ("PUT", &format!("{maps}/a"), json, r#"{"metadata":{"name":"a"},"data":{"a":"2"}}"#),
        ("PATCH", &format!("{maps}/a"), "application/merge-patch+json", r#"{"data":{"a":null}}"#),
        ("PATCH", &format!("{mesh}?fieldManager=fuzz&force=true"), apply, applied),
        (
            "PATCH",
            &format!("{mesh}/status"),
            "application/json-patch+json",
            r#"[{"op":"test","path":"","value":1}]"#,
        ),
        ("DELETE", &format!("{maps}/a"), json, r#"{"propagationPolicy":"Foreground"}"#),
        ("DELETE", maps, json, ""),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json, review),
    ];
    let mut seeds: Vec<Vec<u8>> =
        asked.iter().map(|(method, path, media, body)| written(method, path, media, body)).collect();
    // In absolute form, and as a Table.
    let table = written("GET", &format!("https://localhost:6443{maps}"), json, "");
    let table = String::from_utf8_lossy(&table)
        .replace("accept: ", "accept: application/json;as=Table;v=v1;g=meta.k8s.io,");
    seeds.push(table.into_bytes());
    seeds
}

/// Parts of requests.
pub(super) const WORDS: &[&[u8]] = &[
    b"//",
    b"/..",
    b"/./",
    b"%2f",
    b"%2e%2e",
    b"%00",
    b"%25",
    b"%ff",
    b";",
    b"?",
    b"#",
    b"&",
    b"=",
    b"/livez",
    b"/readyz",
    b"/healthz",
    b"/livez/..",
    b"/livez%2f..",
    b"/livez?",
    b"/version",
    b"/status",
    b"/scale",
    b"/finalize",
    b"/namespaces/default",
    b"http://127.0.0.1",
    b"https://evil.example/",
    b"user@",
    b"@127.0.0.1",
    b"127.0.0.1",
    b"[::1]",
    b"[::ffff:127.0.0.1]",
    b"0x7f.1",
    b"localhost",
    b".localhost",
    b"mesh.example.com",
    b"\r\nHOST: evil.example",
    b"\r\nHost: localhost",
    b"\r\nAuthorization: Bearer x",
    b"\r\nAUTHORIZATION: bearer 0123456789abcdef0123456789abcdef",
    b"\r\nauthorization:",
    b"Basic ",
    b"Bearer  ",
    b"\t",
    b"GET ",
    b"HEAD ",
    b"OPTIONS ",
    b"CONNECT ",
    b"POST ",
    b"PUT ",
    b"PATCH ",
    b"DELETE ",
    b"TRACE ",
    b"*",
    b"watch=true",
    b"limit=-1",
    b"continue=",
    b"dryRun=",
    b"resourceVersion=18446744073709551615",
    b"resourceVersionMatch=Exact",
    b"sendInitialEvents=1",
    b"fieldValidation=Strict",
    b"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    b"application/yaml",
    b"application/vnd.kubernetes.protobuf",
    b"q=0.5",
    b"k8s\0",
];
