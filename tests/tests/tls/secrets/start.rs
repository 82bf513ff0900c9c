//! Starts the parts with their secrets: keys and tokens come to each as they would in a cluster.

use std::path::Path;

use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::operator::Operator;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{moto, port};
use serde_json::{Value, json};

use super::outside::Outside;
use super::planted::Planted;
use crate::bed::BedCertificates;

/// The id of the access key, which is no secret.
pub const KEY_ID: &str = "FMKYOPERATOR";

/// What is planted from the beginning.
pub struct Secrets {
    /// The token that the agent of Pod Identity wants to see.
    agent: String,
    /// What the agent gives.
    pub credentials: Value,
    /// The token of IRSA.
    identity: String,
    /// The secret of the operator's access key.
    pub access_key: String,
    /// User, password and path of webhooks.
    pub webhook: [String; 3],
    /// User, password and path of Prometheus.
    pub prometheus: [String; 3],
    /// In a fleet's user data.
    pub user_data: String,
}

impl Secrets {
    pub fn plant(planted: &mut Planted) -> Self {
        let credentials = json!({
            "AccessKeyId": "ASIAAGENT",
            "SecretAccessKey": planted.secret("the secret key of the agent"),
            "Token": planted.secret("the session token of the agent"),
            "Expiration": "2099-01-01T00:00:00Z",
        });
        planted.known("the bearer token for Kubernetes", "token-of-admin");
        Self {
            agent: planted.secret("the token for the agent"),
            credentials,
            identity: planted.secret("the web identity's token"),
            access_key: planted.secret("the access key"),
            webhook: ["user", "password", "path"]
                .map(|part| planted.secret(&format!("the webhook's {part}"))),
            prometheus: ["user", "password", "path"]
                .map(|part| planted.secret(&format!("Prometheus' {part}"))),
            user_data: planted.secret("a password in user data"),
        }
    }
}

/// The authority and the certificates that it signed, whose keys are secrets too.
pub async fn certificates(run: &RunDir, planted: &mut Planted) -> BedCertificates {
    let certificates = BedCertificates::new(run.join("certificates"), "127.0.0.1").await;
    certificates.proxy("red", "1d").await;
    for (what, file) in [("server", "server/tls.key"), ("authority", "ca/ca.key"), ("client", "red/tls.key")]
    {
        let key = std::fs::read_to_string(certificates.path(file)).unwrap();
        planted.known(&format!("the {what}'s private key"), key.lines().nth(1).unwrap());
    }
    certificates
}

/// A control plane that serves other hosts, lets instances join, and has the credentials of a web identity; and the
/// addresses of its API by TLS and of joining.
pub async fn control_plane(
    run: &RunDir,
    certificates: &BedCertificates,
    outside: &Outside,
    secrets: &Secrets,
) -> (ControlPlane, [String; 2]) {
    let [api, ads, join] = port::free().unwrap();
    let keys = run.join("own-keys.json");
    write_key(&keys, &secrets.access_key);
    let (key, keys) = (certificates.path("ca/ca.key"), keys.display().to_string());
    let mut arguments = certificates.arguments();
    let files = ["--ca-key", &key, "--sts-endpoint", outside.url(), "--access-keys-file", &keys];
    let more = ["--log=trace", "--cloud-map-interval", "200ms"];
    arguments.extend(files.into_iter().chain(more).map(str::to_owned));
    for (flag, port) in [("--listen", api), ("--ads-listen", ads), ("--join-listen", join)] {
        arguments.extend([flag.to_owned(), format!("0.0.0.0:{port}")]);
    }
    let environment = web_identity(run, &secrets.identity, outside.url());
    let control_plane = ControlPlane::launch(run, Launch::with(arguments).envs(environment)).await.unwrap();
    (control_plane, [api, join].map(|port| format!("https://127.0.0.1:{port}")))
}

/// The operator of a control plane at `endpoint`, which `ca` vouches for; it asks an agent for credentials, as with EKS Pod
/// Identity.
pub async fn operator(
    run: &RunDir,
    kubeconfig: &Path,
    [endpoint, ca]: [&str; 2],
    outside: &Outside,
    secrets: &Secrets,
) -> Operator {
    let file = run.join("access-key.json");
    write_key(&file, &secrets.access_key);
    let providers = run.join("provider-secrets");
    std::fs::create_dir_all(providers.join("outside")).unwrap();
    for (key, [user, password, _]) in [("webhook", &secrets.webhook), ("prometheus", &secrets.prometheus)] {
        std::fs::write(providers.join("outside").join(key), format!("{user}:{password}\n")).unwrap();
    }
    let providers = format!("--provider-secrets={}", providers.display());
    let (file, agent) = (file.display().to_string(), format!("{}/credentials", outside.url()));
    let environment = [
        ("AWS_ENDPOINT_URL", outside.url()),
        // Empty is as good as unset.
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &agent),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", &secrets.agent),
    ];
    let files = ["--app-mesh-ca-file", ca, "--app-mesh-access-key-file", &file];
    let more =
        ["--log=trace", "--log-format=json", "--drift-interval=2s", "--cluster-name=secrets", &providers];
    let bounded = ["--iam-permissions-boundary", moto::BOUNDARY];
    let launch = Launch::with(files).args(more).args(bounded).envs(environment);
    Operator::launch(kubeconfig, endpoint, run, launch).await.unwrap()
}

/// Writes a file with an access key of this secret.
pub fn write_key(file: &Path, secret: &str) {
    let key = json!({ "accessKeyId": KEY_ID, "secretAccessKey": secret });
    std::fs::write(file, key.to_string()).unwrap();
}

/// The environment of a program whose AWS credentials come from a web identity, as with IRSA.
fn web_identity(run: &RunDir, token: &str, aws: &str) -> Vec<(String, String)> {
    let file = run.join("web-identity");
    std::fs::write(&file, token).unwrap();
    let role = "arn:aws:iam::123456789012:role/control-plane";
    let own =
        [("AWS_WEB_IDENTITY_TOKEN_FILE", file.display().to_string()), ("AWS_ROLE_ARN", role.to_owned())];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let others = moto::variables(aws).into_iter().filter(|(name, _)| !keys.contains(&name.as_str()));
    others.chain(own).collect()
}
