//! The answer of the distribution endpoint, from JSON. No I/O.

use std::collections::BTreeMap;

use fleetmesh_core::{CallingProxies, Rejection};
use fleetmesh_model::arn::Arn;
use fleetmesh_model::foreign::printable;
use serde::Deserialize;

use crate::cache::{Answer, Told};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDistribution {
    token: String,
    complete: bool,
    objects: Vec<WireObject>,
    #[serde(default)]
    removed: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireObject {
    resource: String,
    version: i64,
    proxies: i32,
    acknowledged: i32,
    #[serde(default)]
    lagging: i32,
    #[serde(default)]
    rejected: Vec<WireRejection>,
    #[serde(default)]
    connected: BTreeMap<String, bool>,
    #[serde(default)]
    callers: BTreeMap<String, WireCaller>,
    #[serde(default)]
    unserved: Vec<String>,
}

#[derive(Deserialize)]
struct WireCaller {
    proxies: i32,
    acknowledged: i32,
}

#[derive(Deserialize)]
struct WireRejection {
    proxy: String,
    message: String,
}

/// The answer and the token for the next question. Objects of kinds that are not known are passed over.
///
/// # Errors
/// What is missing or malformed.
pub(super) fn parse(body: &[u8]) -> serde_json::Result<(Answer, String)> {
    let WireDistribution { token, complete, objects, removed } = serde_json::from_slice(body)?;
    let told = |object: WireObject| {
        let WireObject { resource, version, proxies, acknowledged, rejected, .. } = object;
        let WireObject { connected, callers, lagging, unserved, .. } = object;
        let rejected = rejected
            .into_iter()
            .map(|WireRejection { proxy, message }| Rejection { proxy, message: printable(&message) })
            .collect();
        let callers = callers
            .into_iter()
            .map(|(node, WireCaller { proxies, acknowledged })| {
                (node, CallingProxies { proxies, acknowledged })
            })
            .collect();
        let told = Told { version, proxies, acknowledged, lagging, rejected, connected, callers, unserved };
        Some((Arn::parse_resource(&resource).ok()?, told))
    };
    let answer = Answer {
        complete,
        objects: objects.into_iter().filter_map(told).collect(),
        removed: removed.iter().filter_map(|resource| Arn::parse_resource(resource).ok()).collect(),
    };
    Ok((answer, token))
}

#[cfg(test)]
mod tests {
    use fleetmesh_model::ResourceId;

    use super::*;

    #[test]
    fn the_contract_s_example_is_read() {
        let body = br#"{"mesh":"apps","token":"t1","complete":true,"objects":[{"arn":"arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualRouter/serviceB/route/serviceB","resource":"mesh/apps/virtualRouter/serviceB/route/serviceB","kind":"Route","version":3,"proxies":2,"acknowledged":1,"lagging":3,"rejected":[{"proxy":"mesh/apps/virtualNode/serviceA#1","message":"bad regex"}],"unserved":["spec.listeners[0].tls"]}],"removed":["mesh/apps/virtualNode/x"]}"#;
        let (answer, token) = parse(body).expect("an answer");
        assert_eq!(token, "t1");
        assert!(answer.complete);
        assert_eq!(answer.removed, [ResourceId::virtual_node("apps", "x")]);
        let (id, told) = &answer.objects[0];
        assert_eq!(*id, ResourceId::route("apps", "serviceB", "serviceB"));
        assert_eq!((told.version, told.proxies, told.acknowledged, told.lagging), (3, 2, 1, 3));
        assert_eq!(told.rejected[0].message, "bad regex");
    }
}
