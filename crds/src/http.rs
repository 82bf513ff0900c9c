//! `http` of a VirtualNode and a VirtualGateway: how its proxies take HTTP, beyond what App Mesh has members for. It is in tags of the App
//! Mesh object, which the control plane reads. Pure data and its rule.

use std::collections::BTreeMap;

use fleetmesh_api::tags::{HEADER_CASE_TAG, HEADERS_KIB_TAG, HEADERS_TAG, HTTP_TAGS};
use fleetmesh_model::rule::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::management::MAX_USER_TAGS;

/// The most tags that a user may set beside `http`.
pub const MAX_TAGS_WITH_HTTP: usize = MAX_USER_TAGS - HTTP_TAGS.len();

pub(crate) const ROOM_FOR_HTTP: Rule = Rule {
    cel: "!has(self.http) || !has(self.tags) || self.tags.size() <= 41",
    message: "tags must have at most 41 entries when http is set: each member of http is a tag, too",
};

/// How the proxies take HTTP. Needs a Fleetmesh control plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    /// How many headers a request to these proxies, or an answer to them, may have, 1 to 10000; 100 when absent. A request with more is
    /// answered 431.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_headers: Option<i32>,
    /// How many KiB of headers a request to these proxies may have, 1 to 8192; 60 when absent. A request with more is answered 431.
    /// Callers' proxies let through as much.
    #[serde(default, rename = "maxRequestHeadersKiB", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8192))]
    pub max_request_headers_kib: Option<i32>,
    /// Whether the names of headers keep their case in HTTP/1.1; they are in lower case when absent or false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preserve_header_case: Option<bool>,
}

impl Http {
    /// The tags that say it.
    pub fn tags(&self) -> BTreeMap<String, String> {
        let Self { max_headers, max_request_headers_kib, preserve_header_case } = self;
        let tags = [
            (HEADERS_TAG, max_headers.map(|value| value.to_string())),
            (HEADERS_KIB_TAG, max_request_headers_kib.map(|value| value.to_string())),
            (HEADER_CASE_TAG, preserve_header_case.map(|value| value.to_string())),
        ];
        tags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use fleetmesh_api::tags::{DEFAULT_HEADERS, DEFAULT_HEADERS_KIB, HEADERS, HEADERS_KIB};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_bounds_are_those_of_the_tags() {
        let schema = json!(schemars::schema_for!(Http));
        for (member, bounds, default) in [
            ("maxHeaders", HEADERS, DEFAULT_HEADERS),
            ("maxRequestHeadersKiB", HEADERS_KIB, DEFAULT_HEADERS_KIB),
        ] {
            let member = &schema["properties"][member];
            assert_eq!(member["minimum"], json!(bounds.start()), "{member}");
            assert_eq!(member["maximum"], json!(bounds.end()), "{member}");
            let text = member["description"].as_str().expect("a text");
            let words = format!("{} to {}; {default} when absent", bounds.start(), bounds.end());
            assert!(text.contains(&words), "{text}");
        }
        assert_eq!(MAX_TAGS_WITH_HTTP, 41);
        assert!(ROOM_FOR_HTTP.cel.contains("<= 41"));
    }

    #[test]
    fn each_member_is_a_tag() {
        let http: Http = serde_json::from_value(
            json!({ "maxHeaders": 200, "maxRequestHeadersKiB": 96, "preserveHeaderCase": true }),
        )
        .expect("a spec");
        let expected = [(HEADERS_TAG, "200"), (HEADERS_KIB_TAG, "96"), (HEADER_CASE_TAG, "true")];
        assert_eq!(http.tags(), expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert_eq!(http.tags().len(), HTTP_TAGS.len());
        assert!(Http::default().tags().is_empty());
    }
}
