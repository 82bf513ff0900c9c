//! What is seen of the world before a decision about a rollout. Every "not known" is a value of its own. Pure data.

use std::collections::BTreeMap;

use fleetmesh_api::distribution::ObjectStatus;
use fleetmesh_crds::Verb;
use fleetmesh_crds::canary::WebhookAnswer;
use fleetmesh_model::route::WeightedTarget;
use jiff::Timestamp;

use crate::load::Loads;
use crate::observed::Distribution;

/// Everything that a decision depends on beside spec and state.
#[derive(Clone, Debug, PartialEq)]
pub struct Observations {
    /// Since when this process decides without a gap: its start, or when it became the leader. What windows saw before
    /// does not count.
    pub since: Timestamp,
    /// The App Mesh route at the endpoint.
    pub endpoint: ReportingEndpoint,
    /// The VirtualNode resources of the mesh that are of interest ([`super::nodes_of_interest`]), by App Mesh name; a
    /// node without a resource is absent.
    pub nodes: BTreeMap<String, Node>,
    /// What the proxies report.
    pub loads: ProxyReports,
    /// Whose the virtual nodes are whose proxies speak.
    pub owners: Owners,
    /// What queries gave, newest or all; those that are not asked for any more do no harm.
    pub samples: Vec<Sample>,
    /// What webhooks answered, newest or all; as above.
    pub answers: Vec<WebhookReply>,
    /// The RouteActions for the Route that have no status yet, the oldest first.
    pub actions: Vec<Action>,
}

/// The App Mesh route at the endpoint.
#[expect(clippy::large_enum_variant, reason = "a decision holds one")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportingEndpoint {
    /// It could not be read: nothing is known.
    Unread,
    /// It does not exist yet.
    Absent,
    /// It exists, as it was read or as our last write left it.
    Has {
        /// Its targets.
        targets: Vec<WeightedTarget>,
        /// Its version.
        version: i64,
        /// How far it got among the proxies.
        distribution: Distribution,
    },
}

/// A VirtualNode resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Whether it has a healthy endpoint.
    pub health: Health,
    /// Whether something else than this Route needs it: another route's targets, or a virtual service.
    pub used_elsewhere: bool,
    /// Whether it says `Deprecated=True`.
    pub deprecated: bool,
    /// `spec.fleet.replicas`; `None` without a fleet.
    pub replicas: Option<i32>,
    /// Whether its deletion was asked for.
    pub deleting: bool,
    /// Whether it is of another namespace than the Route, which does not let the Route retire it.
    pub off_limits: bool,
}

/// Whether a virtual node has a healthy endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It is not known: the endpoint does not report it, or the node has no proxies of its own.
    #[default]
    Unknown,
    /// It has none.
    None,
    /// It has at least one.
    Some,
}

impl Health {
    /// What the distribution of a virtual node says about its endpoints: one of its own proxies that is connected and has
    /// acknowledged everything serves. Without any, `expects_proxies` (the node has a fleet, or had proxies before) distinguishes
    /// a node that is down from one that never had a proxy and may serve without.
    pub fn of(distribution: &Distribution, expects_proxies: bool) -> Self {
        match distribution {
            Distribution::Unsupported | Distribution::Pending => Self::Unknown,
            Distribution::Reported(ObjectStatus { connected, .. })
                if connected.values().any(|acknowledged| *acknowledged) =>
            {
                Self::Some
            }
            Distribution::Reported(ObjectStatus { connected, .. })
                if connected.is_empty() && !expects_proxies =>
            {
                Self::Unknown
            }
            Distribution::Reported(_) => Self::None,
        }
    }
}

/// Whose virtual nodes are: who speaks by their proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// The Route's own namespace.
    pub own: String,
    /// The namespaces of the resources that stand for virtual nodes, by App Mesh name. A node without a resource is missing.
    pub namespaces: BTreeMap<String, String>,
}

/// Who speaks by the proxies of a virtual node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetOwner<'a> {
    /// Whoever writes into this namespace.
    Namespace(&'a str),
    /// Whoever made the virtual nodes that no resource stands for, by the AWS CLI or in another cluster: all of them together,
    /// because they may all belong to one person.
    Nobody,
}

impl Owners {
    /// Whose `node` is.
    pub fn of<'a>(&'a self, node: &'a str) -> TargetOwner<'a> {
        self.namespaces.get(node).map_or(TargetOwner::Nobody, |namespace| TargetOwner::Namespace(namespace))
    }
}

/// What the proxies report of their requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyReports {
    /// The endpoint does not report them.
    Unsupported,
    /// The endpoint has not been asked yet, or does not answer.
    Pending,
    /// The answer to a question for a window of `analysis.interval`.
    Reported {
        /// When the window ended.
        at: Timestamp,
        /// What was counted.
        loads: Loads,
    },
}

/// What a query gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub metric: String,
    /// The time that the query was about.
    pub at: Timestamp,
    /// What it gave.
    pub outcome: AskOutcome,
}

/// What a query gave.
#[derive(Clone, Debug, PartialEq)]
pub enum AskOutcome {
    /// A number; one that is not finite counts as none.
    Value(f64),
    /// No number: an empty result.
    NoData,
    /// The source could not be asked; why, without a secret.
    Error(String),
}

/// What a webhook answered to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookReply {
    /// The webhook's name in effect.
    pub webhook: String,
    /// The rollout that it was asked about.
    pub rollout_id: String,
    /// The step that it was asked about.
    pub step_index: i32,
    /// When it answered.
    pub at: Timestamp,
    /// What it answered.
    pub answer: WebhookAnswer,
    /// Its own words, shortened and without a secret, when there is more to say.
    pub detail: Option<String>,
}

/// A RouteAction that has no status yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// What is to be done.
    pub verb: Verb,
    /// The rollout that is meant.
    pub rollout_id: String,
    /// The step that is meant, when it matters.
    pub step_index: Option<i32>,
}
