//! Keys that KMS holds, as moto does, where IAM is in force: the rights are those that `docs/operations.md` lists. KMS goes away
//! and comes back.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetmesh_testbed::command::{self, Captured};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::front::{Front, Upstream};
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::moto::{self, Moto};
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{aws, port, tools, wait};
use serde_json::{Value, json};

use crate::api::{cli, cli_command};
use crate::bed::{BedCertificates, BedKey, LIMIT, TlsBed};
use crate::flood::clients::{FloodProxy, FloodTls};
use crate::join::{ARN, INSTANCE, NODE, StsSession, metadata, role, session};

/// Who the control plane is in AWS.
const USER: &str = "control-plane";
/// The key in the documents of `docs/operations.md`.
const DOCUMENTED: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// moto, and its KMS at an address of its own, from which it can be taken away.
struct KmsServer {
    moto: Moto,
    front: Front,
    away: Arc<AtomicBool>,
}

impl KmsServer {
    async fn start(run: &RunDir) -> Self {
        let moto = Moto::start_enforcing(run).await.unwrap();
        let (away, base) = (Arc::new(AtomicBool::new(false)), moto.endpoint());
        let is_away = Arc::clone(&away);
        let answer = move |asked, upstream: Upstream| {
            let (gone, base) = (is_away.load(Ordering::SeqCst), base.clone());
            async move { if gone { None } else { Some(upstream.forward(&base, asked).await) } }
        };
        Self { moto, front: Front::start(answer).await.unwrap(), away }
    }

    /// Takes it away, or brings it back.
    fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// A new key.
    async fn key(&self, spec: &[&str]) -> String {
        let made = self.moto.aws(&[&["kms", "create-key"], spec].concat()).await.unwrap();
        made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }

    /// The environment of a user who may do with `key` what the document after `heading` allows.
    async fn environment(&self, heading: &str, key: &str) -> Vec<(String, String)> {
        let user = self.moto.user(USER, &documented(heading, key)).await.unwrap();
        let mut environment = moto::variables(&self.moto.endpoint());
        environment.push(("AWS_ENDPOINT_URL_KMS".to_owned(), self.front.url.clone()));
        environment.extend(user.variables().map(|(name, value)| (name.to_owned(), value.to_owned())));
        environment
    }
}

