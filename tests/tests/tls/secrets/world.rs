//! A cluster, an operator and a control plane that know nothing but secrets: each key, token, password and address of
//! theirs is one.

use std::process::Command;

use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::command::{self, Captured};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::moto::Moto;
use fleetmesh_testbed::operator::Operator;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{aws, fleet_class, moto, stack, tools, wait};
use serde_json::{Value, json};

use super::outside::Outside;
use super::planted::Planted;
use super::shows;
use super::start::{self, KEY_ID, Secrets};
use crate::bed::{BedCertificates, LIMIT};

/// What those who are asked from outside must have seen.
pub const SHOWN: [&str; 11] = [
    "the token for the agent",
    "the session token of the agent",
    "the web identity's token",
    "the SessionToken of STS",
    "the instance's session token",
    "a password in user data",
    "the webhook's user",
    "the webhook's password",
    "the webhook's path",
    "Prometheus' password",
    "Prometheus' path",
];

/// Fields are dropped in this order: whoever depends on another goes first.
pub struct SecretsWorld {
    pub operator: Operator,
    pub control_plane: ControlPlane,
    pub outside: Outside,
    kubectl: Kubectl,
    _cluster: Cluster,
    _moto: Moto,
    certificates: BedCertificates,
    endpoint: String,
    /// Where instances join.
    joins: String,
    pub planted: Planted,
    pub secrets: Secrets,
    /// What programs that have ended wrote to standard error.
    ended: Vec<(&'static str, String)>,
    pub run: RunDir,
}

impl SecretsWorld {
    pub async fn start() -> Self {
        let run = RunDir::new("secrets").unwrap();
        let mut planted = Planted::default();
        let secrets = Secrets::plant(&mut planted);
        let moto = Moto::start(&run).await.unwrap();
        moto.boundary().await.unwrap();
        let outside = Outside::start(&moto.endpoint(), secrets.credentials.clone()).await;
        outside.refuses(Some("CreateRole"));
        let certificates = start::certificates(&run, &mut planted).await;
        let (control_plane, [endpoint, joins]) =
            start::control_plane(&run, &certificates, &outside, &secrets).await;
        let cluster = Cluster::start(&run).await.unwrap();
        let kubectl = cluster.kubectl().unwrap();
        stack::install_crds(&kubectl, &run).await.unwrap();
        let kubeconfig = cluster.admin_kubeconfig();
        let ca = certificates.path("ca/ca.crt");
        let operator = start::operator(&run, &kubeconfig, [&endpoint, &ca], &outside, &secrets).await;
        Self {
            operator,
            control_plane,
            outside,
            kubectl,
            _cluster: cluster,
            _moto: moto,
            certificates,
            endpoint,
            joins,
            planted,
            secrets,
            ended: Vec::new(),
            run,
        }
    }

    /// A webhook of a type as a Route names it.
    pub fn webhook(&self) -> impl Fn(&str) -> Value {
        |kind| json!({ "type": kind, "name": kind, "provider": "outside", "timeout": "2s" })
    }

    /// A Prometheus as a Route names it.
    pub fn prometheus(&self) -> Value {
        json!({ "provider": "outside", "query": "vector(1)" })
    }

    /// Whom rollouts may ask. Users and passwords are in files; a path may be a secret as well.
    pub fn providers(&self) -> Value {
        let host = self.outside.host();
        let ([.., hook], [.., path]) = (&self.secrets.webhook, &self.secrets.prometheus);
        let credentials = |key| json!({ "secret": "outside", "key": key, "scheme": "Basic" });
        let webhook = json!({
            "address": format!("http://{host}/hooks/{hook}"),
            "allowedNamespaces": { "from": "All" },
            "credentials": credentials("webhook"),
        });
        let prometheus = json!({
            "type": "Prometheus",
            "address": format!("http://{host}/prometheus/{path}"),
            "allowedNamespaces": { "from": "All" },
            "credentials": credentials("prometheus"),
        });
        super::objects::providers(webhook, prometheus)
    }

    /// The default class of fleets, with these members.
    pub async fn apply_class(&self, members: &Value) {
        fleet_class::apply_default(&self.kubectl, &self.run, members).await.unwrap();
    }

    pub async fn apply(&self, objects: &Value) {
        let file = self.run.join("objects.json");
        std::fs::write(&file, objects.to_string()).unwrap();
        self.kubectl.apply(&file).await.unwrap();
    }

    pub async fn run(&self, arguments: &[&str]) {
        self.kubectl.run(arguments).await.unwrap();
    }

    async fn get(&self, object: &str) -> anyhow::Result<Value> {
        self.kubectl.json(&["get", object]).await
    }

    /// Awaits that a condition of `object` gives this reason.
    pub async fn until_reason(&self, object: &str, reason: &str, what: &str) {
        let given = |found: &Value| {
            let mut conditions = found["status"]["conditions"].as_array().into_iter().flatten();
            conditions.any(|condition| condition["reason"] == reason)
        };
        shows(what, async || self.get(object).await, given).await;
    }

