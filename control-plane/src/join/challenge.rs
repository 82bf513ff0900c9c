//! Challenges: each proves itself that it was made here, lately, and for whom. So open challenges are not stored, and nobody can use
//! them up by asking for many. Spent ones are stored for as long as they could be used again.
//!
//! `time, random bytes → a MAC over them, the resource and the public key, by a key of this process`
//!
//! After a restart the key is another: an instance asks for another challenge.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fleetmesh_mesh::refusal::{Class, Refusal};

/// How long a challenge may be answered.
const LIFE: Duration = Duration::from_secs(60);
/// Spent challenges that are remembered. What spends them is bounded by source ([`super::rate`]).
const MOST: usize = 65_536;
/// Milliseconds since this process began.
const TIME: usize = 8;
/// Random bytes of one.
const RANDOM: usize = 16;
/// Bytes of its MAC.
const MAC: usize = 32;

/// What a challenge is for. Instances of former versions ask for one that is for nothing yet; what it is for they sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChallengePurpose<'a> {
    /// The virtual node, as the instance writes it.
    pub resource: &'a str,
    /// The public key, as the instance writes it.
    pub public_key: &'a str,
}

/// Makes challenges, and knows which are spent.
#[derive(Debug)]
pub struct Challenges {
    key: Key,
    began: Instant,
    /// The random bytes of those that are spent, and when they would have ended.
    spent: Mutex<HashMap<[u8; RANDOM], Instant>>,
}

