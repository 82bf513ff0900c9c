//! Whether EC2 knows the instance that joins, and gave it the role (`--verify-instances`). The client that asks EC2 is passed in; the
//! meaning of its answers, and how long they count, is decided here.
//!
//! `the session's name → EC2: this instance, of this account, starting or running → IAM: its profile holds the caller's role`
//!
//! While EC2 or IAM cannot be asked, instances that this process verified within a day pass ([`VERIFIED`]); all others wait.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fleetmesh_mesh::grant::Joined;
use fleetmesh_mesh::refusal::{Class, Refusal};
use futures::future::BoxFuture;

/// How long an instance that was verified is not asked about again.
const FRESH: Duration = Duration::from_secs(60);
/// How long one that was refused is not asked about again: EC2 shows new instances a moment late.
const REFUSED: Duration = Duration::from_secs(5);
/// How long an instance that was verified passes while EC2 cannot be asked.
const VERIFIED: Duration = Duration::from_secs(24 * 60 * 60);
/// How long EC2 and IAM may take together.
const LIMIT: Duration = Duration::from_secs(10);
/// Instances that are remembered as verified; the one that was verified first makes room.
const MOST_VERIFIED: usize = 16_384;
/// Refusals that are remembered.
const MOST_REFUSED: usize = 1024;

/// An instance as EC2 and IAM describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// The account that it belongs to.
    pub account: String,
    /// Its state: `pending`, `running`, `shutting-down`, `terminated`, `stopping` or `stopped`.
    pub state: String,
    /// The names of the roles in its instance profile; none without a profile.
    pub roles: Vec<String>,
}

/// Asks EC2.
pub trait Instances: fmt::Debug + Send + Sync + 'static {
    /// The instance with this id in the account whose credentials the control plane has; `None` when there is none.
    ///
    /// # Errors
    /// In words: EC2 or IAM does not answer, or refuses.
    fn describe(&self, id: String) -> BoxFuture<'_, Result<Option<Described>, String>>;
}

/// Verifies instances. Clones share what is remembered.
#[derive(Clone, Debug)]
pub struct Verifier {
    instances: Arc<dyn Instances>,
    memory: Arc<Mutex<InstanceMemory>>,
}

impl Verifier {
    /// Asks `instances`, and has asked nothing yet.
    pub fn new(instances: Arc<dyn Instances>) -> Self {
        Self { instances, memory: Arc::default() }
    }

    /// Whether the instance of `joined` need not be asked about, and what is known of it.
    pub(super) fn recall(&self, joined: &Joined, now: Instant) -> Option<Result<(), String>> {
        self.memory().recall(&key(joined)?, now)
    }

    /// Asks whether `joined` is an instance that has its role.
    ///
    /// # Errors
    /// `Forbidden`: it is not. `ServiceUnavailable`: nobody can be asked, and it was not verified before.
    pub(super) async fn check(&self, joined: &Joined) -> Result<(), Refusal> {
        let forbidden = |reason: String| Refusal::new(Class::Forbidden, reason);
        let Some(key) = key(joined) else {
            return Err(forbidden(format!(
                "the role's session {:.64} is not named after an instance (--verify-instances)",
                joined.session
            )));
        };
        let asked = tokio::time::timeout(LIMIT, self.instances.describe(key.instance.clone())).await;
        let asked = asked.unwrap_or_else(|_| Err(format!("no answer within {LIMIT:?}")));
        let now = Instant::now();
        match asked {
            Ok(described) => {
                let verdict = judge(joined, &key.instance, described.as_ref());
                self.memory().note(key, verdict.clone(), now);
                verdict.map_err(forbidden)
            }
            Err(why) if self.memory().was_verified(&key, now) => {
                tracing::warn!(instance = key.instance, %why, "EC2 cannot be asked: the instance passes because it was verified within a day");
                Ok(())
            }
            Err(why) => Err(Refusal::new(
                Class::ServiceUnavailable,
                format!(
                    "EC2 cannot be asked about the instance {} (--verify-instances): {why}",
                    key.instance
                ),
            )),
        }
    }

    fn memory(&self) -> MutexGuard<'_, InstanceMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is verified: that an instance has a role. Account and role are those of STS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct InstanceKey {
    instance: String,
    account: String,
    role: String,
}

