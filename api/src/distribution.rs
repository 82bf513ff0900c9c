//! How many of its proxies run each object of a mesh: `GET` [`DISTRIBUTION`](crate::urls::DISTRIBUTION).
//!
//! Without `after` it is answered at once, with every object. With it, it is answered when something changed since the token, or
//! after `timeoutSeconds`, with what changed (`docs/adr/0004-distribution-by-long-poll.md`).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::urls::escape;

/// The longest that an answer may be waited for, in seconds.
pub const MAX_WAIT_SECONDS: u64 = 60;

/// Where a reader was: it sends this back to get what changed since. The text is opaque.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Token(pub String);

/// The query of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DistributionQuery {
    /// Answer with what changed since then.
    pub after: Option<Token>,
    /// For how long to wait until something did, 0 to [`MAX_WAIT_SECONDS`].
    pub timeout_seconds: Option<u64>,
    /// The account that owns the mesh; the caller's own without it.
    pub mesh_owner: Option<String>,
}

/// As it is appended to the path: with its question mark, or nothing.
impl fmt::Display for DistributionQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.after.as_ref().map(|Token(token)| format!("after={}", escape(token)));
        let timeout = self.timeout_seconds.map(|seconds| format!("timeoutSeconds={seconds}"));
        let owner = self.mesh_owner.as_ref().map(|owner| format!("meshOwner={}", escape(owner)));
        let members: Vec<String> = after.into_iter().chain(timeout).chain(owner).collect();
        if members.is_empty() { Ok(()) } else { write!(f, "?{}", members.join("&")) }
    }
}

/// What there is to say about a mesh.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DistributionAnswer {
    /// The mesh.
    #[serde(default)]
    pub mesh: String,
    /// Where the reader is now.
    pub token: Token,
    /// Whether every object is listed; otherwise only those that changed.
    pub complete: bool,
    /// The objects, by resource.
    pub objects: Vec<ObjectStatus>,
    /// The resources that are gone, when the answer is not complete.
    #[serde(default)]
    pub removed: Vec<String>,
}

impl DistributionAnswer {
    /// Whether it lists nothing.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.removed.is_empty()
    }
}

/// How far one object got among the proxies, and what of it none of them can run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStatus {
    /// Its full ARN.
    #[serde(default)]
    pub arn: String,
    /// The resource part of the ARN, which says which object it is. A reader passes over kinds that it does not know.
    pub resource: String,
    /// The name of its kind, such as `Route`.
    #[serde(default)]
    pub kind: String,
    /// The version that the numbers are about.
    pub version: i64,
    /// How many connected proxies have it in their snapshot; one that reports its load counts as connected. Those of one
    /// virtual node with the certificates of one holder count as one, by the one of them that is farthest.
    pub proxies: i32,
    /// How many of these acknowledged a snapshot with exactly this version of it.
    pub acknowledged: i32,
    /// How many further streams there are of those, and have not acknowledged this version. They count for nothing, and still
    /// send requests by what they run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lagging: i32,
    /// Those of them that refuse it.
    #[serde(default)]
    pub rejected: Vec<Rejection>,
    /// Of a virtual node: its own proxies by the instance they run on (an id or an address), and whether each has
    /// acknowledged everything that it is to run. A proxy that cannot be identified is not listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connected: BTreeMap<String, bool>,
    /// Of a route: the proxies that are to run it, by the names of their virtual nodes, so that a reader can see
    /// whose they are. Empty where the control plane does not report it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub callers: BTreeMap<String, CallingProxies>,
    /// What of it is not in force, each as `path: reason` ([`crate::unserved`]). Older control planes report members that they do
    /// not serve as bare paths.
    #[serde(default)]
    pub unserved: Vec<String>,
    /// What of it has no effect as its mesh is, each as `path: reason`: a backend whose virtual service does not exist, a route whose
    /// requests another one with the same priority and match gets. It keeps nothing from being served as it says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ineffective: Vec<String>,
    /// What is to be known of how the rest of it is served, each as `path: text`. Nothing of it is out of force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &i32) -> bool {
    *count == 0
}

/// The proxies of one virtual node that are to run an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallingProxies {
    /// Those that are connected.
    pub proxies: i32,
    /// Those of them that acknowledged the version.
    pub acknowledged: i32,
}

