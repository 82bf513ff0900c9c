//! The flags of `fleetmesh control-plane`, and the configuration that they give.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use fleetmesh_control_plane::ControlPlaneConfig;
use fleetmesh_control_plane::join::Instances;
use fleetmesh_control_plane::kms::KeyArn;
use fleetmesh_control_plane::listen::{Bounds, Listen};
use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::quota::Quota;
use fleetmesh_mesh::store::TOKENS_PER_MESH;
use fleetmesh_model::AccountId;
use tokio::runtime::Handle;

use super::joining::JoiningArgs;
use crate::duration::within;
use crate::keys::source_of;

/// Run the control plane: the App Mesh API for people and operators, Envoy's discovery service for proxies.
///
/// Point any App Mesh client at it, for example `aws --endpoint-url http://127.0.0.1:9080 appmesh list-meshes`.
/// Each listener's address is printed on standard output, one a line, the App Mesh API's first.
#[derive(Args, Clone, Debug)]
pub struct ControlPlaneArgs {
    /// The directory that holds everything stored; made if need be. One process at a time may use it.
    #[arg(long, env = "FLEETMESH_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Where to serve the App Mesh API: HOST:PORT (port 0 takes a free one) or unix:PATH. May be repeated.
    ///
    /// An address that other hosts reach needs --tls-cert and --tls-key, and requests there are signed (SigV4) with keys
    /// that `fleetmesh control-plane keys create` makes.
    #[arg(
        long,
        env = "FLEETMESH_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = "127.0.0.1:9080"
    )]
    pub listen: Vec<Listen>,

    /// Where to serve configuration to proxies (Envoy's ADS): HOST:PORT or unix:PATH. May be repeated.
    ///
    /// An address that other hosts reach needs --tls-cert, --tls-key and --ca-cert: proxies there prove by certificates
    /// which virtual nodes they run.
    ///
    /// A Unix socket is open to every user who can enter its directory: proxies run as users of their own.
    #[arg(
        long,
        env = "FLEETMESH_ADS_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = "127.0.0.1:18000"
    )]
    pub ads_listen: Vec<Listen>,

    /// A host that the API answers to on loopback beside 127.0.0.1, ::1 and localhost. May be repeated.
    ///
    /// A web page could otherwise reach it by a name of its own that leads to loopback (DNS rebinding). Elsewhere requests
    /// are signed, and at a Unix socket any host will do.
    #[arg(long = "allowed-host", env = "FLEETMESH_ALLOWED_HOST", value_name = "NAME", value_delimiter = ',')]
    pub allowed_hosts: Vec<String>,

    /// Proxies of other hosts: certificates, and how instances join.
    #[command(flatten)]
    pub joining: JoiningArgs,

    /// What callers of other hosts may take before they have proved who they are.
    #[command(flatten)]
    pub bounds: BoundsArgs,

    /// Access keys beside those of `fleetmesh control-plane keys`; read again when the file changes.
    ///
    /// JSON: {"accessKeyId": "…", "secretAccessKey": "…"} or a list of such objects. Beside these, "meshes": ["apps"] and
    /// "access": "read" bound what a key may do, "expiresAt" until when, and "name" says whose it is.
    #[arg(long, env = "FLEETMESH_ACCESS_KEYS_FILE", value_name = "FILE")]
    pub access_keys_file: Option<PathBuf>,

    /// The file with the key that seals access keys in the data directory, which it may not lie in.
    ///
    /// `fleetmesh control-plane keys new-seal-key` makes it. Keys that are there in the clear are sealed at the first
    /// start with it, and do not count at later ones; those sealed with a later line of the file are sealed anew: a new key is put
    /// above the old one.
    #[arg(long, env = "FLEETMESH_SEAL_KEY_FILE", value_name = "FILE", conflicts_with = "seal_kms_key")]
    pub seal_key_file: Option<PathBuf>,

    /// The key of AWS KMS, in the place of --seal-key-file: the ARN of a symmetric key for ENCRYPT_DECRYPT.
    ///
    /// KMS makes the key that seals, and decrypts it at each start: in the data directory it lies encrypted. Keys that are there in
    /// the clear are sealed at the first start; `fleetmesh control-plane keys seal` moves those that a file sealed, and back. The
    /// credentials need kms:GenerateDataKey and kms:Decrypt for it. While KMS cannot be asked at a start, these access keys do
    /// not count, and all else goes on.
    #[arg(long, env = "FLEETMESH_SEAL_KMS_KEY", value_name = "ARN")]
    pub seal_kms_key: Option<KeyArn>,

    /// A name or address by which clients call the App Mesh API, beside those of --tls-cert and loopback. May be repeated.
    ///
    /// Signatures count for these hosts and for --region only: one that was made for another service is of no use here.
    #[arg(long = "api-host", env = "FLEETMESH_API_HOST", value_name = "NAME", value_delimiter = ',')]
    pub api_hosts: Vec<String>,

    /// What every ARN has in common.
    #[command(flatten)]
    pub identity: IdentityArgs,

    /// Which meshes are shared with which other accounts of --account-id: a JSON file, read again when it changes.
    ///
    /// `fleetmesh control-plane share` writes it: [{"meshOwner": "111122223333", "meshName": "apps", "accounts":
    /// ["444455556666"]}]. The other accounts then make virtual nodes, routers, routes and services of their own in the mesh
    /// (meshOwner), as with AWS Resource Access Manager. Without it each account sees its own meshes only.
    #[arg(long, env = "FLEETMESH_MESH_SHARES", value_name = "FILE")]
    pub mesh_shares: Option<PathBuf>,

    /// Allow at most COUNT resources of a kind: meshes, virtual-nodes, virtual-routers, routes (in a router) or
    /// virtual-services (in a mesh). May be repeated; without it there is no limit.
    #[arg(long = "quota", env = "FLEETMESH_QUOTA", value_name = "NAME=COUNT", value_delimiter = ',')]
    pub quotas: Vec<Quota>,

    /// Refuse API requests of an account beyond this many a second; without it none is refused.
    #[arg(long, env = "FLEETMESH_REQUEST_RATE", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub request_rate: Option<u32>,

    /// How many client tokens (clientToken) of each mesh are remembered for 24 hours, so that a request that is sent again counts
    /// once: the last ones. 1 to 1000000.
    ///
    /// Each takes some 300 bytes of the data directory, up to 2 KiB with the longest names. A request whose token is forgotten is
    /// decided as a new one.
    #[arg(
        long,
        env = "FLEETMESH_CLIENT_TOKENS_PER_MESH",
        value_name = "COUNT",
        default_value_t = TOKENS_PER_MESH,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub client_tokens_per_mesh: u32,

    /// Let at most COUNT proxies of one virtual node connect (App Mesh's quota was 50); without it there is no limit.
    #[arg(long, env = "FLEETMESH_MAX_PROXIES_PER_NODE", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_proxies_per_node: Option<u32>,

    /// Let at most COUNT streams of configuration be open with one certificate, and as many of load reports; 0 is no limit.
    ///
    /// A proxy has one of each, for a moment two while it restarts. Proxies that share a certificate share the limit. Callers
    /// on loopback and Unix sockets have none.
    #[arg(long, env = "FLEETMESH_MAX_STREAMS_PER_CERTIFICATE", value_name = "COUNT", default_value_t = 4)]
    pub max_streams_per_certificate: u32,

    /// Let a proxy name at most COUNT resources of a type in a request; 0 is no limit.
    ///
    /// Names that this control plane would give to nothing are not counted. Callers on loopback and Unix sockets have no
    /// limit.
    #[arg(long, env = "FLEETMESH_MAX_NAMES_PER_REQUEST", value_name = "COUNT", default_value_t = 4096)]
    pub max_names_per_request: u32,

    /// How often AWS Cloud Map is asked whether instances of a service changed: 100ms to 1h.
    ///
    /// Only services that a virtual node names (serviceDiscovery.awsCloudMap) are asked for, with the credentials and in
    /// the region that the environment gives in AWS's usual ways, else in --region. The credentials need
    /// servicediscovery:DiscoverInstancesRevision and servicediscovery:DiscoverInstances.
    #[arg(
        long,
        env = "FLEETMESH_CLOUD_MAP_INTERVAL",
        value_name = "DURATION",
        default_value = "5s",
        value_parser = cloud_map_interval
    )]
    pub cloud_map_interval: Duration,

    /// After how long the certificate of an authority of ACM PCA is read again: 1s to 24h.
    ///
    /// Only authorities that a client policy trusts (tls.validation.trust.acm) are read, each in its own region, with the
    /// credentials that the environment gives in AWS's usual ways. The credentials need
    /// acm-pca:GetCertificateAuthorityCertificate on them. What was read stays when it cannot be read again.
    #[arg(
        long,
        env = "FLEETMESH_ACM_PCA_INTERVAL",
        value_name = "DURATION",
        default_value = "1h",
        value_parser = acm_pca_interval
    )]
    pub acm_pca_interval: Duration,

    /// How often each proxy reports its load, the requests that it sent to each virtual node: 100ms to 1m.
    ///
    /// A report has some 60 KB whatever the load, because Envoy describes itself in each: 1,000 proxies send 60 MB a
    /// second at the default. Proxies whose bootstrap turns load reporting on report; others are not affected.
    #[arg(
        long,
        env = "FLEETMESH_LOAD_REPORT_INTERVAL",
        value_name = "DURATION",
        default_value = "1s",
        value_parser = load_report_interval
    )]
    pub load_report_interval: Duration,
}

