//! When a proxy gets again what it rejected of its secrets: files that these name may have come to their place. Pure: time is
//! passed in.

use std::time::{Duration, Instant};

use crate::snapshot::{Content, ResourceSet};

/// How long after a rejection it is sent again for the first time; then after twice as long each time.
pub const FIRST: Duration = Duration::from_secs(1);
/// The longest that it waits: a wrong path costs one small answer a minute for each proxy that rejects it.
pub const LONGEST: Duration = Duration::from_secs(60);

/// When one proxy gets again what it rejected.
#[derive(Debug, Default)]
pub struct Resend {
    /// The version of that.
    rejected: Option<String>,
    next: Option<Instant>,
    wait: Duration,
}

impl Resend {
    /// Takes in what of its secrets the proxy rejects `now`. What it did not reject before begins with [`FIRST`].
    pub fn note(&mut self, now: Instant, rejected: ResourceSet) {
        if rejected.is_empty() {
            *self = Self::default();
            return;
        }
        let version = Content::new(rejected).version;
        if self.rejected.as_ref() != Some(&version) {
            *self = Self { rejected: Some(version), next: Some(now + FIRST), wait: FIRST };
        }
    }

    /// When it is sent again; never while nothing is rejected.
    pub fn due(&self) -> Option<Instant> {
        self.next
    }

    /// It is sent again `now`, or cannot be: the next time is twice as far, at most [`LONGEST`].
    pub fn passed(&mut self, now: Instant) {
        self.wait = (self.wait * 2).min(LONGEST);
        self.next = self.next.map(|_| now + self.wait);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;

    use super::*;
    use crate::snapshot::Resource;

    fn rejected(name: &str) -> ResourceSet {
        let secret = Secret { name: name.into(), ..Secret::default() };
        let resource = Resource::new(name, &secret, BTreeSet::new(), BTreeSet::new());
        ResourceSet::from([(name.to_owned(), Arc::new(resource))])
    }

    #[test]
    fn the_wait_doubles_up_to_its_bound_and_begins_anew_for_something_else() {
        let start = Instant::now();
        let mut resend = Resend::default();
        resend.note(start, ResourceSet::new());
        assert_eq!(resend.due(), None);
        resend.note(start, rejected("a"));
        let (mut now, mut waits) = (start, Vec::new());
        for _ in 0..8 {
            let due = resend.due().expect("it is rejected");
            waits.push((due - now).as_secs());
            now = due;
            resend.passed(now);
            // Whatever the proxy says of the same changes nothing.
            resend.note(now, rejected("a"));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        resend.note(now, rejected("b"));
        assert_eq!(resend.due(), Some(now + FIRST));
        resend.note(now, ResourceSet::new());
        assert_eq!(resend.due(), None);
        resend.passed(now);
        assert_eq!(resend.due(), None, "nothing is rejected");
    }
}
