//! The managed policies that this resource attached to its role, recorded in a tag of the role: one that the spec no longer names
//! is detached when the operator attached it, and stays when a person did. The tag is written before the first attachment and
//! again after the last detachment, so that a crash in between loses nothing. Pure.

use std::collections::BTreeSet;

use fleetmesh_api::tags::ATTACHED_TAG;
use fleetmesh_model::tag::Tags;
use sha2::{Digest, Sha256};

/// ARNs may have 2,048 characters and a tag's value 256: twelve digits of a hash stand for each of at most ten.
const DIGITS: usize = 12;
/// The value when there is nothing; it is no hash.
const NOTHING: &str = "none";

/// What is remembered of an ARN.
fn mark(arn: &str) -> String {
    format!("{:.DIGITS$}", hex::encode(Sha256::digest(arn)))
}

/// The marks of what we attached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(BTreeSet<String>);

impl Marks {
    pub(super) fn of<'a>(arns: impl IntoIterator<Item = &'a String>) -> Self {
        Self(arns.into_iter().map(|arn| mark(arn)).collect())
    }

    pub(super) fn read(tags: &Tags) -> Self {
        let value = tags.get(ATTACHED_TAG).map(String::as_str).unwrap_or_default();
        Self(value.split(' ').filter(|word| word.len() == DIGITS).map(str::to_owned).collect())
    }

    pub(super) fn contain(&self, arn: &str) -> bool {
        self.0.contains(&mark(arn))
    }

    pub(super) fn with(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    pub(super) fn value(&self) -> String {
        if self.0.is_empty() {
            return NOTHING.to_owned();
        }
        self.0.iter().cloned().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_a_role_can_have_fit_into_a_tag() {
        let arns: Vec<String> = (0..11).map(|n| format!("arn:aws:iam::aws:policy/{n}")).collect();
        let marks = Marks::of(&arns);
        let value = marks.value();
        assert!(value.len() <= 256, "{value}");
        assert_eq!(Marks::read(&Tags::from([(ATTACHED_TAG.to_owned(), value)])), marks);
        assert!(arns.iter().all(|arn| marks.contain(arn)) && !marks.contain("arn:aws:iam::aws:policy/11"));
    }

    #[test]
    fn nothing_is_read_as_nothing() {
        let tags = Tags::from([(ATTACHED_TAG.to_owned(), Marks::default().value())]);
        assert_eq!(Marks::read(&tags), Marks::default());
        assert_eq!(Marks::read(&Tags::new()), Marks::default());
    }
}