/// Which account, region and partition the resources are in.
#[derive(Args, Clone, Debug)]
pub struct IdentityArgs {
    /// The AWS account that the resources belong to: the 12 digits in their ARNs. May be repeated to serve several accounts.
    ///
    /// Callers of this host, and access keys that name no account, act for the first; it belongs to the data and cannot be
    /// another one later. The others may be added and taken away: what is stored of an account is not served without it. Each
    /// account sees its own meshes, and those that --mesh-shares shares with it.
    #[arg(
        long,
        env = "FLEETMESH_ACCOUNT_ID",
        value_name = "ID",
        value_delimiter = ',',
        default_value = "111122223333"
    )]
    pub account_id: Vec<AccountId>,

    /// The AWS region in the ARNs.
    #[arg(long, env = "FLEETMESH_REGION", value_name = "REGION", default_value = "us-west-2", value_parser = word)]
    pub region: String,

    /// The AWS partition in the ARNs: aws, aws-cn or aws-us-gov.
    #[arg(long, env = "FLEETMESH_PARTITION", value_name = "PARTITION", default_value = "aws", value_parser = word)]
    pub partition: String,
}

impl IdentityArgs {
    /// What every ARN has in common.
    pub fn identity(&self) -> Identity {
        let mut ids = self.account_id.iter().copied();
        // There is one: the flag has a default, and no empty value.
        let first = ids.next().unwrap_or_default();
        Identity {
            partition: self.partition.clone(),
            region: self.region.clone(),
            account: first.to_string(),
            others: ids.filter(|id| *id != first).collect(),
        }
    }
}

