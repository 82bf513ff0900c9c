//! Joining: an instance's role, as moto's STS knows it, becomes a certificate, and everything that is not that role's own
//! fresh request does not. Signatures are verified by moto, where IAM is in force.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fleetmesh_testbed::command::{self, Captured};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::envoy::UID;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::moto::{self, Moto, MotoKey};
use fleetmesh_testbed::netns::Network;
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{aws, port, tools, wait};
use serde_json::{Value, json};

use crate::bed::{BedCertificates, LIMIT, says};

pub const NODE: &str = "mesh/apps/virtualNode/red";
pub const ARN: &str = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/red";
pub const INSTANCE: &str = "i-0123456789abcdef0";
/// Who the control plane is in AWS.
const USER: &str = "control-plane";

/// A session of an IAM role: what an instance's metadata service gives.
pub struct StsSession {
    pub key: MotoKey,
    pub token: String,
}

pub struct JoinBed {
    control_plane: ControlPlane,
    moto: Moto,
    pub certificates: BedCertificates,
    /// `https://127.0.0.1:PORT` where instances join.
    pub joins: String,
    /// `https://127.0.0.1:PORT` for proxies.
    pub ads: String,
    pub run: RunDir,
}

impl JoinBed {
    pub async fn start(name: &str) -> Self {
        Self::start_with(name, |_| Vec::new()).await
    }

    /// The same with more flags, which may name files in the folder of the run.
    async fn start_with(name: &str, more: impl FnOnce(&RunDir) -> Vec<String>) -> Self {
        Self::start_allowed(name, None, more).await
    }

    /// The same, where the control plane is the user [`USER`] of AWS who may do what `policy` says.
    async fn start_allowed(
        name: &str,
        policy: Option<&Value>,
        more: impl FnOnce(&RunDir) -> Vec<String>,
    ) -> Self {
        let run = RunDir::new(name).unwrap();
        let moto = Moto::start_enforcing(&run).await.unwrap();
        let mut environment = Vec::new();
        if let Some(policy) = policy {
            let key = moto.user(USER, policy).await.unwrap();
            environment = moto::variables(&moto.endpoint());
            environment.extend(key.variables().map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        let certificates = BedCertificates::new(run.join("certificates"), "127.0.0.1").await;
        let [joins, ads] = port::free().unwrap();
        let mut arguments = certificates.arguments();
        let (key, sts) = (certificates.path("ca/ca.key"), moto.endpoint());
        arguments.extend(
            ["--ca-key", &key, "--sts-endpoint", &sts, "--log=trace", "--join-rate-per-source=1000"]
                .map(str::to_owned),
        );
        for (flag, port) in [("--join-listen", joins), ("--ads-listen", ads)] {
            arguments.extend([flag.to_owned(), format!("0.0.0.0:{port}")]);
        }
        arguments.extend(more(&run));
        let launch = Launch::with(arguments).envs(environment);
        let control_plane = ControlPlane::launch(&run, launch).await.unwrap();
        let aws = aws::AppMesh::new(&control_plane.endpoint());
        aws.run(&["create-mesh", "--mesh-name", "apps"]).await.unwrap();
        let node =
            ["create-virtual-node", "--mesh-name", "apps", "--virtual-node-name", "red", "--spec", "{}"];
        aws.run(&node).await.unwrap();
        let address = |port: u16| format!("https://127.0.0.1:{port}");
        Self { control_plane, moto, certificates, joins: address(joins), ads: address(ads), run }
    }

    /// Makes a role and takes it, as the instance [`INSTANCE`].
    pub async fn session(&self, role: &str) -> StsSession {
        session(&self.moto, role).await
    }

    /// Makes a role, as IAM describes it.
    async fn role(&self, role: &str) -> Value {
        make_role(&self.moto, role).await
    }

    /// Takes the role with this ARN, in a session of this name.
    async fn assume(&self, arn: &str, name: &str) -> StsSession {
        assume(&self.moto, arn, name).await
    }

    /// Lists `roles` in the tag of the node.
    pub async fn grant(&self, roles: &str) {
        let aws = aws::AppMesh::new(&self.control_plane.endpoint());
        let tag = format!("key=fleetmesh.dev/proxy-principals,value={roles}");
        aws.run(&["tag-resource", "--resource-arn", ARN, "--tags", &tag]).await.unwrap();
    }

    /// `fleetmesh proxy join` as an instance with this session, whose files go to `folder`.
    fn join(&self, session: &StsSession, folder: &Path, arguments: &[&str]) -> Command {
        self.join_as(NODE, session, folder, arguments)
    }

    /// The same for another virtual node.
    fn join_as(&self, node: &str, session: &StsSession, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(tools::fleetmesh().unwrap());
        command.args(["proxy", "join", "--resource", node, "--control-plane", &self.joins]);
        command.args(["--ca-file", &self.certificates.path("ca/ca.crt"), "--log=trace", "--cert-dir"]);
        command.arg(folder).args(arguments);
        moto::environment(&self.moto.endpoint(), &mut command);
        command.envs(session.key.variables()).env("AWS_SESSION_TOKEN", &session.token);
        command
    }

    pub async fn join_once(&self, session: &StsSession, folder: &Path) -> Captured {
        command::capture(self.join(session, folder, &["--once"])).await.unwrap()
    }
}

/// Makes a role in `moto` and takes it, as the instance [`INSTANCE`].
pub async fn session(moto: &Moto, role: &str) -> StsSession {
    let made = make_role(moto, role).await;
    assume(moto, made["Arn"].as_str().unwrap(), INSTANCE).await
}

async fn make_role(moto: &Moto, role: &str) -> Value {
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "ec2.amazonaws.com" }, "Action": "sts:AssumeRole" }] });
    let create = ["iam", "create-role", "--path", "/mesh/", "--role-name", role];
    let trust = ["--assume-role-policy-document", &trust.to_string()];
    moto.aws(&[&create[..], &trust].concat()).await.unwrap()["Role"].take()
}

