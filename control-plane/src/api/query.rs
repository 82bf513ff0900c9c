//! Query parameters: `meshOwner`, `limit`, `nextToken`, `resourceArn`; and pages of a list. Pure.

use fleetmesh_mesh::foreign::Foreign;
use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::refusal::{Class, Refusal};
use fleetmesh_model::{Arn, ResourceId};
use http::Uri;
use std::collections::BTreeSet;

/// The decoded query parameters of a request.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The most entries in the answer.
    pub limit: usize,
    /// The key after which the page begins; the list's beginning when absent.
    pub after: Option<String>,
}

impl Query {
    /// The parameters of `uri`. None is given twice: signatures sort them, so two that were swapped would verify as well and mean
    /// something else.
    pub fn parse(uri: &Uri) -> Result<Self, Refusal> {
        let axum::extract::Query(pairs) = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Refusal::bad_request(format!("the query string is malformed: {error}")))?;
        let mut seen = BTreeSet::new();
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !seen.insert(name.as_str())) {
            return Err(Refusal::bad_request(format!(
                "the query parameter {} is given twice",
                Foreign(name)
            )));
        }
        Ok(Self(pairs))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// The account that the request says owns the mesh.
    pub fn mesh_owner(&self) -> Option<&str> {
        self.get("meshOwner")
    }

    /// The page asked for, of at most `bound` entries.
    pub fn page(&self, bound: usize) -> Result<Page, Refusal> {
        let limit = match self.get("limit") {
            None => bound,
            Some(text) => match text.parse() {
                Ok(limit) if (1..=bound).contains(&limit) => limit,
                _ => {
                    let message = format!("limit: {text:?} is not a whole number from 1 to {bound}");
                    return Err(Refusal::bad_request(message));
                }
            },
        };
        let after = self.get("nextToken").map(read_token).transpose()?;
        Ok(Page { limit, after })
    }

    /// The resource that `resourceArn` names.
    pub fn resource(&self, identity: &Identity) -> Result<ResourceId, Refusal> {
        let text = self.get("resourceArn").ok_or_else(|| Refusal::bad_request("resourceArn: is required"))?;
        let arn = Arn::parse(text).map_err(|why| Refusal::bad_request(format!("resourceArn: {why}")))?;
        if identity.account(&arn.account).is_none() && identity.others.is_empty() {
            let message = format!(
                "resourceArn: {text:?} is of account {}, this control plane serves {} only",
                arn.account, identity.account
            );
            return Err(Refusal::new(Class::Forbidden, message));
        }
        if (&arn.partition, &arn.region) != (&identity.partition, &identity.region) {
            return Err(Refusal::not_found(format!(
                "resourceArn: {text:?} does not exist; this control plane serves partition {}, region {}",
                identity.partition, identity.region
            )));
        }
        // An account that is not served owns meshes as far as this says, which then do not exist.
        let owner = identity
            .any_account(&arn.account)
            .map_err(|why| Refusal::bad_request(format!("resourceArn: {why}")))?;
        Ok(arn.resource.owned_by(owner))
    }
}

impl Page {
    /// The entries of this page out of all, which come in the order of their keys, and the token of the next page.
    /// A key that came or went since the last page moves nothing: pages continue by key.
    pub fn cut<T>(&self, all: impl Iterator<Item = (String, T)>) -> (Vec<T>, Option<String>) {
        let follows = |(key, _): &(String, T)| self.after.as_ref().is_none_or(|after| key > after);
        let mut rest = all.filter(follows).peekable();
        let mut page = Vec::new();
        let mut last = None;
        for (key, entry) in rest.by_ref().take(self.limit) {
            page.push(entry);
            last = Some(key);
        }
        let next = rest.peek().and(last).map(|key| write_token(&key));
        (page, next)
    }
}

/// Marks our tokens, so that a foreign one is refused instead of misread.
const TOKEN_PREFIX: &str = "p1-";

fn write_token(key: &str) -> String {
    format!("{TOKEN_PREFIX}{}", hex::encode(key))
}

fn read_token(token: &str) -> Result<String, Refusal> {
    let read = || {
        let bytes = hex::decode(token.strip_prefix(TOKEN_PREFIX)?).ok()?;
        String::from_utf8(bytes).ok()
    };
    read().ok_or_else(|| {
        Refusal::bad_request(format!(
            "nextToken: {token:?} is none that this API gave; begin again without it"
        ))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(text: &str) -> Query {
        let uri: Uri = format!("/x?{text}").parse().expect("a URI");
        Query::parse(&uri).expect("a query")
    }

    #[test]
    fn limits_outside_the_bounds_are_refused_by_value_and_bound() {
        assert_eq!(query("").page(100), Ok(Page { limit: 100, after: None }));
        assert_eq!(query("limit=7").page(100).map(|page| page.limit), Ok(7));
        for text in ["0", "101", "-1", "x", ""] {
            let refusal = query(&format!("limit={text}")).page(100).expect_err(text);
            assert_eq!(refusal.message, format!("limit: {text:?} is not a whole number from 1 to 100"));
        }
    }

    /// A signature sorts the parameters: both of these have the same one.
    #[test]
    fn a_parameter_that_is_given_twice_is_refused() {
        for text in ["limit=1&limit=50", "limit=50&limit=1", "a=1&limit=2&%61=1"] {
            let uri: Uri = format!("/x?{text}").parse().expect("a URI");
            let refusal = Query::parse(&uri).expect_err(text);
            assert!(refusal.message.ends_with("is given twice"), "{}", refusal.message);
        }
    }

    #[test]
    fn foreign_tokens_are_refused() {
        for token in ["x", "p1-6", "p1-zz", "p1-ff", "p2-61"] {
            assert!(query(&format!("nextToken={token}")).page(5).is_err(), "{token}");
        }
    }

    proptest! {
        #[test]
        fn pages_together_are_the_list(names in proptest::collection::btree_set(".{1,8}", 0..40), limit in 1usize..9) {
            let mut found = Vec::new();
            let mut page = Page { limit, after: None };
            loop {
                let (mut entries, next) = page.cut(names.iter().map(|name| (name.clone(), name.clone())));
                prop_assert!(entries.len() <= limit);
                found.append(&mut entries);
                let Some(token) = next else { break };
                page.after = Some(read_token(&token).expect("our own token"));
            }
            prop_assert_eq!(found, names.into_iter().collect::<Vec<_>>());
        }
    }
}