/// The first policy document after `heading` of `docs/operations.md`, for `key`.
fn documented(heading: &str, key: &str) -> Value {
    let page = tools::workspace_dir().unwrap().join("docs/operations.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once(&format!("\n### {heading}\n")).unwrap();
    let (_, document) = section.split_once("```json\n").unwrap();
    let document = document.split_once("```").unwrap().0;
    assert!(document.contains(DOCUMENTED));
    serde_json::from_str(&document.replace(DOCUMENTED, key)).unwrap()
}

/// `fleetmesh proxy join --once` as an instance with this session, whose metadata service is at `metadata`.
fn join(joins: &str, ca: &str, sts: &str, session: &StsSession, metadata: &str, to: &Path) -> Command {
    let mut join = Command::new(tools::fleetmesh().unwrap());
    join.args(["proxy", "join", "--once", "--resource", NODE, "--control-plane", joins, "--cert-dir"]);
    join.arg(to).args(["--ca-file", ca]);
    moto::environment(sts, &mut join);
    join.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata).env("AWS_EC2_METADATA_DISABLED", "false");
    join.envs(session.key.variables()).env("AWS_SESSION_TOKEN", &session.token);
    join
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_in_kms_instances_join_and_nothing_but_joining_waits_for_kms() {
    let run = RunDir::new("kms-ca").unwrap();
    let kms = KmsServer::start(&run).await;
    let key = kms.key(&["--key-spec", "ECC_NIST_P256", "--key-usage", "SIGN_VERIFY"]).await;
    let certificates = BedCertificates::of_kms(run.join("certificates"), "127.0.0.1", &kms.moto, &key).await;
    let environment = kms.environment("A key that KMS holds", &key).await;
    let documents = run.join("region");
    let mut service = metadata(&run, &documents, INSTANCE, "2026-01-01T00:00:00Z").await;
    let metadata = format!("http://127.0.0.1:{}", service.first_line(LIMIT).await.unwrap());
    let documents = format!("{}.crt", documents.display());
    let [joins, ads] = port::free().unwrap();
    let mut arguments = certificates.arguments();
    let signing = certificates.path("ca/signing.crt");
    let sts = kms.moto.endpoint();
    let more = ["--signing-cert", &signing, "--ca-kms-key", &key, "--sts-endpoint", &sts, "--log=trace"];
    arguments.extend(more.map(str::to_owned));
    arguments.extend(["--identity-certificates".to_owned(), documents]);
    for (flag, port) in [("--join-listen", joins), ("--ads-listen", ads)] {
        arguments.extend([flag.to_owned(), format!("0.0.0.0:{port}")]);
    }

    // It starts and serves while KMS is away.
    kms.set_away(true);
    let control_plane = ControlPlane::launch(&run, Launch::with(arguments).envs(environment)).await.unwrap();
    let api = aws::AppMesh::new(&control_plane.endpoint());
    api.run(&["create-mesh", "--mesh-name", "apps"]).await.unwrap();
    let red = ["create-virtual-node", "--mesh-name", "apps", "--virtual-node-name", "red", "--spec", "{}"];
    api.run(&red).await.unwrap();
    let tag = format!("key=fleetmesh.dev/proxy-principals,value={}", role("apps-red"));
    api.run(&["tag-resource", "--resource-arn", ARN, "--tags", &tag]).await.unwrap();
    let (session, folder) = (session(&kms.moto, "apps-red").await, run.join("joined"));
    let (joins, ca) = (format!("https://127.0.0.1:{joins}"), certificates.path("ca/ca.crt"));
    let joined = async || {
        let join = join(&joins, &ca, &sts, &session, &metadata, &folder);
        let Captured { status, stderr, .. } = command::capture(join).await.unwrap();
        if status.success() { String::new() } else { stderr }
    };
    let without = format!("KMS does not sign with {key}: ");
    let refused = joined().await;
    assert!(refused.contains(&without) && refused.contains("kms:Sign"), "{refused}");
    assert!(!folder.join("tls.crt").exists());

    // The instance comes with another key by now: it was not bound to that of a join that failed.
    kms.set_away(false);
    assert_eq!(joined().await, "");
    let tls = FloodTls::proxy(&certificates, &folder);
    let mut stream = FloodProxy::open(tls.channel([127, 0, 0, 1].into(), ads).await.unwrap()).await.unwrap();
    stream.answers.message().await.unwrap().expect("clusters");

    // What was signed goes on: its stream gets changes, and it connects anew.
    kms.set_away(true);
    let refused = joined().await;
    assert!(refused.contains(&without), "{refused}");
    let dns = json!({"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}],
        "serviceDiscovery": {"dns": {"hostname": "localhost"}}});
    let update = ["update-virtual-node", "--mesh-name", "apps", "--virtual-node-name", "red", "--spec"];
    api.run(&[&update[..], &[&dns.to_string()]].concat()).await.unwrap();
    stream.answers.message().await.unwrap().expect("other clusters");
    tls.configured([127, 0, 0, 1].into(), ads).await.unwrap();

    kms.set_away(false);
    assert_eq!(joined().await, "", "KMS is back, and nothing was restarted");
    let none = json!({ "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*" }] });
    kms.moto.allow(USER, &none).await.unwrap();
    let refused = joined().await;
    assert!(refused.contains(&without) && refused.contains("AccessDeniedException"), "{refused}");
}

/// `fleetmesh control-plane keys create` in `data_dir`, as the control plane's user.
async fn create(environment: &[(String, String)], data_dir: &Path, more: &[&str]) -> Captured {
    let mut create = Command::new(tools::fleetmesh().unwrap());
    create.args(["control-plane", "keys", "create", "-o", "json", "--data-dir"]).arg(data_dir).args(more);
    create.envs(environment.iter().cloned());
    command::capture(create).await.unwrap()
}

