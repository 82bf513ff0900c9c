//! The result of a decision about a rollout: the state to write, and the effects that follow. Pure data.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use fleetmesh_crds::canary::{Phase, WebhookType};
use fleetmesh_crds::{ActionPhase, CanaryStatus, ConditionType, Reason};
use jiff::Timestamp;

use super::observations::Action;
use super::transition::CanaryTrigger;
use crate::condition::Finding;
use crate::event::Event;

/// A decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduction {
    /// The state to write into the Route's status, before anything else is done. Empty for a route without `canary`:
    /// the spec's targets are in force then.
    pub state: CanaryStatus,
    /// What is to be done, in order. Events come before the status is written, because it makes them unrepeatable;
    /// everything else after.
    pub effects: Vec<CanaryEffect>,
    /// The conditions that are about the rollout; empty for a route without `canary`.
    pub conditions: Vec<(ConditionType, Finding)>,
    /// What became of the actions.
    pub verdicts: Vec<ActionVerdict>,
    /// The virtual nodes, by App Mesh name, whose resources must not be deleted now.
    pub keep: BTreeSet<String>,
    /// When to decide again if nothing changes before; `None` when only a change matters. It is after the decision.
    pub look: Option<Timestamp>,
    /// What moved the route from the phase before to that of `state`, in order: see [`transition`](super::transition()).
    pub triggers: Vec<CanaryTrigger>,
}

/// Something to do. Apart from Events, an effect comes again with each decision until what it asks for is observed.
#[derive(Clone, Debug, PartialEq)]
pub enum CanaryEffect {
    /// Record an Event.
    Event(Event),
    /// Send an Event to a webhook of type `event`. Nobody waits for its answer.
    Notify {
        /// The webhook.
        call: WebhookCall,
        /// The Event.
        event: Event,
    },
    /// Ask a webhook; the answer is an observation of the next decision.
    Ask(WebhookCall),
    /// Ask a Prometheus; the sample is an observation of the next decision.
    Query {
        /// The metric's name.
        metric: String,
        /// Where the server is.
        at: Destination,
        /// The query.
        query: String,
    },
    /// Set or clear the condition `Deprecated` of a VirtualNode.
    Deprecate {
        /// Its App Mesh name.
        virtual_node: String,
        /// Whether it is deprecated.
        deprecated: bool,
        /// Why, for the condition's message.
        message: String,
    },
    /// Set `spec.fleet.replicas` of a VirtualNode to 0.
    ScaleToZero {
        /// Its App Mesh name.
        virtual_node: String,
    },
    /// Delete a VirtualNode resource.
    Delete {
        /// Its App Mesh name.
        virtual_node: String,
    },
}

/// Where somebody is who is asked: what the Route says of it.
#[derive(Clone, PartialEq, Eq)]
pub enum Destination {
    /// Where a provider says.
    Provider {
        /// The provider's name.
        name: String,
        /// A path below its address.
        path: Option<String>,
    },
    /// At this address. It may hold what is nobody's business: not to be logged.
    Address(String),
}

impl Destination {
    /// Of the members of a source or a webhook, of which the API server lets in one only.
    pub fn of(provider: Option<&String>, path: Option<&String>, address: Option<&String>) -> Self {
        match provider {
            Some(name) => Self::Provider { name: name.clone(), path: path.cloned() },
            None => Self::Address(address.cloned().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider { name, .. } => write!(f, "Provider({name})"),
            Self::Address(_) => f.write_str("Address"),
        }
    }
}

/// A call of a webhook: what its body contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookCall {
    /// Its name in effect.
    pub webhook: String,
    /// Its type.
    pub type_: WebhookType,
    /// Where it is.
    pub at: Destination,
    /// How long it may take.
    pub timeout: Duration,
    /// The rollout.
    pub rollout_id: String,
    /// The step in force.
    pub step_index: i32,
    /// How far the weights are on their way, in percent.
    pub set_weight: i32,
    /// Where the route is on its way.
    pub phase: Phase,
}

/// What became of an action: its status, to be written after the Route's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionVerdict {
    /// `metadata.name` of the RouteAction.
    pub name: String,
    /// Its `metadata.uid`.
    pub uid: String,
    /// What became of it.
    pub phase: ActionPhase,
    /// Why.
    pub reason: Reason,
    /// The same in words.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

impl ActionVerdict {
    /// The action is not carried out.
    pub fn refused(action: &Action, reason: Reason, message: impl Into<String>, at: Timestamp) -> Self {
        Self {
            name: action.name.clone(),
            uid: action.uid.clone(),
            phase: ActionPhase::Refused,
            reason,
            message: message.into(),
            at,
        }
    }
}

impl fmt::Display for CanaryEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => write!(f, "event {}: {}", event.reason, event.message),
            Self::Notify { call, event } => write!(f, "notify {} of {}", call.webhook, event.reason),
            Self::Ask(call) => write!(f, "ask {}", call.webhook),
            Self::Query { metric, .. } => write!(f, "query {metric}"),
            Self::Deprecate { virtual_node, deprecated: true, .. } => write!(f, "deprecate {virtual_node}"),
            Self::Deprecate { virtual_node, .. } => write!(f, "take {virtual_node} back"),
            Self::ScaleToZero { virtual_node } => write!(f, "scale {virtual_node} to zero"),
            Self::Delete { virtual_node } => write!(f, "delete {virtual_node}"),
        }
    }
}
