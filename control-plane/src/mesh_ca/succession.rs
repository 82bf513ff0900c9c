//! How one authority of the mesh takes over from another without a connection that fails: every proxy trusts the next one before
//! it signs, and the former one as long as anything of it is valid. Pure.

use std::time::{Duration, SystemTime};

/// How long an authority is valid.
pub const LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long an authority is trusted before it signs, and how long what it signed is valid at most: certificates are valid for a
/// day at the longest, and instances renew them at half of that.
pub const SETTLE: Duration = Duration::from_secs(48 * 3600);

/// When an authority was made, and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// When it was made.
    pub made: SystemTime,
    /// When its certificate ends.
    pub end: SystemTime,
}

impl Term {
    /// Whether nothing that it signed counts any more.
    pub fn is_over(&self, now: SystemTime) -> bool {
        self.end <= now
    }

    /// Whether half of its life is over.
    fn is_old(&self, now: SystemTime) -> bool {
        let life = self.end.duration_since(self.made).unwrap_or_default();
        now >= self.made + life / 2
    }

    /// Whether every proxy has heard of it.
    fn is_known(&self, now: SystemTime) -> bool {
        now >= self.made + SETTLE
    }
}

/// Whether another authority is to be made beside these, which stand in the order of their making.
pub fn is_due(terms: &[Term], now: SystemTime) -> bool {
    terms.iter().all(|term| term.is_over(now) || term.is_old(now))
}

/// The place of the one that signs: the newest that every proxy has heard of, or the oldest where there is none such; `None` when
/// all are over.
pub fn signs(terms: &[Term], now: SystemTime) -> Option<usize> {
    let lives = |place: &usize| terms.get(*place).is_some_and(|term| !term.is_over(now));
    let known = |place: &usize| terms.get(*place).is_some_and(|term| term.is_known(now));
    let living = || (0..terms.len()).filter(lives);
    living().rev().find(known).or_else(|| living().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn term(made: Duration) -> Term {
        Term { made: START + made, end: START + made + LIFE }
    }

    /// Over ten years, one look each hour: what signs was known to all for long enough, and ends no sooner than what it signs.
    #[test]
    fn who_signs_is_trusted_by_all_before_and_until_nothing_of_it_counts() {
        let (hour, mut terms, mut most) = (Duration::from_secs(3600), Vec::new(), 0);
        for now in (0..10 * 365 * 24).map(|hours| START + hour * hours) {
            if is_due(&terms, now) {
                terms.push(term(now.duration_since(START).expect("later")));
            }
            terms.retain(|term: &Term| !term.is_over(now));
            most = most.max(terms.len());
            let signing = terms[signs(&terms, now).expect("one signs")];
            let first = signing.made == START;
            assert!(first || now >= signing.made + SETTLE, "{signing:?}");
            assert!(now + SETTLE <= signing.end, "what it signs ends before it: {signing:?}");
        }
        assert_eq!(most, 2);
    }

    #[test]
    fn the_first_signs_at_once_and_after_a_long_rest_so_does_a_new_one() {
        assert!(is_due(&[], START));
        assert_eq!(signs(&[], START), None);
        assert_eq!(signs(&[term(Duration::ZERO)], START), Some(0));
        // The control plane was down for two years.
        let late = START + LIFE * 2;
        assert!(is_due(&[term(Duration::ZERO)], late));
        assert_eq!(signs(&[term(Duration::ZERO), term(LIFE * 2)], late), Some(1));
        // A clock that goes back makes none anew.
        assert!(!is_due(&[term(LIFE)], START));
        assert_eq!(signs(&[term(LIFE)], START), Some(0));
    }
}