impl ControlPlaneArgs {
    /// The control plane's configuration, to be run by the runtime of `kms`. `instances` ask EC2, with
    /// `--verify-instances` alone.
    pub fn config(self, instances: Option<Arc<dyn Instances>>, kms: &Handle) -> ControlPlaneConfig {
        ControlPlaneConfig {
            joining: self.joining.config(instances, kms),
            tls: self.joining.tls_files(),
            denied_instances: self.joining.denied_instances,
            identity: self.identity.identity(),
            mesh_shares: self.mesh_shares,
            bounds: self.bounds.bounds(),
            seal: source_of(self.seal_key_file.as_ref(), self.seal_kms_key.as_ref()),
            data_dir: self.data_dir,
            listen: self.listen,
            ads_listen: self.ads_listen,
            allowed_hosts: self.allowed_hosts,
            api_hosts: self.api_hosts,
            access_keys_file: self.access_keys_file,
            quotas: self.quotas,
            request_rate: self.request_rate,
            client_tokens_per_mesh: self.client_tokens_per_mesh,
            max_proxies_per_node: self.max_proxies_per_node,
            max_streams_per_certificate: self.max_streams_per_certificate,
            max_names_per_request: self.max_names_per_request,
            cloud_map_interval: self.cloud_map_interval,
            acm_pca_interval: self.acm_pca_interval,
            load_report_interval: self.load_report_interval,
        }
    }
}

