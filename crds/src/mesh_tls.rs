//! TLS between all proxies of a mesh by certificates of the mesh's own: what a Mesh asks for, how far it is, and what that adds to
//! virtual nodes. Pure data.

use fleetmesh_model::schema::plain_enum;
use fleetmesh_model::tls::ListenerTlsMode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TLS between all proxies of a mesh, where a virtual node or gateway says nothing about it itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeshTls {
    /// Whether listeners demand TLS.
    pub mode: MeshTlsMode,
    /// Whose certificates the proxies show and verify.
    pub certificates: MeshCertificates,
}

/// Whether the listeners of a mesh demand TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(transform = plain_enum)]
pub enum MeshTlsMode {
    /// TLS or plaintext: proxies use TLS with each other, and whoever is outside of the mesh gets in without it.
    Permissive,
    /// TLS only, with certificates of this mesh on both sides.
    Strict,
}

/// Whose certificates the proxies of a mesh show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum MeshCertificates {
    /// The control plane's: each proxy gets one by `fleetmesh proxy join`, for its virtual node alone.
    Fleetmesh,
}

/// What only meshes report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeshStatus {
    /// How far `tls` is. Meshes with `tls` only, and those whose `tls` is being taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<MeshTlsStatus>,
}

/// How far the TLS of a mesh is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeshTlsStatus {
    /// What is in the requests of the virtual nodes and gateways now; each step follows when their proxies run the one before.
    pub stage: MeshTlsStage,
    /// What the next step waits for; absent when there is no next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
}

/// A step on the way from plaintext to TLS, and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum MeshTlsStage {
    /// Listeners take TLS beside plaintext, and clients use plaintext.
    Listeners,
    /// Listeners take both, and clients use TLS where a listener takes it.
    Clients,
    /// Listeners take TLS only, and clients use nothing else.
    Strict,
}

/// What the TLS of the mesh adds to a virtual node or gateway that says nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddedTls {
    /// The mode of the listeners without `tls`; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listeners: Option<ListenerTlsMode>,
    /// Whether TLS is demanded of backends; absent when the node's own `backendDefaults` say so, or clients use plaintext.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backends: Option<BackendTls>,
}

/// Whether clients demand TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum BackendTls {
    /// TLS where the listener takes it, else plaintext.
    Offered,
    /// TLS only.
    Required,
}
