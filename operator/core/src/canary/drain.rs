//! Targets that lost their last request: the rollout waits for their requests in flight, then deprecates and retires the virtual
//! nodes that a promotion replaced. Pure.

use std::collections::BTreeSet;

use fleetmesh_crds::Reason;
use fleetmesh_crds::canary::{DrainStatus, Phase, Retire};
use jiff::Timestamp;

use super::history;
use super::observations::{Node, ProxyReports};
use super::reducer::{Reducer, under_way};
use super::reduction::CanaryEffect;
use super::state::in_effect;
use super::targets::serving_nodes;
use super::time::{after, before, micro};
use super::transition::CanaryTrigger;
use crate::event::Severity;

impl Reducer<'_> {
    /// Goes on with everything that drains or retires.
    pub fn go_on_draining(&mut self) {
        let mut draining = std::mem::take(&mut self.state.draining);
        let before = draining.clone();
        for drain in &mut draining {
            self.wait_for_requests(drain);
            if drain.drained_at.is_some() && drain.retires {
                self.retire(drain);
            }
        }
        let window = window(&self.state.history, self.canary.rollback_revisions());
        let window: BTreeSet<String> = window.into_iter().map(str::to_owned).collect();
        draining
            .retain(|drain| !self.is_over(drain) || window.contains(&drain.virtual_node) && drain.retires);
        let drained = draining.iter().all(|drain| drain.drained_at.is_some());
        let news = before.len() != draining.len() || before != draining;
        self.state.draining = draining;
        if self.phase() == Phase::Draining && drained {
            self.fire(CanaryTrigger::Drained);
        }
        // During a rollout the next step's weights take drained targets out, so that none is written for that alone.
        if news && self.rollout().is_none() {
            self.change(in_effect);
        }
        self.clear_deprecated();
    }

    /// A target is drained when every proxy gave it weight 0 and none has a request to its node in flight, or when each of the
    /// two was waited for long enough.
    fn wait_for_requests(&mut self, drain: &mut DrainStatus) {
        if drain.drained_at.is_some() {
            return;
        }
        if drain.settled_at.is_none() {
            drain.settled_at =
                self.settled_at().filter(|_| self.runs_without(drain)).map(|_| micro(self.now));
        }
        let Some(settled) = drain.settled_at.as_ref().map(|settled| settled.0) else { return };
        let timeout = after(settled, self.canary.effective_drain().timeout());
        let in_flight = self.in_flight(&drain.virtual_node, settled);
        if in_flight != Some(0) && timeout > self.now {
            self.look(timeout);
            self.look(after(self.now, self.analysis.interval()));
            return;
        }
        drain.drained_at = Some(micro(self.now));
        let words = match in_flight {
            Some(0) => "has no request in flight".to_owned(),
            Some(left) => format!("still has {left} requests in flight after the drain timeout"),
            None => "has reached the drain timeout; nobody reports its requests in flight".to_owned(),
        };
        self.event(Severity::Normal, Reason::Drained, "Drain", format!("{} {words}", drain.virtual_node));
    }

    /// Whether the proxies give `drain` weight 0: all, or, once the drain's timeout has passed, all but some that may not hold up
    /// the others. Without the second, one proxy of whoever calls the service could keep the old instances running for ever.
    fn runs_without(&mut self, drain: &DrainStatus) -> bool {
        let Some((reason, detail)) = self.missing() else { return true };
        if self.unsettled().is_some() {
            return false;
        }
        let patience = after(drain.since.0, self.canary.effective_drain().timeout());
        if patience > self.now {
            self.look(patience);
            return false;
        }
        let message = format!("{} drains without some: {detail}", drain.virtual_node);
        self.event(Severity::Warning, reason, "Drain", message);
        true
    }

    /// The requests to a node in flight, as reported in a full window since `settled`; `None` when nobody reports them.
    fn in_flight(&self, node: &str, settled: Timestamp) -> Option<u64> {
        let ProxyReports::Reported { at, loads } = &self.seen.loads else { return None };
        let full = loads.observed >= loads.window && before(*at, loads.window) >= settled;
        let load = loads.targets.get(node).filter(|load| full && load.reports > 0)?;
        Some(load.in_progress)
    }

    /// Deprecates the node, and after the delay takes its instances away, as the spec wants it.
    fn retire(&mut self, drain: &mut DrainStatus) {
        let now = micro(self.now);
        let Some(node) = self.seen.nodes.get(&drain.virtual_node).copied() else {
            // No resource stands for it: there is nothing to mark, scale or delete.
            drain.deprecated_at.get_or_insert_with(|| now.clone());
            drain.retired_at.get_or_insert(now);
            return;
        };
        if node.used_elsewhere || self.serves(&drain.virtual_node) {
            return;
        }
        if node.off_limits {
            return self.leave_alone(drain);
        }
        if drain.deprecated_at.is_none() {
            if node.deprecated {
                drain.deprecated_at = Some(now);
                let message = format!("{} is deprecated", drain.virtual_node);
                self.event(Severity::Normal, Reason::Replaced, "Deprecate", message);
            } else {
                let message = format!(
                    "a rollout moved its requests to {}",
                    super::targets::in_short(&self.state.stable_targets)
                );
                let virtual_node = drain.virtual_node.clone();
                self.effects.push(CanaryEffect::Deprecate { virtual_node, deprecated: true, message });
                return;
            }
        }
        self.take_instances(drain, node);
    }

    /// The node belongs to somebody who did not agree: not even a condition of it is touched.
    fn leave_alone(&mut self, drain: &mut DrainStatus) {
        drain.retires = false;
        let message = format!(
            "{} is of another namespace and is left alone: its spec.allowedRetirement does not allow this Route's namespace",
            drain.virtual_node
        );
        let severity = match self.canary.effective_drain().retire() {
            Retire::Deprecate => Severity::Normal,
            Retire::ScaleToZero | Retire::Delete => Severity::Warning,
        };
        self.event(severity, Reason::RetirementNotAllowed, "Retire", message);
    }

    fn take_instances(&mut self, drain: &mut DrainStatus, node: Node) {
        let retire = self.canary.effective_drain().retire();
        let drained = drain.drained_at.as_ref().map_or(self.now, |drained| drained.0);
        let due = after(drained, self.canary.effective_drain().scale_down_delay());
        if drain.retired_at.is_some() || retire == Retire::Deprecate || self.is_named(drain) {
            return;
        }
        if due > self.now {
            return self.look(due);
        }
        let virtual_node = drain.virtual_node.clone();
        let (done, effect) = match retire {
            Retire::Deprecate => return,
            Retire::ScaleToZero => (
                node.replicas.unwrap_or(0) == 0,
                CanaryEffect::ScaleToZero { virtual_node: virtual_node.clone() },
            ),
            Retire::Delete => (node.deleting, CanaryEffect::Delete { virtual_node: virtual_node.clone() }),
        };
        if done {
            drain.retired_at = Some(micro(self.now));
            let words = if retire == Retire::Delete { "is deleted" } else { "has no instances any more" };
            self.event(Severity::Normal, Reason::Retired, "Retire", format!("{virtual_node} {words}"));
        } else {
            self.effects.push(effect);
        }
    }

    /// Whether nothing has to be remembered of it any more, apart from the rollback window.
    fn is_over(&self, drain: &DrainStatus) -> bool {
        let retires = match self.canary.effective_drain().retire() {
            Retire::Deprecate => false,
            Retire::ScaleToZero | Retire::Delete => !self.is_named(drain),
        };
        drain.drained_at.is_some()
            && (!drain.retires || drain.deprecated_at.is_some() && (drain.retired_at.is_some() || !retires))
    }

    /// Whether the spec still names the node, with weight 0: then it keeps its instances.
    fn is_named(&self, drain: &DrainStatus) -> bool {
        self.spec.targets.iter().any(|target| target.virtual_node == drain.virtual_node)
    }

    fn serves(&self, node: &str) -> bool {
        let rolling =
            under_way(&self.state).is_some_and(|rollout| serving_nodes(&rollout.targets).contains(node));
        rolling || serving_nodes(&self.state.stable_targets).contains(node)
    }

    /// A node that serves, or is about to, is not deprecated.
    fn clear_deprecated(&mut self) {
        let serving = self.seen.nodes.iter().filter(|(name, node)| node.deprecated && self.serves(name));
        let serving = serving.filter(|(_, node)| !node.off_limits);
        let effects: Vec<CanaryEffect> = serving
            .map(|(name, _)| CanaryEffect::Deprecate {
                virtual_node: name.clone(),
                deprecated: false,
                message: "it is a target again".to_owned(),
            })
            .collect();
        self.effects.extend(effects);
    }

    /// The virtual nodes whose resources must not go: what is or may at once be in force again.
    pub fn keep(&self) -> BTreeSet<String> {
        let state = &self.state;
        let rollout = state.rollout.iter().flat_map(|rollout| &rollout.targets);
        let targets = state.effective_targets.iter().chain(&state.stable_targets).chain(rollout);
        let draining = state.draining.iter().filter(|drain| drain.drained_at.is_none());
        let window = window(&state.history, self.canary.rollback_revisions());
        let retired = |node: &str| {
            state.draining.iter().any(|drain| drain.virtual_node == node && drain.retired_at.is_some())
        };
        let names = targets
            .map(|target| target.virtual_node.as_str())
            .chain(draining.map(|drain| drain.virtual_node.as_str()))
            .chain(window.into_iter().filter(|node| !retired(node)));
        names.map(str::to_owned).collect()
    }
}

/// The nodes of the rollback window.
fn window(history: &[fleetmesh_crds::canary::HistoryEntry], revisions: usize) -> BTreeSet<&str> {
    history::revisions(history, revisions).into_iter().flat_map(serving_nodes).collect()
}