async fn assume(moto: &Moto, arn: &str, name: &str) -> StsSession {
    let assume = ["sts", "assume-role", "--role-arn", arn, "--role-session-name", name];
    let session = moto.aws(&assume).await.unwrap();
    let text = |member: &str| session["Credentials"][member].as_str().unwrap().to_owned();
    let key = MotoKey { id: text("AccessKeyId"), secret: text("SecretAccessKey") };
    StsSession { key, token: text("SessionToken") }
}

/// A metadata service of this instance, started at this time, whose documents are signed with the key in `key`.
pub async fn metadata(run: &RunDir, key: &Path, instance: &str, started: &str) -> Process {
    let mut serve = Command::new(tools::tool("python").unwrap());
    serve.arg(tools::workspace_dir().unwrap().join("tests/tests/tls/metadata.py"));
    serve.arg(key).args([instance, started]);
    Process::spawn("metadata", &serve, run).unwrap()
}

pub fn role(name: &str) -> String {
    format!("arn:aws:iam::123456789012:role/mesh/{name}")
}

#[tokio::test]
async fn a_granted_role_gets_a_certificate_and_nothing_else_does() {
    let bed = JoinBed::start("join").await;
    let session = bed.session("apps-red").await;
    let folder = bed.run.join("joined");

    let refused = bed.join_once(&session, &folder).await;
    assert!(!refused.status.success() && refused.stderr.contains("is not granted to"), "{refused:?}");
    bed.grant(&format!("{} {}", role("other"), role("apps-red"))).await;
    let joined = bed.join_once(&session, &folder).await;
    assert!(joined.status.success(), "{joined:?}");
    assert!(joined.stderr.contains("TRACE"), "everything is logged");
    let key = fs::read_to_string(folder.join("tls.key")).unwrap();
    let log = fs::read_to_string(bed.run.join("control-plane.log")).unwrap();
    for secret in [&session.key.secret, &session.token, key.lines().nth(1).unwrap()] {
        for log in [&log, &joined.stderr, &refused.stderr] {
            assert!(!log.contains(secret), "{secret} is in a log");
        }
    }

    let stranger = bed.session("apps-blue").await;
    let refused = bed.join_once(&stranger, &bed.run.join("stranger")).await;
    assert!(
        refused.stderr.contains("is not granted to arn:aws:iam::123456789012:role/apps-blue"),
        "{refused:?}"
    );
    let forged = StsSession { key: MotoKey { secret: "x".repeat(40), ..session.key.clone() }, ..session };
    let refused = bed.join_once(&forged, &bed.run.join("forged")).await;
    assert!(refused.stderr.contains("STS does not accept the signature"), "{refused:?}");

    let session = bed.session("apps-gray").await;
    bed.grant(&role("apps-gray")).await;
    let script = tools::workspace_dir().unwrap().join("tests/tests/tls/joins.py");
    let mut command = Command::new(tools::tool("python").unwrap());
    command.arg(script).args([&bed.joins, &bed.certificates.path("ca/ca.crt"), &bed.moto.endpoint(), NODE]);
    moto::environment(&bed.moto.endpoint(), &mut command);
    command.envs(session.key.variables()).env("AWS_SESSION_TOKEN", &session.token);
    let outcomes: Value = serde_json::from_str(&command::run(command).await.unwrap()).unwrap();
    for (case, status, words) in [
        ("good", 200, ""),
        ("challenge of a former version", 200, ""),
        ("replayed", 403, "the challenge is unknown, spent"),
        ("unknown challenge", 403, "the challenge is unknown, spent"),
        ("other challenge signed", 403, "STS does not accept the signature"),
        ("other host signed", 403, "STS does not accept the signature"),
        ("other body signed", 403, "STS does not accept the signature"),
        ("other path signed", 403, "STS does not accept the signature"),
        ("other key", 403, "the challenge is unknown, spent"),
        ("other resource", 403, "the challenge is unknown, spent"),
        ("other key, unbound", 403, "STS does not accept the signature"),
        ("other resource, unbound", 403, "STS does not accept the signature"),
        ("no key", 400, "the key is no point of its curve"),
        ("challenge not signed", 403, "x-fleetmesh-challenge has to be signed"),
        ("header added", 403, "\"x-other\" may not be signed"),
        ("host given", 400, "is not a request to join"),
        ("body given", 400, "is not a request to join"),
        ("for another service", 403, "it is for iam, not for sts"),
        ("other region signed", 403, "it is for the region eu-west-1, not for us-west-2"),
        ("unparsed rest", 403, "expected `AWS4-HMAC-SHA256 Credential="),
        ("long header name", 403, "expected `AWS4-HMAC-SHA256 Credential="),
    ] {
        let outcome = &outcomes[case];
        let message = outcome["message"].as_str().unwrap_or_default();
        assert!(outcome["status"] == status && message.contains(words), "{case}: {outcome}");
    }
}

