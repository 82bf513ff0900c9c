//! What a load client counted, by phase and by who answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Reasons of failures are kept apart up to this number; the rest share one.
const REASONS: usize = 20;

/// The phases so far, in order; the last is the current one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The phases.
    pub phases: Vec<LoadPhase>,
}

/// Requests that started while a phase was the current one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LoadPhase {
    /// The name it was given.
    pub name: String,
    /// Requests started.
    pub started: u64,
    /// Successful answers by the name of who gave them.
    pub responders: BTreeMap<String, u64>,
    /// Failed requests by reason.
    pub failures: BTreeMap<String, u64>,
}

impl Tally {
    /// The current phase.
    #[must_use]
    pub fn current(&self) -> Option<&LoadPhase> {
        self.phases.last()
    }

    /// The phase of this name; an empty one when there is none.
    #[must_use]
    pub fn phase(&self, name: &str) -> LoadPhase {
        let found = self.phases.iter().find(|phase| phase.name == name).cloned();
        found.unwrap_or_else(|| LoadPhase { name: name.to_owned(), ..LoadPhase::default() })
    }

    /// Failed requests of all phases.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.phases.iter().map(LoadPhase::failed).sum()
    }

    /// Requests of all phases that got a successful answer.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.phases.iter().map(LoadPhase::answered).sum()
    }
}

impl LoadPhase {
    /// Successful answers.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.responders.values().sum()
    }

    /// Failed requests.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Successful answers that `responder` gave.
    #[must_use]
    pub fn by(&self, responder: &str) -> u64 {
        self.responders.get(responder).copied().unwrap_or_default()
    }

    /// Counts one end of a request.
    pub fn count(&mut self, outcome: Result<String, String>) {
        let (counts, key) = match outcome {
            Ok(responder) => (&mut self.responders, responder),
            Err(reason) if self.failures.len() < REASONS || self.failures.contains_key(&reason) => {
                (&mut self.failures, reason)
            }
            Err(_) => (&mut self.failures, "other reasons".to_owned()),
        };
        *counts.entry(key).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_keeps_reasons_bounded_and_loses_none() {
        let mut phase = LoadPhase::default();
        for reason in 0..100 {
            phase.count(Err(format!("reason {reason}")));
        }
        phase.count(Ok("serviceB".to_owned()));
        assert_eq!(phase.failed(), 100);
        assert_eq!(phase.failures.len(), REASONS + 1);
        assert_eq!((phase.answered(), phase.by("serviceB"), phase.by("serviceBv2")), (1, 1, 0));
    }
}
