//! The configuration of an operator, from the command line or from a program that embeds it. Pure data.

use std::path::PathBuf;
use std::time::Duration;

use fleetmesh_core::fleet::JoinOptions;
use fleetmesh_core::iam::Rules;

/// The configuration of an operator. The default is what `fleetmesh operator` does without flags.
#[derive(Clone, Debug)]
pub struct OperatorConfig {
    /// The name of the cluster in the tags that mark ownership; the uid of the namespace kube-system when `None`.
    pub cluster_name: Option<String>,
    /// The region of IAM, EC2 and Cloud Map; the AWS SDK's standard resolution when `None`.
    pub region: Option<String>,
    /// How often each object is compared with the App Mesh endpoint, at least 1 s.
    pub drift_interval: Duration,
    /// How long connected proxies that say nothing about a new version keep it from being Programmed, at least 1 s.
    pub proxy_patience: Duration,
    /// Where the proxies of launched instances find the control plane; AWS's App Mesh when `None`.
    pub proxy_control_plane: Option<String>,
    /// How launched instances get their proxies' certificates; `None` when they do not join.
    pub join: Option<JoinOptions>,
    /// What IAM identities may be.
    pub iam: Rules,
    /// How the work is shared with other operators of the cluster; `None` when there is no other.
    pub leader_election: Option<LeaderElection>,
    /// Whether a Route may name the addresses of the servers that its rollouts ask.
    pub direct_addresses: bool,
    /// The folder with the credentials that providers name, `SECRET/KEY`.
    pub provider_secrets: PathBuf,
}

impl Default for OperatorConfig {
    fn default() -> Self {
        Self {
            cluster_name: None,
            region: None,
            drift_interval: Duration::from_secs(45),
            proxy_patience: Duration::from_secs(60),
            proxy_control_plane: None,
            join: None,
            iam: Rules::default(),
            leader_election: None,
            direct_addresses: false,
            provider_secrets: "/etc/fleetmesh/providers".into(),
        }
    }
}

/// The Lease that operators share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderElection {
    /// Its namespace; that of the client when `None`.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// For how long it holds without a renewal, in whole seconds from 3 s.
    pub lease_duration: Duration,
}

impl Default for LeaderElection {
    fn default() -> Self {
        Self {
            namespace: None,
            name: "fleetmesh-operator".to_owned(),
            lease_duration: Duration::from_secs(15),
        }
    }
}