#[tokio::test]
async fn an_instance_has_to_prove_which_one_it_is() {
    const OTHER: &str = "i-0fedcba9876543210";
    const STARTED: &str = "2026-01-01T00:00:00Z";
    let (keys, first) = (RunDir::new("regions").unwrap(), "2026-01-02T00:00:00Z");
    let [trusted, forged] = ["region", "forged"].map(|name| keys.join(name));
    let mut services = Vec::new();
    // One after the other: the first of a key makes it.
    for (key, instance, started) in [
        (&trusted, INSTANCE, STARTED),
        (&trusted, OTHER, STARTED),
        (&trusted, INSTANCE, first),
        (&forged, INSTANCE, STARTED),
    ] {
        let mut service = metadata(&keys, key, instance, started).await;
        let port = service.first_line(LIMIT).await.unwrap();
        services.push((service, format!("http://127.0.0.1:{port}")));
    }
    let [own, others, after_a_stop, forgery] = [0, 1, 2, 3].map(|index| services[index].1.clone());
    let certificates = format!("{}.crt", trusted.display());
    let mut bed =
        JoinBed::start_with("identity", |_| vec!["--identity-certificates".to_owned(), certificates]).await;
    let made = bed.role("apps-red").await;
    let arn = made["Arn"].as_str().unwrap();
    let session = bed.assume(arn, INSTANCE).await;
    bed.grant(arn).await;
    let folders = [0, 1].map(|index| bed.run.join(format!("joined-{index}")));
    let join_as = async |bed: &JoinBed, node: &str, session: &StsSession, folder: &Path, service: &str| {
        let mut command = bed.join_as(node, session, folder, &["--once"]);
        command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", service);
        command.env("AWS_EC2_METADATA_DISABLED", if service.is_empty() { "true" } else { "false" });
        let Captured { status, stderr, .. } = command::capture(command).await.unwrap();
        if status.success() { String::new() } else { stderr }
    };
    let join = async |bed: &JoinBed, session: &StsSession, folder: &Path, service: &str| {
        join_as(bed, NODE, session, folder, service).await
    };
    let person = bed.assume(arn, "somebody").await;
    for (what, session, service, words) in [
        ("no document", &session, "", "identityDocument: an instance identity document has to be sent"),
        ("another's document", &session, &*others, "it is of the instance i-0fedcba9876543210"),
        ("a forged document", &session, &*forgery, "no certificate that is trusted signed it"),
        ("a session of another name", &person, &*own, "the role's session is somebody"),
    ] {
        let refused = join(&bed, session, &folders[0], service).await;
        assert!(refused.contains(words), "{what}: {refused}");
    }
    assert_eq!(join(&bed, &session, &folders[0], &own).await, "");
    let key = fs::read_to_string(folders[0].join("tls.key")).unwrap();
    for restarted in [false, true] {
        let refused = join(&bed, &session, &folders[1], &own).await;
        assert!(
            refused.contains("has a certificate for mesh/apps/virtualNode/red with another key"),
            "{refused}"
        );
        assert_eq!(join(&bed, &session, &folders[0], &own).await, "", "its own key is as good as before");
        if !restarted {
            bed.control_plane.kill();
            bed.control_plane.restart(&bed.run).await.unwrap();
        }
    }
    assert_eq!(fs::read_to_string(folders[0].join("tls.key")).unwrap(), key);

    // For another node that grants the same role the instance is bound by itself, to the key that comes first there.
    let (blue, tag) =
        ("mesh/apps/virtualNode/blue", format!("key=fleetmesh.dev/proxy-principals,value={arn}"));
    let create =
        ["create-virtual-node", "--mesh-name", "apps", "--virtual-node-name", "blue", "--spec", "{}"];
    let aws = aws::AppMesh::new(&bed.control_plane.endpoint());
    aws.run(&[&create[..], &["--tags", &tag]].concat()).await.unwrap();
    assert_eq!(join_as(&bed, blue, &session, &folders[1], &own).await, "");
    let refused = join_as(&bed, blue, &session, &folders[0], &own).await;
    assert!(refused.contains(&format!("has a certificate for {blue} with another key")), "{refused}");
    let refused = join(&bed, &session, &folders[1], &own).await;
    assert!(refused.contains(&format!("has a certificate for {NODE} with another key")), "{refused}");

    assert_eq!(join(&bed, &session, &folders[1], &after_a_stop).await, "", "it was stopped and started");
    let log = fs::read_to_string(bed.run.join("control-plane.log")).unwrap();
    assert!(!log.contains(&session.token), "the token is in the log");
}