fn key(joined: &Joined) -> Option<InstanceKey> {
    let instance = joined.instance()?.to_owned();
    Some(InstanceKey { instance, account: joined.account.clone(), role: joined.role.clone() })
}

fn judge(joined: &Joined, id: &str, described: Option<&Described>) -> Result<(), String> {
    let Some(Described { account, state, roles }) = described else {
        return Err(format!(
            "EC2 shows no instance {id} in the account and region of the control plane (--verify-instances)"
        ));
    };
    if *account != joined.account {
        return Err(format!(
            "the instance {id} belongs to the account {account}, and the role to {}",
            joined.account
        ));
    }
    if !matches!(state.as_str(), "pending" | "running") {
        return Err(format!("the instance {id} is {state}"));
    }
    if !roles.contains(&joined.role) {
        let role = joined.role_arn();
        return Err(format!("the instance {id} has no instance profile with the role {role}"));
    }
    Ok(())
}

/// What EC2 said. Pure: the time is passed in.
#[derive(Debug, Default)]
struct InstanceMemory {
    verified: HashMap<InstanceKey, Instant>,
    /// Apart, so that whoever makes up instances drives out nobody who is one.
    refused: HashMap<InstanceKey, (Instant, String)>,
}

impl InstanceMemory {
    fn recall(&self, key: &InstanceKey, now: Instant) -> Option<Result<(), String>> {
        let within = |since: &Instant, limit| now.saturating_duration_since(*since) < limit;
        if let Some((_, reason)) = self.refused.get(key).filter(|(since, _)| within(since, REFUSED)) {
            return Some(Err(reason.clone()));
        }
        self.verified.get(key).filter(|since| within(since, FRESH)).map(|_| Ok(()))
    }

    fn was_verified(&self, key: &InstanceKey, now: Instant) -> bool {
        let since = self.verified.get(key);
        since.is_some_and(|since| now.saturating_duration_since(*since) < VERIFIED)
    }

    fn note(&mut self, key: InstanceKey, verdict: Result<(), String>, now: Instant) {
        match verdict {
            Ok(()) => {
                self.refused.remove(&key);
                self.make_room(&key, now);
                self.verified.insert(key, now);
            }
            Err(reason) => {
                self.verified.remove(&key);
                if self.refused.len() >= MOST_REFUSED {
                    self.refused.clear();
                }
                self.refused.insert(key, (now, reason));
            }
        }
    }

