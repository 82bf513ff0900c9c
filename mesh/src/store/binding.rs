//! Keys that instances are bound to: while a certificate for one is valid, the instance gets none for another. Pure.

use fleetmesh_model::ResourceId;
use jiff::Timestamp;

/// One instance, and the key that it has for one virtual node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The instance's id.
    pub instance: String,
    /// The virtual node.
    pub node: ResourceId,
    /// A digest of the public key.
    pub key: [u8; 32],
    /// When the instance was last started.
    pub started: Timestamp,
    /// When the certificate for the key ends.
    pub until: Timestamp,
}

impl Binding {
    /// Whether it may take the place of `former`, of the same instance and virtual node, at `now`: with the same key, after
    /// the former certificate has ended, or after the instance was stopped and started again, which only EC2 can say.
    pub fn may_follow(&self, former: &Self, now: Timestamp) -> bool {
        self.key == former.key || former.until <= now || self.started > former.started
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::node;

    #[test]
    fn another_key_waits_for_the_end_of_the_certificate_or_for_a_new_start() {
        let second = |second| Timestamp::from_second(second).expect("a time");
        let binding = |key, started, until| Binding {
            instance: "i-01234567".into(),
            node: node("a"),
            key: [key; 32],
            started: second(started),
            until: second(until),
        };
        let former = binding(1, 100, 5000);
        assert!(binding(1, 100, 6000).may_follow(&former, second(2000)), "its own key");
        assert!(!binding(2, 100, 6000).may_follow(&former, second(2000)));
        assert!(!binding(2, 100, 6000).may_follow(&former, second(4999)));
        assert!(binding(2, 100, 9000).may_follow(&former, second(5000)), "it has ended");
        assert!(binding(2, 101, 6000).may_follow(&former, second(2000)), "it was started again");
        assert!(!binding(2, 99, 6000).may_follow(&former, second(2000)), "an old document");
    }
}
