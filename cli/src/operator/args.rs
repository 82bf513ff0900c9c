//! The flags of `fleetmesh operator`, and the configuration that they give.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fleetmesh_core::iam::{RoleLimits, Rules};
use fleetmesh_operator::cloud::CloudEndpoint;
use fleetmesh_operator::{LeaderElection, OperatorConfig};

use super::joining::{FleetProxyArgs, JoinError};
use crate::duration::{whole_seconds_within, within};
use crate::endpoint::EndpointArgs;
use crate::iam::IamArgs;

/// Watches Fleetmesh resources in a Kubernetes cluster and brings an App Mesh endpoint in step with them.
///
/// The endpoint is a Fleetmesh control plane (`fleetmesh control-plane`), given with --app-mesh-endpoint. Install the
/// CRDs first: `fleetmesh crds | kubectl apply -f -`.
#[derive(Args, Clone, Debug)]
pub struct OperatorArgs {
    /// The kubeconfig file; without it KUBECONFIG, ~/.kube/config, or the pod's service account
    #[arg(long, env = "FLEETMESH_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The context in the kubeconfig file; its current one by default
    #[arg(long, env = "FLEETMESH_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it as help")]
    pub app_mesh: EndpointArgs,

    /// The name of this cluster in the tags that mark ownership; the uid of the namespace kube-system by default
    #[arg(long, env = "FLEETMESH_CLUSTER_NAME", value_name = "NAME")]
    pub cluster_name: Option<String>,

    /// How often each object is compared with the endpoint, to find what somebody changed there: from 1s to 1h
    #[arg(long, env = "FLEETMESH_DRIFT_INTERVAL", value_name = "TIME", default_value = "45s", value_parser = drift_interval)]
    pub drift_interval: Duration,

    /// How long connected proxies that say nothing about a new version keep it from being Programmed, from 1s to 1h; then it takes
    /// so many as could refuse it. The control plane finds dead connections within 50s
    #[arg(long, env = "FLEETMESH_PROXY_PATIENCE", value_name = "TIME", default_value = "60s", value_parser = drift_interval)]
    pub proxy_patience: Duration,

    /// Where /livez, /readyz and /metrics are served; port 0 takes a free one and prints it as the first line
    #[arg(long, env = "FLEETMESH_HEALTH_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub health_listen: SocketAddr,

    /// How the proxies of launched instances find the control plane.
    #[command(flatten)]
    pub proxies: FleetProxyArgs,

    #[command(flatten, next_help_heading = "IAM identities")]
    #[allow(missing_docs, reason = "clap would print it as help")]
    pub iam: IamArgs,

    /// How many IAM roles nodes may have together: AWS's quota is 1,000 of an account, which others need, too. What exists stays
    #[arg(
        long,
        env = "FLEETMESH_IAM_MAX_ROLES",
        value_name = "COUNT",
        default_value_t = RoleLimits::default().roles,
        help_heading = "IAM identities"
    )]
    pub iam_max_roles: usize,

    /// How many of them the nodes of one namespace may have
    #[arg(
        long,
        env = "FLEETMESH_IAM_MAX_ROLES_PER_NAMESPACE",
        value_name = "COUNT",
        default_value_t = RoleLimits::default().roles_per_namespace,
        help_heading = "IAM identities"
    )]
    pub iam_max_roles_per_namespace: usize,

    /// Share the work of this cluster with other operators: one leads, the others wait with everything watched. For more
    /// than one replica. Without it, an operator ends when it sees another one work in the cluster
    #[arg(long, env = "FLEETMESH_LEADER_ELECT")]
    pub leader_elect: bool,

    /// The namespace of the Lease that they share, or that a single one keeps; without it the pod's or the kubeconfig's namespace
    #[arg(long, env = "FLEETMESH_LEADER_ELECTION_NAMESPACE", value_name = "NAMESPACE")]
    pub leader_election_namespace: Option<String>,

    /// The name of that Lease
    #[arg(
        long,
        env = "FLEETMESH_LEADER_ELECTION_ID",
        value_name = "NAME",
        default_value = "fleetmesh-operator"
    )]
    pub leader_election_id: String,

    /// For how long the Lease holds without a renewal, from 3s to 5m: a leader that vanishes is followed after it
    #[arg(long, env = "FLEETMESH_LEADER_ELECTION_LEASE_DURATION", value_name = "TIME", default_value = "15s", value_parser = lease_duration)]
    pub leader_election_lease_duration: Duration,

    /// Let Routes name the addresses of the Prometheus servers and webhooks that their rollouts ask. Without it they name a
    /// MetricProvider or WebhookProvider, which belongs to the cluster's administrators: whoever writes Routes could else
    /// reach whatever the operator reaches
    #[arg(long, env = "FLEETMESH_CANARY_DIRECT_ADDRESSES")]
    pub canary_direct_addresses: bool,

    /// The folder with the credentials that providers name: FOLDER/SECRET/KEY, as Secrets are mounted
    #[arg(
        long,
        env = "FLEETMESH_PROVIDER_SECRETS",
        value_name = "FOLDER",
        default_value = "/etc/fleetmesh/providers"
    )]
    pub provider_secrets: PathBuf,

    /// App Mesh reads a second; by default 40 at AWS and unlimited at an endpoint that was given
    #[arg(long, env = "FLEETMESH_APP_MESH_READS", value_name = "RATE", value_parser = rate)]
    pub app_mesh_reads: Option<f64>,

    /// App Mesh writes a second; by default 8 at AWS and unlimited at an endpoint that was given
    #[arg(long, env = "FLEETMESH_APP_MESH_WRITES", value_name = "RATE", value_parser = rate)]
    pub app_mesh_writes: Option<f64>,
}