fn holds(folder: &Path, secret: &str) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.into_iter().any(|file| file.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn access_keys_that_kms_seals_open_with_its_key_and_for_this_alone() {
    let run = RunDir::new("kms-seal").unwrap();
    let kms = KmsServer::start(&run).await;
    let (key, other) = (kms.key(&[]).await, kms.key(&[]).await);
    let environment = kms.environment("Seal them by KMS", &key).await;
    let certificates = BedCertificates::new(run.join("certificates"), "127.0.0.1").await;
    let given = run.join("given.json");
    std::fs::write(&given, r#"{"accessKeyId": "GIVEN", "secretAccessKey": "hush-hush-hush-hush-hush"}"#)
        .unwrap();
    let [port] = port::free().unwrap();
    let mut arguments = certificates.arguments();
    let (listen, file) = (format!("0.0.0.0:{port}"), given.display().to_string());
    let more = ["--listen", &listen, "--seal-kms-key", &key, "--access-keys-file", &file, "--log=trace"];
    arguments.extend(more.map(str::to_owned));
    let control_plane =
        ControlPlane::launch(&run, Launch::with(arguments).envs(environment.clone())).await.unwrap();
    let mut bed = TlsBed { control_plane, certificates, endpoint: format!("https://127.0.0.1:{port}"), run };
    let data_dir = bed.control_plane.data_dir();
    let made = create(&environment, &data_dir, &["--seal-kms-key", &key]).await.success().unwrap();
    let made: BedKey = serde_json::from_str(&made).unwrap();
    let given =
        BedKey { access_key_id: "GIVEN".into(), secret_access_key: "hush-hush-hush-hush-hush".into() };
    let counts = async |bed: &TlsBed| {
        let listed = async || cli(bed, &made, &["list-meshes"]).await.success().map(Some);
        wait::until("the key counts", LIMIT, listed).await.unwrap();
    };
    counts(&bed).await;
    assert!(!holds(&data_dir, &made.secret_access_key), "a copy of the data directory has the secret");

    // It starts while KMS is away. Keys of the file count; the others come by themselves.
    kms.set_away(true);
    bed.control_plane.kill();
    bed.control_plane.restart(&bed.run).await.unwrap();
    cli(&bed, &given, &["list-meshes"]).await.success().unwrap();
    let mut once = cli_command(&bed, &made, &["list-meshes"]);
    once.env("AWS_MAX_ATTEMPTS", "1");
    let refused = command::capture(once).await.unwrap();
    assert!(refused.stderr.contains("cannot be opened, because KMS cannot be asked"), "{refused:?}");
    kms.set_away(false);
    counts(&bed).await;
    bed.no_log_holds(&made);

    // A copy of the database opens with nothing else.
    let copy = bed.run.join("copy");
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::copy(data_dir.join("access-keys.db"), copy.join("access-keys.db")).unwrap();
    let with = format!("--seal-kms-key {key}");
    let everybody = moto::variables(&kms.moto.endpoint());
    let refused = create(&everybody, &copy, &[]).await;
    assert!(!refused.status.success() && refused.stderr.contains(&with), "{refused:?}");
    let refused = create(&everybody, &copy, &["--seal-kms-key", &key]).await;
    assert!(
        refused.stderr.contains("KMS does not open the access keys"),
        "nobody's credentials: {refused:?}"
    );
    let mut by_admin = Command::new("env");
    kms.moto.env(&mut by_admin);
    let admin = by_admin
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned())));
    let admin: Vec<(String, String)> = admin.collect();
    let refused = create(&admin, &copy, &["--seal-kms-key", &other]).await;
    assert!(refused.stderr.contains("does not open with the key that was given"), "{refused:?}");
    assert!(refused.stderr.contains(&with), "{refused:?}");

    // The key that seals is not in the log either, which has everything that the SDK says.
    let read = "import sqlite3, sys; file = sqlite3.connect(sys.argv[1]); \
        open(sys.argv[2], 'wb').write(file.execute('SELECT encrypted FROM data_key').fetchone()[0])";
    let mut python = Command::new(tools::tool("python").unwrap());
    let encrypted = bed.run.join("encrypted");
    python.args(["-c", read]).arg(copy.join("access-keys.db")).arg(&encrypted);
    command::run(python).await.unwrap();
    let purpose = ["--encryption-context", r#"{"fleetmesh.dev/purpose": "access-keys"}"#];
    let encrypted = format!("fileb://{}", encrypted.display());
    let decrypt = ["kms", "decrypt", "--key-id", &key, "--ciphertext-blob", &encrypted];
    let plain = kms.moto.aws(&[&decrypt[..], &purpose].concat()).await.unwrap();
    let plain = plain["Plaintext"].as_str().unwrap();
    let bytes = STANDARD.decode(plain).unwrap();
    let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let log = std::fs::read_to_string(bed.control_plane.process().log()).unwrap();
    for form in [plain, &hexadecimal] {
        assert!(!log.contains(form), "the plain data key is in the log");
    }

    // Neither does the key decrypt here what was encrypted for something else, nor may this user have it do anything else.
    let generate = ["kms", "generate-data-key", "--key-id", &key, "--key-spec", "AES_256"];
    let context = ["--encryption-context", r#"{"fleetmesh.dev/purpose": "else"}"#];
    let foreign = kms.moto.aws(&[&generate[..], &context].concat()).await.unwrap();
    let plant = "import sqlite3, sys, base64; file = sqlite3.connect(sys.argv[1]); \
        file.execute('UPDATE data_key SET encrypted = ?', [base64.b64decode(sys.argv[2])]); file.commit()";
    let mut python = Command::new(tools::tool("python").unwrap());
    python
        .args(["-c", plant])
        .arg(copy.join("access-keys.db"))
        .arg(foreign["CiphertextBlob"].as_str().unwrap());
    command::run(python).await.unwrap();
    let refused = create(&admin, &copy, &["--seal-kms-key", &key]).await;
    assert!(refused.stderr.contains("KMS refuses to decrypt the data key"), "{refused:?}");
    let mut by_user = Command::new(tools::tool("aws").unwrap());
    by_user.args(generate).args(context);
    aws::credentials(&mut by_user);
    by_user.envs(environment);
    let refused = command::capture(by_user).await.unwrap();
    assert!(refused.stderr.contains("AccessDenied"), "{refused:?}");
}
