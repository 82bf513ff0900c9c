//! How the proxies of a virtual node or gateway take HTTP, as its tags say: App Mesh has no members for it. Pure.

use std::ops::RangeInclusive;

use fleetmesh_api::tags::{
    DEFAULT_HEADERS, DEFAULT_HEADERS_KIB, HEADER_CASE_TAG, HEADERS, HEADERS_KIB, HEADERS_KIB_TAG,
    HEADERS_TAG, HTTP_TAGS, PROXY_DNS_TAG,
};
use fleetmesh_model::Kind;
use fleetmesh_model::tag::Tags;

use crate::refusal::Refusal;

/// What tags say about HTTP. The default is Envoy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpTags {
    /// How many KiB of headers a request may have.
    pub headers_kib: u32,
    /// How many headers a request or an answer may have.
    pub headers: u32,
    /// Whether the names of headers keep their case in HTTP/1.1.
    pub header_case: bool,
}

impl Default for HttpTags {
    fn default() -> Self {
        Self { headers_kib: DEFAULT_HEADERS_KIB, headers: DEFAULT_HEADERS, header_case: false }
    }
}

impl HttpTags {
    /// What `tags` say. What [`check`] rejects says nothing: it was stored by a control plane that did not know the tag.
    pub fn of(tags: &Tags) -> Self {
        Self::of_or(tags, Self::default())
    }

    /// The same; what they do not say is as in `other`.
    pub fn of_or(tags: &Tags, other: Self) -> Self {
        let number = |tag, bounds| tags.get(tag).and_then(|value| whole(value, &bounds));
        let header_case = tags.get(HEADER_CASE_TAG).and_then(|value| value.parse().ok());
        Self {
            headers_kib: number(HEADERS_KIB_TAG, HEADERS_KIB).unwrap_or(other.headers_kib),
            headers: number(HEADERS_TAG, HEADERS).unwrap_or(other.headers),
            header_case: header_case.unwrap_or(other.header_case),
        }
    }

    /// What lets through all that either of them does.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            headers_kib: self.headers_kib.max(other.headers_kib),
            headers: self.headers.max(other.headers),
            header_case: self.header_case || other.header_case,
        }
    }
}

fn whole(value: &str, bounds: &RangeInclusive<u32>) -> Option<u32> {
    value.parse().ok().filter(|number| bounds.contains(number))
}

/// Rejects tags about proxies that say nothing: of other kinds than virtual nodes and gateways, and values out of bounds.
///
/// # Errors
/// There is one; the message names it, what was found and what it may be.
pub fn check(kind: Kind, tags: &Tags) -> Result<(), Refusal> {
    for tag in HTTP_TAGS.into_iter().chain([PROXY_DNS_TAG]) {
        let Some(value) = tags.get(tag) else { continue };
        if !kind.info().has_proxies {
            let message = format!("tags: {tag} is for virtual nodes and virtual gateways, this is a {kind}");
            return Err(Refusal::bad_request(message));
        }
        let bounds = match tag {
            HEADERS_KIB_TAG => &HEADERS_KIB,
            HEADERS_TAG => &HEADERS,
            _ if matches!(value.as_str(), "true" | "false") => continue,
            _ => {
                let message = format!("tags: {tag} must be true or false (found {value:?})");
                return Err(Refusal::bad_request(message));
            }
        };
        if whole(value, bounds).is_none() {
            let (least, most) = (bounds.start(), bounds.end());
            let message =
                format!("tags: {tag} must be a whole number from {least} to {most} (found {value:?})");
            return Err(Refusal::bad_request(message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(entries: &[(&str, &str)]) -> Tags {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn numbers_within_the_bounds_and_words_are_taken() {
        let all =
            tags(&[(HEADERS_KIB_TAG, "8192"), (HEADERS_TAG, "1"), (HEADER_CASE_TAG, "true"), ("team", "a")]);
        check(Kind::VirtualNode, &all).expect("good tags");
        check(Kind::VirtualGateway, &all).expect("good tags");
        let found = HttpTags::of(&all);
        assert_eq!(found, HttpTags { headers_kib: 8192, headers: 1, header_case: true });
        assert_eq!(HttpTags::of(&tags(&[])), HttpTags::default());
        assert_eq!(found.or(HttpTags::default()), HttpTags { headers: 100, ..found });
    }

    #[test]
    fn what_cannot_be_is_rejected_with_the_bound_and_says_nothing() {
        for (tag, value, expected) in [
            (HEADERS_KIB_TAG, "0", "must be a whole number from 1 to 8192 (found \"0\")"),
            (HEADERS_KIB_TAG, "8193", "must be a whole number from 1 to 8192 (found \"8193\")"),
            (HEADERS_KIB_TAG, "60k", "must be a whole number from 1 to 8192 (found \"60k\")"),
            (HEADERS_TAG, "-1", "must be a whole number from 1 to 10000 (found \"-1\")"),
            (HEADERS_TAG, "10001", "must be a whole number from 1 to 10000 (found \"10001\")"),
            (HEADER_CASE_TAG, "yes", "must be true or false (found \"yes\")"),
            (PROXY_DNS_TAG, "True", "must be true or false (found \"True\")"),
        ] {
            let tags = tags(&[(tag, value)]);
            let refusal = check(Kind::VirtualNode, &tags).expect_err(value);
            assert_eq!(refusal, Refusal::bad_request(format!("tags: {tag} {expected}")));
            assert_eq!(HttpTags::of(&tags), HttpTags::default());
        }
        let refusal = check(Kind::Route, &tags(&[(HEADERS_TAG, "5")])).expect_err("a route");
        assert!(refusal.message.contains("is for virtual nodes and virtual gateways"), "{refusal:?}");
    }
}