/// Bounds for one source, an IPv4 address or an IPv6 /64, at each listener that other hosts reach.
///
/// A connection of a proxy with a good certificate counts for its holder and not for its source; one of a caller whose
/// request was signed counts no more.
#[derive(Args, Clone, Copy, Debug)]
pub struct BoundsArgs {
    /// How many TLS handshakes of one source may be under way; the others of it wait for their turn. 1 to 1024.
    #[arg(
        long = "max-handshakes-per-source",
        env = "FLEETMESH_MAX_HANDSHAKES_PER_SOURCE",
        value_name = "COUNT",
        default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=1024)
    )]
    pub handshakes: u32,

    /// How many connections of one source may wait for their TLS handshake; beyond that its oldest is closed. 64 to 65536.
    ///
    /// A whole fleet behind one address (a NAT, a load balancer that hides its clients) that connects again is such a queue:
    /// let it be no less than the fleet.
    #[arg(
        long = "max-waiting-per-source",
        env = "FLEETMESH_MAX_WAITING_PER_SOURCE",
        value_name = "COUNT",
        default_value_t = 8192,
        value_parser = clap::value_parser!(u32).range(64..=65_536)
    )]
    pub waiting: u32,

    /// How many connections of one source may be open without proof of who is there; beyond that its oldest is closed. 8 to
    /// 65536.
    #[arg(
        long = "max-connections-per-source",
        env = "FLEETMESH_MAX_CONNECTIONS_PER_SOURCE",
        value_name = "COUNT",
        default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(8..=65_536)
    )]
    pub connections: u32,

    /// How many connections with one certificate, or with those of one instance that joined, may be open without a stream;
    /// beyond that the oldest of them is closed. 8 to 65536.
    ///
    /// A proxy opens its stream at once. Where a whole fleet shares a certificate of `fleetmesh certs issue` and connects
    /// again at once, let it be as many as connect within a moment.
    #[arg(
        long = "max-idle-connections-per-certificate",
        env = "FLEETMESH_MAX_IDLE_CONNECTIONS_PER_CERTIFICATE",
        value_name = "COUNT",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(8..=65_536)
    )]
    pub idle: u32,
}

impl BoundsArgs {
    fn bounds(self) -> Bounds {
        let Self { handshakes, waiting, connections, idle } = self;
        Bounds { handshakes, waiting, connections, idle }
    }
}

fn cloud_map_interval(text: &str) -> Result<Duration, String> {
    within(text, "100ms", "1h")
}

fn acm_pca_interval(text: &str) -> Result<Duration, String> {
    within(text, "1s", "24h")
}

fn load_report_interval(text: &str) -> Result<Duration, String> {
    within(text, "100ms", "1m")
}