    /// Awaits that the rollout is held for this reason.
    pub async fn held(&self, reason: &str) {
        let given = |found: &Value| found["status"]["rollout"]["hold"]["reason"] == reason;
        shows(reason, async || self.get("route/shop").await, given).await;
    }

    /// Awaits that the last verdict says `words`.
    pub async fn analysed(&self, words: &str) {
        let given = |found: &Value| found["status"]["analysis"].to_string().contains(words);
        shows(words, async || self.get("route/shop").await, given).await;
    }

    /// Awaits that AWS was asked for `action`.
    pub async fn asked_for(&self, action: &str) {
        let asked = async || Ok(self.outside.asked().contains(&format!("Action={action}&")).then_some(()));
        wait::until(action, LIMIT, asked).await.unwrap();
    }

    /// The operator's file holds a key that the control plane does not know, and then the right one again.
    pub async fn with_a_wrong_key(&mut self) {
        let file = self.run.join("access-key.json");
        let wrong = self.planted.secret("a wrong access key");
        start::write_key(&file, &wrong);
        self.until_reason("mesh/apps", "CredentialsInvalid", "the control plane refuses the key").await;
        start::write_key(&file, &self.secrets.access_key);
        self.run(&["wait", "mesh/apps", "--for=condition=Ready", "--timeout=60s"]).await;
    }

    /// People sign with what the control plane does not know, and send what nobody should.
    pub async fn others_are_refused(&mut self) {
        for words in ["InvalidSignatureException", "UnrecognizedClientException"] {
            let id = if words.starts_with("Invalid") { KEY_ID } else { "FMKYNOBODY" };
            let secret = self.planted.secret("somebody's secret key");
            let token = self.planted.secret("somebody's session token");
            let mut command = Command::new(tools::tool("aws").unwrap());
            command.args([
                "--endpoint-url",
                &self.endpoint,
                "--ca-bundle",
                &self.certificates.path("ca/ca.crt"),
            ]);
            command.args(["appmesh", "list-meshes"]).env("AWS_PAGER", "");
            aws::credentials(&mut command);
            command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", &secret);
            command.env("AWS_SESSION_TOKEN", &token);
            let Captured { status, stderr, .. } = command::capture(command).await.unwrap();
            assert!(!status.success() && stderr.contains(words), "{stderr}");
        }
    }

    /// An instance asks for a certificate with a key that no role has.
    pub async fn an_instance_is_refused(&mut self) {
        let [secret, token] = ["secret key", "session token"]
            .map(|what| self.planted.secret(&format!("the instance's {what}")));
        let mut command = Command::new(tools::fleetmesh().unwrap());
        command.args(["proxy", "join", "--once", "--resource", "mesh/apps/virtualNode/red", "--log=trace"]);
        command.args(["--control-plane", &self.joins, "--ca-file", &self.certificates.path("ca/ca.crt")]);
        command.arg("--cert-dir").arg(self.run.join("joined"));
        moto::environment(self.outside.url(), &mut command);
        command.env("AWS_ACCESS_KEY_ID", "ASIAINSTANCE00000001").env("AWS_SECRET_ACCESS_KEY", &secret);
        command.env("AWS_SESSION_TOKEN", &token);
        let Captured { status, stderr, .. } = command::capture(command).await.unwrap();
        assert!(!status.success(), "{stderr}");
        self.ended.push(("fleetmesh proxy join", stderr));
    }

    /// What STS made for the control plane is a secret from then on.
    pub fn learn_what_sts_gave(&mut self) {
        let asked = self.outside.asked();
        for member in ["SecretAccessKey", "SessionToken"] {
            let (_, rest) = asked.split_once(&format!("<{member}>")).expect("STS was asked");
            let (text, _) = rest.split_once('<').unwrap();
            let times = asked.matches(text).count();
            assert!(member != "SessionToken" || times > 1, "Cloud Map was asked with it");
            self.planted.known(&format!("the {member} of STS"), text);
        }
    }

    /// Every log.
    pub fn logs(&mut self) -> Vec<(&'static str, String)> {
        let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
        let operator = read(self.operator.process().log());
        let control_plane = read(self.control_plane.process().log());
        let running = [("the operator's log", operator), ("the control plane's log", control_plane)];
        running.into_iter().chain(self.ended.iter().cloned()).collect()
    }

    /// The status of every object of ours.
    pub async fn statuses(&self) -> String {
        let all = self.kubectl.json(&["get", "fmesh,fleetmesh", "--all-namespaces"]).await.unwrap();
        let items = all["items"].as_array().unwrap().iter();
        items.map(|object| format!("{}\n", object["status"])).collect()
    }

    /// Every Event.
    pub async fn events(&self) -> String {
        self.kubectl.json(&["get", "events", "--all-namespaces"]).await.unwrap().to_string()
    }
}