impl OperatorArgs {
    /// The operator's configuration. Reads the file of `--proxy-join-ca-file`.
    ///
    /// # Errors
    /// Instances of fleets could not join as these flags say.
    pub fn config(&self) -> Result<OperatorConfig, JoinError> {
        let limits =
            RoleLimits { roles: self.iam_max_roles, roles_per_namespace: self.iam_max_roles_per_namespace };
        Ok(OperatorConfig {
            cluster_name: self.cluster_name.clone(),
            region: self.app_mesh.region.clone(),
            drift_interval: self.drift_interval,
            proxy_patience: self.proxy_patience,
            proxy_control_plane: self.proxies.proxy_control_plane.clone(),
            join: self.proxies.options()?,
            iam: Rules { limits, ..self.iam.rules() },
            leader_election: self.leader_elect.then(|| self.lease()),
            direct_addresses: self.canary_direct_addresses,
            provider_secrets: self.provider_secrets.clone(),
        })
    }

    /// The Lease that operators of the cluster share, or that a single one keeps.
    pub fn lease(&self) -> LeaderElection {
        LeaderElection {
            namespace: self.leader_election_namespace.clone(),
            name: self.leader_election_id.clone(),
            lease_duration: self.leader_election_lease_duration,
        }
    }

    /// Where the App Mesh API is.
    pub fn endpoint(&self) -> CloudEndpoint {
        CloudEndpoint { reads: self.app_mesh_reads, writes: self.app_mesh_writes, ..self.app_mesh.endpoint() }
    }
}

fn drift_interval(text: &str) -> Result<Duration, String> {
    within(text, "1s", "1h")
}

fn lease_duration(text: &str) -> Result<Duration, String> {
    // A Lease counts whole seconds.
    whole_seconds_within(text, "3s", "5m")
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err(format!("{text} is not a rate: a number of calls a second greater than 0")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        operator: OperatorArgs,
    }

    fn config(line: &str) -> OperatorConfig {
        let line = std::iter::once("operator").chain(line.split_whitespace());
        Line::try_parse_from(line).unwrap().operator.config().unwrap()
    }

    /// Whoever runs an operator in a program of his own gets the same without flags.
    #[test]
    fn without_flags_it_does_what_the_default_says() {
        assert_eq!(format!("{:?}", config("")), format!("{:?}", OperatorConfig::default()));
        let election = config("--leader-elect").leader_election;
        assert_eq!(election, Some(LeaderElection::default()));
    }

    #[test]
    fn flags_are_in_the_configuration() {
        let config = config(
            "--drift-interval 5s --proxy-patience 7s --cluster-name c --region eu-west-1 --canary-direct-addresses \
             --provider-secrets /s --iam-max-roles 7 --iam-max-roles-per-namespace 3 --iam-path /p/ \
             --leader-elect --leader-election-namespace n --leader-election-id i --leader-election-lease-duration 9s",
        );
        assert_eq!((config.drift_interval.as_secs(), config.proxy_patience.as_secs()), (5, 7));
        assert_eq!(
            (config.cluster_name.as_deref(), config.region.as_deref()),
            (Some("c"), Some("eu-west-1"))
        );
        assert!(config.direct_addresses && config.provider_secrets == *"/s");
        assert_eq!(config.iam.limits, RoleLimits { roles: 7, roles_per_namespace: 3 });
        assert_eq!(config.iam.path, "/p/");
        let election = config.leader_election.unwrap();
        assert_eq!((election.namespace.as_deref(), election.name.as_str()), (Some("n"), "i"));
        assert_eq!(election.lease_duration, Duration::from_secs(9));
    }
}