fn word(text: &str) -> Result<String, String> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !text.is_empty() && text.bytes().all(legal) {
        return Ok(text.into());
    }
    Err("expected lower-case letters, digits and hyphens, for example us-west-2".into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        control_plane: ControlPlaneArgs,
    }

    async fn config(line: &str) -> ControlPlaneConfig {
        let line = ["control-plane", "--data-dir", "/data"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(line).unwrap().control_plane.config(None, &Handle::current())
    }

    /// Whoever runs a control plane in a program of his own gets the same without flags.
    #[tokio::test]
    async fn without_flags_it_does_what_the_default_says() {
        assert_eq!(format!("{:?}", config("").await), format!("{:?}", ControlPlaneConfig::new("/data")));
    }

    #[tokio::test]
    async fn flags_are_in_the_configuration() {
        let config = config(
            "--listen 127.0.0.1:1,unix:/api --ads-listen 127.0.0.1:2 --join-listen 127.0.0.1:3 --allowed-host a --api-host b \
             --max-handshakes-per-source 9 --max-waiting-per-source 99 --max-connections-per-source 98 \
             --max-idle-connections-per-certificate 97 --tls-cert /c --tls-key /k --ca-cert /ca --ca-key /cakey \
             --signing-cert /s --join-certificate-validity 10s --join-rate-per-source 7 --identity-certificates aws \
             --instance-identity optional --sts-endpoint https://sts --denied-instances /d --access-keys-file /a \
             --seal-key-file /seal --account-id 000000000000,000000000002 --account-id 000000000001 --mesh-shares /m --region r --partition p --quota meshes=3 --request-rate 4 \
             --client-tokens-per-mesh 5 --max-proxies-per-node 6 --max-streams-per-certificate 0 \
             --max-names-per-request 8 --cloud-map-interval 1s --acm-pca-interval 3s --load-report-interval 2s",
        )
        .await;
        // All of it, in the order of the members.
        let expected = r#"ControlPlaneConfig { data_dir: "/data", identity: Identity { partition: "p", region: "r", account: "000000000000", others: {AccountId(1), AccountId(2)} }, mesh_shares: Some("/m"), listen: [Tcp("127.0.0.1:1"), Unix("/api")], ads_listen: [Tcp("127.0.0.1:2")], allowed_hosts: ["a"], api_hosts: ["b"], bounds: Bounds { handshakes: 9, waiting: 99, connections: 98, idle: 97 }, tls: Some(TlsFiles { certificate: "/c", key: "/k", ca: Some("/ca") }), joining: Some(JoinConfig { listen: [Tcp("127.0.0.1:3")], ca: CaFiles { certificate: "/ca", signing: Some("/s"), key: File("/cakey") }, certificate_validity: 10s, rate_per_source: 7, identity_certificates: [Aws], instance_identity: Optional, instances: None, sts_endpoint: Some("https://sts") }), denied_instances: Some("/d"), access_keys_file: Some("/a"), seal: Some(File("/seal")), quotas: [Quota { kind: Mesh, count: 3 }], request_rate: Some(4), client_tokens_per_mesh: 5, max_proxies_per_node: Some(6), max_streams_per_certificate: 0, max_names_per_request: 8, cloud_map_interval: 1s, acm_pca_interval: 3s, load_report_interval: 2s }"#;
        assert_eq!(format!("{config:?}"), expected);
    }

    #[test]
    fn intervals_outside_of_their_bounds_are_refused_with_them() {
        assert_eq!(load_report_interval("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(load_report_interval("1m"), Ok(Duration::from_secs(60)));
        for text in ["0s", "99ms", "61s"] {
            let error = load_report_interval(text).expect_err(text);
            assert_eq!(error, format!("{text} is out of bounds: from 100ms to 1m"));
        }
        assert_eq!(cloud_map_interval("2h"), Err("2h is out of bounds: from 100ms to 1h".to_owned()));
        assert_eq!(acm_pca_interval("25h"), Err("25h is out of bounds: from 1s to 24h".to_owned()));
        assert!(load_report_interval("often").is_err());
    }
}