/// A proxy that refuses an object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejection {
    /// Which proxy.
    pub proxy: String,
    /// Its own words. A proxy may send anything: a reader makes them printable before it shows them.
    pub message: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} says: \"{}\"", self.proxy, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples;

    #[test]
    fn the_example_is_what_both_sides_read_and_write() {
        let answer: DistributionAnswer = serde_json::from_str(examples::DISTRIBUTION).expect("the example");
        examples::same(&answer, examples::DISTRIBUTION);
        assert_eq!(
            (answer.mesh.as_str(), answer.token, answer.complete),
            ("apps", Token("this-2".into()), false)
        );
        assert_eq!(answer.removed, ["mesh/apps/virtualNode/x"]);
        let of = |kind: &str| answer.objects.iter().find(|object| object.kind == kind).expect("an object");
        let (route, node) = (of("Route"), answer.objects.iter().find(|object| !object.connected.is_empty()));
        let (caller, message) =
            (|proxies, acknowledged| CallingProxies { proxies, acknowledged }, "bad regex".into());
        let expected = ObjectStatus {
            arn: format!("arn:aws:appmesh:us-west-2:111122223333:{}", route.resource),
            resource: "mesh/apps/virtualRouter/serviceB/route/serviceB".to_owned(),
            kind: "Route".to_owned(),
            version: 3,
            proxies: 2,
            acknowledged: 1,
            lagging: 3,
            rejected: vec![Rejection { proxy: "mesh/apps/virtualNode/serviceA#1".to_owned(), message }],
            callers: [("serviceA".to_owned(), caller(1, 0)), ("serviceC".to_owned(), caller(1, 1))].into(),
            ..ObjectStatus::default()
        };
        assert_eq!(*route, expected);
        let node = node.expect("a node with a proxy of its own");
        assert_eq!(node.connected, [("i-0123456789abcdef0".to_owned(), true)].into());
        assert_eq!(node.unserved.len(), 2);
    }

    #[test]
    fn former_control_planes_say_less_and_later_ones_more() {
        let least = r#"{"token":"t","complete":true,"objects":[{"resource":"r","version":1,"proxies":2,"acknowledged":1,"later":{"member":[1.5]}}],"later":1}"#;
        let answer: DistributionAnswer = serde_json::from_str(least).expect("of a former control plane");
        let resource = "r".to_owned();
        let object =
            ObjectStatus { resource, version: 1, proxies: 2, acknowledged: 1, ..ObjectStatus::default() };
        assert_eq!((answer.objects, answer.removed), (vec![object], Vec::new()));
        for needed in ["token", "complete", "objects", "resource", "version", "proxies", "acknowledged"] {
            let without = least.replace(&format!("\"{needed}\""), "\"other\"");
            assert!(serde_json::from_str::<DistributionAnswer>(&without).is_err(), "{needed}");
        }
    }

    #[test]
    fn notes_and_what_has_no_effect_are_left_out_where_there_are_none() {
        let mut status = ObjectStatus { resource: "r".to_owned(), ..ObjectStatus::default() };
        let written = |status: &ObjectStatus| serde_json::to_value(status).expect("JSON");
        assert_eq!((written(&status).get("notes"), written(&status).get("ineffective")), (None, None));
        status.notes = vec!["spec.backends[0]: takes the port".to_owned()];
        status.ineffective = vec!["spec.backends[0]: does not exist".to_owned()];
        let read: ObjectStatus = serde_json::from_value(written(&status)).expect("a status");
        assert_eq!(read, status);
    }

    #[test]
    fn a_query_is_written_for_the_path() {
        assert_eq!(DistributionQuery::default().to_string(), "");
        let query = DistributionQuery {
            after: Some(Token("a&b".to_owned())),
            timeout_seconds: Some(50),
            mesh_owner: None,
        };
        assert_eq!(query.to_string(), "?after=a%26b&timeoutSeconds=50");
        let query = DistributionQuery { mesh_owner: Some("444455556666".to_owned()), ..query };
        assert_eq!(query.to_string(), "?after=a%26b&timeoutSeconds=50&meshOwner=444455556666");
    }
}
