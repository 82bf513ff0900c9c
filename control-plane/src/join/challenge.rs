//! Challenges: random, known here only, each spent by its first use. In memory: after a restart an instance asks for another.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::refusal::{Class, Refusal};

/// How long a challenge may be answered.
const LIFE: Duration = Duration::from_secs(60);
/// Challenges that may be under way: whoever asks for many cannot fill the memory.
const MOST: usize = 10_000;
/// Random bytes of one.
const BYTES: usize = 24;

/// The challenges that are not spent.
#[derive(Debug, Default)]
pub struct Challenges(Mutex<HashMap<String, Instant>>);

impl Challenges {
    /// A new one, made at `now`.
    ///
    /// # Errors
    /// Too many are under way.
    pub fn new_one(&self, now: Instant) -> Result<String, Refusal> {
        let mut random = [0; BYTES];
        aws_lc_rs::rand::fill(&mut random)
            .map_err(|_| Refusal::new(Class::InternalServerError, "the system gives no random numbers"))?;
        let challenge = URL_SAFE_NO_PAD.encode(random);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, made| now.duration_since(*made) < LIFE);
        }
        if known.len() >= MOST {
            return Err(Refusal::new(
                Class::TooManyRequests,
                "too many instances join at once: try again in a minute",
            ));
        }
        known.insert(challenge.clone(), now);
        Ok(challenge)
    }

    /// Whether `challenge` may be answered at `now`; it may not be again.
    pub fn spend(&self, challenge: &str, now: Instant) -> bool {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(challenge);
        made.is_some_and(|made| now.duration_since(made) < LIFE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_spent_once_and_in_time() {
        let (challenges, now) = (Challenges::default(), Instant::now());
        let one = challenges.new_one(now).expect("a challenge");
        assert!(!challenges.spend("other", now));
        assert!(challenges.spend(&one, now));
        assert!(!challenges.spend(&one, now), "it is spent");
        let late = challenges.new_one(now).expect("a challenge");
        assert_ne!(one, late);
        assert!(!challenges.spend(&late, now + LIFE), "it is too old");
    }

    #[test]
    fn they_are_bounded_until_old_ones_are_forgotten() {
        let (challenges, now) = (Challenges::default(), Instant::now());
        for _ in 0..MOST {
            challenges.new_one(now).expect("a challenge");
        }
        assert_eq!(challenges.new_one(now).expect_err("full").class, Class::TooManyRequests);
        challenges.new_one(now + LIFE).expect("the old ones are forgotten");
    }
}
