//! Who is asked, or notified, over HTTP. Pure data and its rules.

use std::time::Duration;

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::{add_rule, exactly_one_of, plain_enum};
use kube_core::Duration as DurationText;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::analysis::NAME_PATTERN;
use super::duration::up_to_1_minute;

/// The most webhooks of a route.
pub const MAX_WEBHOOKS: usize = 10;

/// A path in which no name is `.` or `..`: RE2 has no way to say "not these", so a name has another character than a dot.
const PATH: &str = r"^(/[A-Za-z0-9._~-]*[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$";

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) const NAMES_ONCE: Rule = Rule {
    cel: "self.all(a, self.exists_one(b, (has(a.name) ? a.name : a.type) == (has(b.name) ? b.name : b.type)))",
    message: "webhooks must have different names; the type stands for a name that is absent",
};

pub(crate) const PATH_OF_A_PROVIDER: Rule =
    Rule { cel: "!has(self.path) || has(self.provider)", message: "path must be set with provider only" };

fn rules(schema: &mut Schema) {
    exactly_one_of(schema, &["provider", "url"]);
    add_rule(schema, &PATH_OF_A_PROVIDER);
}

/// Somebody who is asked, or notified, over HTTP: a POST with a JSON body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules)]
pub struct Webhook {
    /// The webhook's name, unique in the route: 1 to 63 lower-case letters, digits and dashes; its type when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NAME_PATTERN))]
    pub name: Option<String>,
    /// A path below the provider's address, at most 512 characters: `/` and names of letters, digits, `-`, `_`, `~` and
    /// dots. Only where the provider has `allowPath`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = PATH))]
    pub path: Option<String>,
    /// The name of a WebhookProvider that allows the Route's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub provider: Option<String>,
    /// How long an answer may take, 1s to 1m; 10s when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = up_to_1_minute)]
    pub timeout: Option<DurationText>,
    /// When it is called, and what its answer means.
    #[serde(rename = "type")]
    pub type_: WebhookType,
    /// Where, without user, query and fragment; at most 2048 characters. Whoever may read the resource can read it: no
    /// secret belongs here. Only where the operator runs with `--canary-direct-addresses`, as `address` of a metric's
    /// source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^https?://[^\s]+$"))]
    pub url: Option<String>,
}

impl Webhook {
    /// The name in effect.
    pub fn effective_name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.type_.as_str())
    }

    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        self.timeout.map_or(DEFAULT_TIMEOUT, Duration::from)
    }
}

/// When a webhook is called, and what its answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = plain_enum)]
pub enum WebhookType {
    /// Before the new targets get their first request: it must agree.
    ConfirmRollout,
    /// Before each greater weight: it must agree.
    ConfirmTrafficIncrease,
    /// After the last step, before the new targets are the stable ones: it must agree.
    ConfirmPromotion,
    /// With each analysis: when it agrees, the rollout is rolled back.
    Rollback,
    /// With each Event of the rollout; nobody waits for its answer.
    Event,
}

impl WebhookType {
    /// The word in the spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfirmRollout => "confirm-rollout",
            Self::ConfirmTrafficIncrease => "confirm-traffic-increase",
            Self::ConfirmPromotion => "confirm-promotion",
            Self::Rollback => "rollback",
            Self::Event => "event",
        }
    }
}