impl Challenges {
    /// With a key of its own; nothing is spent.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new(now: Instant) -> Result<Self, Refusal> {
        let key = Key::generate(HMAC_SHA256, &SystemRandom::new()).map_err(|_| no_random_numbers())?;
        Ok(Self { key, began: now, spent: Mutex::default() })
    }

    /// A new one for `purpose`, made at `now`. Nothing is kept of it.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new_one(&self, purpose: ChallengePurpose<'_>, now: Instant) -> Result<String, Refusal> {
        let mut challenge = [0; TIME + RANDOM + MAC];
        let (head, mac) = challenge.split_at_mut(TIME + RANDOM);
        let (time, random) = head.split_at_mut(TIME);
        time.copy_from_slice(&self.millis(now).to_be_bytes());
        aws_lc_rs::rand::fill(random).map_err(|_| no_random_numbers())?;
        mac.copy_from_slice(hmac::sign(&self.key, &signed(head, purpose)).as_ref());
        Ok(URL_SAFE_NO_PAD.encode(challenge))
    }

    /// Whether `challenge` was made here for `purpose`, or for nothing yet, and may be answered at `now`; it may not be again.
    ///
    /// # Errors
    /// Too many are spent at once.
    pub fn spend(
        &self,
        challenge: &str,
        purpose: ChallengePurpose<'_>,
        now: Instant,
    ) -> Result<bool, Refusal> {
        let Some((made, random)) = self.read(challenge, purpose) else { return Ok(false) };
        let age = self.millis(now).saturating_sub(made);
        if u128::from(age) >= LIFE.as_millis() {
            return Ok(false);
        }
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.len() >= MOST {
            spent.retain(|_, end| *end > now);
        }
        if spent.len() >= MOST && !spent.contains_key(&random) {
            let message = "too many instances join at once: try again in a minute";
            return Err(Refusal::new(Class::TooManyRequests, message));
        }
        // It ends no later than this.
        Ok(spent.insert(random, now + LIFE).is_none())
    }

    /// When it was made, and its random bytes, if it was made here for `purpose` or for nothing.
    fn read(&self, challenge: &str, purpose: ChallengePurpose<'_>) -> Option<(u64, [u8; RANDOM])> {
        let bytes: [u8; TIME + RANDOM + MAC] = URL_SAFE_NO_PAD
            .decode(challenge.as_bytes().get(..100).unwrap_or(challenge.as_bytes()))
            .ok()?
            .try_into()
            .ok()?;
        let (head, mac) = bytes.split_at(TIME + RANDOM);
        let made = [purpose, ChallengePurpose::default()].into_iter();
        made.into_iter().find(|purpose| hmac::verify(&self.key, &signed(head, *purpose), mac).is_ok())?;
        let (time, random) = head.split_at(TIME);
        Some((u64::from_be_bytes(time.try_into().ok()?), random.try_into().ok()?))
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

/// What the MAC is over; lengths keep the parts apart.
fn signed(head: &[u8], ChallengePurpose { resource, public_key }: ChallengePurpose<'_>) -> Vec<u8> {
    let mut signed = head.to_vec();
    for part in [resource, public_key] {
        signed.extend((part.len() as u64).to_be_bytes());
        signed.extend(part.as_bytes());
    }
    signed
}

fn no_random_numbers() -> Refusal {
    Refusal::new(Class::InternalServerError, "the system gives no random numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: ChallengePurpose<'_> =
        ChallengePurpose { resource: "mesh/apps/virtualNode/red", public_key: "BGsX" };

    fn challenges() -> (Challenges, Instant) {
        let now = Instant::now();
        (Challenges::new(now).expect("a key"), now + Duration::from_secs(5))
    }

    #[test]
    fn a_challenge_is_spent_once_and_in_time_and_for_what_it_was_made() {
        let (challenges, now) = challenges();
        let one = challenges.new_one(RED, now).expect("a challenge");
        let spend = |challenge: &str, purpose, now| challenges.spend(challenge, purpose, now).expect("room");
        for other in [
            ChallengePurpose { resource: "mesh/apps/virtualNode/blue", ..RED },
            ChallengePurpose { public_key: "other", ..RED },
            ChallengePurpose { resource: "mesh/apps/virtualNode/redB", public_key: "GsX" },
            ChallengePurpose::default(),
        ] {
            assert!(!spend(&one, other, now), "{other:?}");
        }
        for forged in
            ["", "other", &one[1..], &format!("A{}", &one[1..]).replacen('A', "B", 1), &one.repeat(9)]
        {
            assert!(!spend(forged, RED, now), "{forged}");
        }
        assert!(spend(&one, RED, now));
        assert!(!spend(&one, RED, now), "it is spent");
        let late = challenges.new_one(RED, now).expect("a challenge");
        assert!(one != late && !spend(&late, RED, now + LIFE), "it is too old");
        let unbound = challenges.new_one(ChallengePurpose::default(), now).expect("a challenge");
        assert!(spend(&unbound, RED, now), "of a former version");
        assert!(!spend(&unbound, RED, now));
        let elsewhere = Challenges::new(now).expect("a key").new_one(RED, now).expect("a challenge");
        assert!(!spend(&elsewhere, RED, now), "another process made it");
    }

    #[test]
    fn who_asks_for_many_takes_them_from_nobody() {
        let (challenges, now) = challenges();
        let mine = challenges.new_one(RED, now).expect("a challenge");
        for _ in 0..10_000 {
            challenges.new_one(ChallengePurpose::default(), now).expect("a challenge");
        }
        assert_eq!(challenges.spent.lock().expect("a lock").len(), 0, "nothing is kept of them");
        assert_eq!(challenges.spend(&mine, RED, now), Ok(true));
        let another = challenges.new_one(RED, now).expect("a challenge");
        assert_eq!(challenges.spend(&another, RED, now), Ok(true));
    }

    #[test]
    fn those_that_are_spent_are_bounded_until_old_ones_are_forgotten() {
        let (challenges, now) = challenges();
        for _ in 0..MOST {
            let one = challenges.new_one(RED, now).expect("a challenge");
            assert_eq!(challenges.spend(&one, RED, now), Ok(true));
        }
        let one = challenges.new_one(RED, now).expect("a challenge");
        assert_eq!(challenges.spend(&one, RED, now).expect_err("full").class, Class::TooManyRequests);
        let later = challenges.new_one(RED, now + LIFE).expect("a challenge");
        assert_eq!(challenges.spend(&later, RED, now + LIFE), Ok(true), "the old ones are forgotten");
        assert!(challenges.spent.lock().expect("a lock").len() < 10);
    }
}
