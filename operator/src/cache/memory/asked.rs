//! What the queries and webhooks of a route's rollout answered, and which of them are being asked. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use fleetmesh_core::Object;
use fleetmesh_core::canary::{Sample, WebhookReply};

use super::MemoryKey;
use crate::cache::{Cache, CacheInner};

/// What was asked for one route.
#[derive(Debug, Default)]
pub struct RolloutAsked {
    samples: BTreeMap<String, Sample>,
    answers: BTreeMap<String, WebhookReply>,
    under_way: BTreeSet<String>,
}

/// What an asked source gave.
#[derive(Debug)]
pub enum Gave {
    /// A query's sample.
    Sample(Sample),
    /// A webhook's answer.
    Answer(WebhookReply),
}

impl Cache {
    /// What the queries and webhooks of a route answered last.
    pub fn answered(&self, route: &Object) -> (Vec<Sample>, Vec<WebhookReply>) {
        let inner = self.lock();
        let route = inner.entries.of(&route.into()).and_then(|entry| entry.memory.route());
        let Some(asked) = route.map(|route| &route.asked) else { return Default::default() };
        (asked.samples.values().cloned().collect(), asked.answers.values().cloned().collect())
    }

    /// Whether `what` may be asked for the route now; not while it is being asked already, nor once the route is gone. One of
    /// [`Self::answer`] and [`Self::unanswered`] must follow.
    pub fn begin_to_ask(&self, route: &MemoryKey, what: &str) -> bool {
        self.lock().asked(route).is_some_and(|asked| asked.under_way.insert(what.to_owned()))
    }

    /// What was asked has answered. Nobody hears it once the route is gone.
    pub fn answer(&self, route: &MemoryKey, what: &str, gave: Gave) {
        let mut inner = self.lock();
        let Some(asked) = inner.asked(route) else { return };
        asked.under_way.remove(what);
        match gave {
            Gave::Sample(sample) => _ = asked.samples.insert(sample.metric.clone(), sample),
            Gave::Answer(answer) => _ = asked.answers.insert(answer.webhook.clone(), answer),
        }
    }

    /// What was asked will not answer; it may be asked again.
    pub fn unanswered(&self, route: &MemoryKey, what: &str) {
        if let Some(asked) = self.lock().asked(route) {
            asked.under_way.remove(what);
        }
    }
}

impl CacheInner {
    fn asked(&mut self, route: &MemoryKey) -> Option<&mut RolloutAsked> {
        self.entries.memory(route)?.route_mut().map(|route| &mut route.asked)
    }
}
