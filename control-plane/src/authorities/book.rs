//! Which authority is asked for next, and when. Knows nothing of AWS; writes lines of the log.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmesh_mesh::authorities::{AuthorityArn, Wanted, delay};
use tokio::time::Instant;

/// The time between the beginnings of two calls, at least.
pub(super) const GAP: Duration = Duration::from_millis(100);

/// Where the reading of each authority stands.
#[derive(Debug)]
pub(super) struct ReadingBook {
    interval: Duration,
    attempts: BTreeMap<AuthorityArn, Attempt>,
    /// When the last call began.
    begun: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Attempt {
    /// Failures in a row.
    failures: u32,
    /// When it is due; at once when absent.
    due: Option<Instant>,
    is_under_way: bool,
}

impl ReadingBook {
    /// Nothing is wanted yet. What was read is read again after `interval`.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, attempts: BTreeMap::new(), begun: None }
    }

    /// Forgets what is not wanted, and enters what is new.
    pub(super) fn follow(&mut self, wanted: &Wanted) {
        self.attempts.retain(|arn, _| wanted.readable.contains(arn));
        for arn in &wanted.readable {
            self.attempts.entry(arn.clone()).or_default();
        }
    }

    /// The authority to ask for at `now`, if one is due: the first of those that were never read, else the first of those that were.
    pub(super) fn begin(&mut self, now: Instant, was_read: impl Fn(&str) -> bool) -> Option<AuthorityArn> {
        if self.begun.is_some_and(|begun| now < begun + GAP) {
            return None;
        }
        let is_due = |attempt: &Attempt| !attempt.is_under_way && attempt.due.is_none_or(|due| due <= now);
        let due = self.attempts.iter_mut().filter(|(_, attempt)| is_due(attempt));
        let (arn, attempt) = due.min_by_key(|(arn, attempt)| (was_read(arn.as_str()), attempt.due))?;
        attempt.is_under_way = true;
        self.begun = Some(now);
        Some(arn.clone())
    }

    /// When [`Self::begin`] has one next; `None` while all are under way.
    pub(super) fn next(&self) -> Option<Instant> {
        let waiting = self.attempts.values().filter(|attempt| !attempt.is_under_way);
        let due = waiting.map(|attempt| attempt.due).min()?;
        let free = self.begun.map(|begun| begun + GAP);
        due.max(free)
    }

    /// Notes how an attempt ended; says whether the authority is still wanted.
    pub(super) fn ended(
        &mut self,
        arn: &AuthorityArn,
        failure: Option<&String>,
        now: Instant,
        random: f64,
    ) -> bool {
        let Some(attempt) = self.attempts.get_mut(arn) else { return false };
        match failure {
            Some(reason) if attempt.failures == 0 => {
                tracing::warn!(%arn, reason, "an authority cannot be read; what was read of it before stays");
            }
            None if attempt.failures > 0 => tracing::info!(%arn, "an authority can be read again"),
            Some(_) | None => {}
        }
        let failures = if failure.is_some() { attempt.failures.saturating_add(1) } else { 0 };
        let due = now + delay(self.interval, failures, random);
        *attempt = Attempt { failures, due: Some(due), is_under_way: false };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn arn(id: &str) -> AuthorityArn {
        let text = format!("arn:aws:acm-pca:us-west-2:111122223333:certificate-authority/{id}");
        text.parse().expect("an ARN")
    }

    fn of(ids: &[&str]) -> Wanted {
        Wanted { readable: ids.iter().map(|id| arn(id)).collect(), ..Wanted::default() }
    }

    #[test]
    fn what_was_never_read_is_first_and_calls_begin_one_after_the_other() {
        let mut book = ReadingBook::new(HOUR);
        book.follow(&of(&["a", "b", "c"]));
        let start = Instant::now();
        let mut begin = |after: u32| book.begin(start + GAP * after, |of| of == arn("a").as_str());
        assert_eq!((begin(0), begin(0)), (Some(arn("b")), None), "one in a while");
        assert_eq!((begin(1), begin(2), begin(3)), (Some(arn("c")), Some(arn("a")), None));
        assert_eq!(book.next(), None, "all are under way");
        assert!(book.ended(&arn("b"), None, start, 0.5));
        assert!(book.ended(&arn("c"), Some(&"denied".to_owned()), start, 0.5));
        assert_eq!(book.next(), Some(start + Duration::from_secs(5)), "a failure is tried soon");
        assert_eq!(book.begin(start + HOUR, |_| true), Some(arn("c")));
        assert_eq!(book.next(), Some(start + HOUR + GAP));
        assert!(book.ended(&arn("c"), Some(&"denied".to_owned()), start, 0.5));
        assert_eq!(book.next(), Some(start + HOUR + GAP), "not before another call may begin");
    }

    #[test]
    fn what_nobody_wants_any_more_is_not_entered() {
        let mut book = ReadingBook::new(HOUR);
        book.follow(&of(&["a"]));
        assert_eq!(book.begin(Instant::now(), |_| false), Some(arn("a")));
        book.follow(&of(&["b"]));
        assert!(!book.ended(&arn("a"), None, Instant::now(), 0.5));
    }
}