/// An instance of moto's in an instance profile with `role`.
async fn launch(moto: &Moto, role: &str) -> String {
    let profile = ["--instance-profile-name", role];
    // There is one for both instances of a role.
    if moto.aws(&[&["iam", "create-instance-profile"], &profile[..]].concat()).await.is_ok() {
        let add = ["iam", "add-role-to-instance-profile", "--role-name", role];
        moto.aws(&[&add[..], &profile].concat()).await.unwrap();
    }
    let (image, with) = (["--image-id", "ami-12c6146b"], format!("Name={role}"));
    let run = [&["ec2", "run-instances", "--iam-instance-profile", &with], &image[..]].concat();
    let launched = moto.aws(&run).await.unwrap();
    launched["Instances"][0]["InstanceId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn ec2_has_to_know_the_instance_and_to_have_given_it_the_role() {
    // The document of docs/join.md.
    let page = fs::read_to_string(tools::workspace_dir().unwrap().join("docs/join.md")).unwrap();
    let (_, document) = page.split_once("```json\n").unwrap();
    let policy: Value = serde_json::from_str(document.split_once("```").unwrap().0).unwrap();
    let verify = |_: &RunDir| vec!["--verify-instances".to_owned()];
    let bed = JoinBed::start_allowed("verified", Some(&policy), verify).await;
    let arn = bed.role("apps-red").await["Arn"].as_str().unwrap().to_owned();
    bed.role("apps-other").await;
    bed.grant(&arn).await;
    let moto = &bed.moto;
    let (own, ended, later) =
        (launch(moto, "apps-red").await, launch(moto, "apps-red").await, launch(moto, "apps-red").await);
    let others = launch(moto, "apps-other").await;
    moto.aws(&["ec2", "terminate-instances", "--instance-ids", &ended]).await.unwrap();
    let folder = bed.run.join("joined");
    let join = async |instance: &str| {
        let Captured { status, stderr, .. } = bed.join_once(&bed.assume(&arn, instance).await, &folder).await;
        if status.success() { String::new() } else { stderr }
    };
    for (instance, words) in [
        (INSTANCE, format!("EC2 shows no instance {INSTANCE}")),
        ("somebody", "the role's session somebody is not named after an instance".into()),
        (&ended, format!("the instance {ended} is terminated")),
        (&others, format!("the instance {others} has no instance profile with the role")),
    ] {
        let refused = join(instance).await;
        assert!(refused.contains(&words), "{instance}: {refused}");
        assert!(!folder.join("tls.crt").exists(), "{instance}");
    }
    assert_eq!(join(&own).await, "");

    // The control plane lost its right, as it would EC2: who was verified renews, nobody else joins.
    let other = json!({ "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*" }] });
    moto.allow(USER, &other).await.unwrap();
    let refused = join(&later).await;
    assert!(refused.contains(&format!("EC2 cannot be asked about the instance {later}")), "{refused}");
    assert_eq!(join(&own).await, "");
    moto.allow(USER, &policy).await.unwrap();
    assert_eq!(join(&later).await, "");
}