    fn make_room(&mut self, key: &InstanceKey, now: Instant) {
        if self.verified.len() < MOST_VERIFIED || self.verified.contains_key(key) {
            return;
        }
        self.verified.retain(|_, since| now.saturating_duration_since(*since) < VERIFIED);
        if self.verified.len() >= MOST_VERIFIED {
            let first = self.verified.iter().min_by_key(|(_, since)| **since).map(|(key, _)| key.clone());
            first.map(|first| self.verified.remove(&first));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use fleetmesh_mesh::testing::session;

    const INSTANCE: &str = "i-0123456789abcdef0";

    /// EC2 of a test: what it answers next.
    #[derive(Debug)]
    struct Ec2(Mutex<Result<Option<Described>, String>>);

    impl Instances for Ec2 {
        fn describe(&self, _: String) -> BoxFuture<'_, Result<Option<Described>, String>> {
            let answer = self.0.lock().expect("no panic").clone();
            Box::pin(async { answer })
        }
    }

    fn described(account: &str, state: &str, roles: &[&str]) -> Described {
        let own = |text: &&str| (*text).to_owned();
        Described { account: account.into(), state: state.into(), roles: roles.iter().map(own).collect() }
    }

    #[test]
    fn only_an_instance_that_runs_in_the_account_with_the_role_is_one() {
        const ACCOUNT: &str = "123456789012";
        let judge = |found: Option<Described>| judge(&session(INSTANCE), INSTANCE, found.as_ref());
        for state in ["pending", "running"] {
            assert_eq!(judge(Some(described(ACCOUNT, state, &["apps-serviceB"]))), Ok(()));
        }
        for (found, words) in [
            (None, "EC2 shows no instance i-0123456789abcdef0"),
            (
                Some(described("999999999999", "running", &["apps-serviceB"])),
                "belongs to the account 999999999999",
            ),
            (Some(described(ACCOUNT, "terminated", &["apps-serviceB"])), "is terminated"),
            (Some(described(ACCOUNT, "stopped", &["apps-serviceB"])), "is stopped"),
            (Some(described(ACCOUNT, "", &["apps-serviceB"])), "is "),
            (Some(described(ACCOUNT, "running", &["apps-serviceC"])), "no instance profile with the role"),
            (Some(described(ACCOUNT, "running", &[])), "no instance profile with the role"),
        ] {
            let reason = judge(found).expect_err(words);
            assert!(reason.contains(words), "{reason}");
        }
    }

    #[tokio::test]
    async fn while_ec2_is_away_only_those_pass_whom_it_verified() {
        let good = Ok(Some(described("123456789012", "running", &["apps-serviceB"])));
        let ec2 = Arc::new(Ec2(Mutex::new(good)));
        let verifier = Verifier::new(Arc::clone(&ec2) as _);
        let (known, unknown) = (session(INSTANCE), session("i-89abcdef"));
        assert!(verifier.check(&known).await.is_ok());
        *ec2.0.lock().expect("no panic") = Err("a fault of EC2".into());
        assert!(verifier.check(&known).await.is_ok(), "its renewals go on");
        let other_role = Joined { role: "apps-serviceC".into(), ..known.clone() };
        for other in [&unknown, &other_role] {
            let refusal = verifier.check(other).await.expect_err("nobody verified it");
            assert_eq!(refusal.class, Class::ServiceUnavailable);
            assert!(refusal.message.contains("a fault of EC2"), "{}", refusal.message);
        }
        // Its last word counts: the instance ended before EC2 went away.
        *ec2.0.lock().expect("no panic") = Ok(None);
        assert_eq!(verifier.check(&known).await.expect_err("gone").class, Class::Forbidden);
        *ec2.0.lock().expect("no panic") = Err("a fault of EC2".into());
        assert_eq!(verifier.check(&known).await.expect_err("gone").class, Class::ServiceUnavailable);
        let person = verifier.check(&session("somebody")).await.expect_err("no instance");
        assert_eq!(person.class, Class::Forbidden);
    }

    #[test]
    fn answers_are_remembered_for_their_time_and_within_bounds() {
        let (mut memory, now) = (InstanceMemory::default(), Instant::now());
        let key = |number: usize| InstanceKey {
            instance: format!("i-{number:08x}"),
            account: String::new(),
            role: String::new(),
        };
        let after = |seconds| now + Duration::from_secs(seconds);
        memory.note(key(0), Ok(()), now);
        assert_eq!(memory.recall(&key(0), after(59)), Some(Ok(())));
        assert_eq!(memory.recall(&key(0), after(60)), None, "EC2 is asked again");
        assert!(memory.was_verified(&key(0), after(86_399)) && !memory.was_verified(&key(0), after(86_400)));
        let no = || Err("no".to_owned());
        for number in 1..3 * MOST_REFUSED {
            memory.note(key(number), no(), now);
        }
        assert!(memory.refused.len() <= MOST_REFUSED);
        assert_eq!(memory.recall(&key(0), now), Some(Ok(())), "made-up instances drive out nobody");
        assert_eq!(memory.recall(&key(3 * MOST_REFUSED - 1), after(4)), Some(no()));
        assert_eq!(memory.recall(&key(3 * MOST_REFUSED - 1), after(5)), None);
        memory.note(key(0), no(), now);
        assert!(!memory.was_verified(&key(0), now));
        for number in 0..MOST_VERIFIED + 2 {
            memory.note(key(number), Ok(()), now + Duration::from_millis(number as u64));
        }
        assert_eq!(memory.verified.len(), MOST_VERIFIED);
        assert!(
            !memory.was_verified(&key(1), now) && memory.was_verified(&key(2), now),
            "the first make room"
        );
        memory.note(key(MOST_VERIFIED + 2), Ok(()), after(2 * 86_400));
        assert_eq!(memory.verified.len(), 1, "what is too old goes");
    }
}
