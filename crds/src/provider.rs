//! The kinds MetricProvider and WebhookProvider: whom rollouts may ask, and with which credentials. They belong to the
//! cluster's administrators; a Route only names one. They have no status, so they are not in the category that people wait
//! for. Pure data and its rules.

use fleetmesh_model::schema::plain_enum;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::columns::{age, text};
use crate::namespaces::AllowedNamespaces;

/// An address: scheme, host, port and path, without user, query and fragment.
const ADDRESS: &str = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$";
/// The names of Secrets.
const SECRET: &str = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
/// The keys of Secrets that are files of their own: one with a leading dot is not.
const KEY: &str = r"^[-_a-zA-Z0-9][-._a-zA-Z0-9]*$";

/// A server of metrics that rollouts may ask. Cluster-scoped: its address and its credentials are the administrators'
/// business, and Routes of the namespaces that it allows name it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "MetricProvider",
    doc = "A server of metrics that rollouts may ask. It belongs to the cluster's administrators; Routes name it.",
    derive = "PartialEq",
    shortname = "fmetric",
    crates(kube_core = "::kube_core")
)]
pub struct MetricProviderSpec {
    /// The server's address, at most 2048 characters, for example `http://prometheus.monitoring:9090`. It may be in a
    /// private network, or on loopback.
    #[schemars(length(max = 2048), regex(pattern = ADDRESS))]
    pub address: String,
    /// Which namespaces' Routes may name it.
    pub allowed_namespaces: AllowedNamespaces,
    /// The certificates (PEM) of the CAs that vouch for an https address, in place of those that the operator's image
    /// trusts; at most 65536 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65_536))]
    pub ca_bundle: Option<String>,
    /// How the operator proves itself to the server; not at all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// What the server is.
    #[serde(rename = "type")]
    pub type_: MetricProviderType,
}

/// What a server of metrics is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum MetricProviderType {
    /// A Prometheus, or whatever answers `GET /api/v1/query` below the address as one does.
    Prometheus,
}

/// A webhook that rollouts may ask or notify. Cluster-scoped, as a MetricProvider is.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "WebhookProvider",
    doc = "A webhook that rollouts may ask or notify. It belongs to the cluster's administrators; Routes name it.",
    derive = "PartialEq",
    shortname = "fmwebhook",
    crates(kube_core = "::kube_core")
)]
pub struct WebhookProviderSpec {
    /// The webhook's address, at most 2048 characters, for example `https://gates.example.com/canaries`. It may be in a
    /// private network, or on loopback.
    #[schemars(length(max = 2048), regex(pattern = ADDRESS))]
    pub address: String,
    /// Which namespaces' Routes may name it.
    pub allowed_namespaces: AllowedNamespaces,
    /// Whether a Route may add a path of its own below the address; false when absent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_path: bool,
    /// The certificates (PEM) of the CAs that vouch for an https address, in place of those that the operator's image
    /// trusts; at most 65536 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65_536))]
    pub ca_bundle: Option<String>,
    /// How the operator proves itself to the server; not at all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
}

/// A key of a Secret that the operator's Pod has as a file (`operator.providerSecrets` of the chart). The operator has no
/// right to read Secrets, so a key of any other is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The key whose value is sent, without the line break that it may end with.
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY))]
    pub key: String,
    /// How it is sent; Bearer when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET))]
    pub secret: String,
}

/// How credentials are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum Scheme {
    /// The value is a token: `Authorization: Bearer TOKEN`.
    #[default]
    Bearer,
    /// The value is `USER:PASSWORD`: `Authorization: Basic …`.
    Basic,
}

/// The columns that `kubectl get` prints of a MetricProvider.
pub fn metric_columns() -> Vec<CustomResourceColumnDefinition> {
    vec![
        text("Type", ".spec.type", "What the server is"),
        text("Address", ".spec.address", "Where it is"),
        age(),
    ]
}

/// The columns that `kubectl get` prints of a WebhookProvider.
pub fn webhook_columns() -> Vec<CustomResourceColumnDefinition> {
    vec![text("Address", ".spec.address", "Where it is"), age()]
}