#[tokio::test]
async fn a_role_that_was_made_again_is_another() {
    let bed = JoinBed::start("made-again").await;
    // As the operator writes it: the first of the two is for control planes of before.
    let entry = |role: &Value| {
        let [arn, id] = ["Arn", "RoleId"].map(|member| role[member].as_str().unwrap());
        format!("{arn} {}:{id}", arn.replace("/mesh/", "/"))
    };
    let first = bed.role("apps-red").await;
    let arn = first["Arn"].as_str().unwrap();
    bed.grant(&entry(&first)).await;
    let folder = bed.run.join("joined");
    let joined = bed.join_once(&bed.assume(arn, INSTANCE).await, &folder).await;
    assert!(joined.status.success(), "{joined:?}");
    bed.moto.aws(&["iam", "delete-role", "--role-name", "apps-red"]).await.unwrap();
    let second = bed.role("apps-red").await;
    assert_eq!(second["Arn"], first["Arn"]);
    let session = bed.assume(arn, INSTANCE).await;
    let refused = bed.join_once(&session, &folder).await;
    assert!(!refused.status.success() && refused.stderr.contains("it was made again"), "{refused:?}");
    bed.grant(&entry(&second)).await;
    let joined = bed.join_once(&session, &folder).await;
    assert!(joined.status.success(), "{joined:?}");
    bed.grant(arn).await;
    let joined = bed.join_once(&session, &folder).await;
    assert!(joined.status.success(), "a tag of before: {joined:?}");
}

/// Nobody else's connection is forwarded: it ends without an answer.
async fn is_closed_to_others(socket: &Path, bed: &JoinBed) {
    let connect = "import os, socket, sys\n\
        os.setuid(int(sys.argv[2]))\n\
        it = socket.socket(socket.AF_UNIX)\n\
        it.settimeout(20)\n\
        try:\n    \
            it.connect(sys.argv[1])\n    \
            it.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n' + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))\n    \
            print(len(it.recv(9)))\n\
        except (ConnectionResetError, BrokenPipeError):\n    \
            print(0)\n";
    let answered = async |user: u32| {
        let mut python = Command::new(tools::tool("python").unwrap());
        python.args(["-c", connect]).arg(socket).arg(user.to_string());
        command::run(python).await.unwrap().trim().to_owned()
    };
    assert_eq!(answered(UID).await, "9", "the beginning of the control plane's settings");
    assert_eq!(answered(UID + 1).await, "0");
    let log = fs::read_to_string(bed.run.join("join.log")).unwrap();
    assert!(log.contains("see --owner and --serve-unix-user"), "{log}");
}

#[tokio::test]
async fn a_stream_over_the_forwarded_socket_ends_soon_after_its_grant_or_with_its_instance() {
    if !fleetmesh_testbed::userns::wanted() {
        return;
    }
    let bed = JoinBed::start_with("revoked", |run| {
        fs::write(run.join("denied"), "").unwrap();
        vec!["--denied-instances".to_owned(), run.join("denied").display().to_string()]
    })
    .await;
    let session = bed.session("apps-red").await;
    bed.grant(&role("apps-red")).await;
    let (folder, socket) = (bed.run.join("joined"), bed.run.join("proxy.sock"));
    let owner = UID.to_string();
    let forwarded = ["--owner", &owner, "--ads", &bed.ads, "--serve-unix", socket.to_str().unwrap()];
    let join = bed.join(&session, &folder, &forwarded);
    let mut join = Process::spawn("join", &join, &bed.run).unwrap();
    join.until("it has joined", LIMIT, async |_| Ok(folder.join("tls.crt").exists().then_some(())))
        .await
        .unwrap();

    let mut network = Network::new(&bed.run).await.unwrap();
    let instance = network.instance("red", &bed.run).await.unwrap();
    let address = format!("unix:{}", socket.display());
    let mut envoy =
        fleetmesh_testbed::envoy::Envoy::start(NODE, &address, &instance, &bed.run).await.unwrap();
    envoy.ready(&instance, LIMIT).await.unwrap();
    let proxies = async || {
        let answer = bed.control_plane.distribution("apps").await?;
        let objects = answer["objects"].as_array().cloned().unwrap_or_default();
        let red = objects.into_iter().find(|object| object["resource"] == NODE);
        Ok::<_, anyhow::Error>(red.map(|red| red["proxies"].clone()).unwrap_or_default())
    };
    assert_eq!(proxies().await.unwrap(), 1);
    is_closed_to_others(&socket, &bed).await;

    let revoked = std::time::Instant::now();
    bed.grant(&role("somebody-else")).await;
    says(&mut envoy, "7, mesh/apps/virtualNode/red is not granted to", 1).await;
    assert!(revoked.elapsed() < Duration::from_secs(30), "{:?}", revoked.elapsed());
    // The proxy hears of it before its stream is struck off.
    wait::until("the proxy is gone", LIMIT, async || Ok((proxies().await? != 1).then_some(())))
        .await
        .unwrap();
    println!("a stream ended {:?} after its grant was taken away", revoked.elapsed());
    bed.grant(&role("apps-red")).await;
    let back = async || {
        wait::until("the proxy is back", LIMIT, async || Ok((proxies().await? == 1).then_some(())))
            .await
            .unwrap();
    };
    back().await;

    let denied = std::time::Instant::now();
    fs::write(bed.run.join("denied"), format!("{INSTANCE} # broken into\n")).unwrap();
    says(&mut envoy, &format!("7, the instance {INSTANCE} is denied"), 1).await;
    println!("a stream ended {:?} after its instance was denied", denied.elapsed());
    assert!(denied.elapsed() < Duration::from_secs(30), "{:?}", denied.elapsed());
    let refused = bed.join_once(&session, &bed.run.join("denied-certificate")).await;
    assert!(refused.stderr.contains(&format!("the instance {INSTANCE} is denied")), "{refused:?}");
    wait::until("the proxy is gone", LIMIT, async || Ok((proxies().await? != 1).then_some(())))
        .await
        .unwrap();
    fs::write(bed.run.join("denied"), "").unwrap();
    back().await;
    join.terminate(Duration::from_secs(30)).await.unwrap();
}
