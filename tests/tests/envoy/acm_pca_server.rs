//! ACM PCA as moto has it where IAM is in force, at an address of its own from which it can be taken away, and a control plane that asks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::front::{Front, Upstream};
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::moto::{self, Moto};
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{tools, wait};
use serde_json::{Value, json};

use crate::bed::LIMIT;
use crate::certificates::TestAuthority;

/// Who the control plane is in AWS.
const USER: &str = "control-plane";
/// The authority in the document of `docs/tls.md`.
const DOCUMENTED: &str =
    "arn:aws:acm-pca:us-west-2:111122223333:certificate-authority/11111111-2222-3333-4444-555555555555";
/// How an authority is made; moto looks at none of it.
const CONFIGURATION: &str = r#"{"KeyAlgorithm":"EC_prime256v1","SigningAlgorithm":"SHA256WITHECDSA","Subject":{"CommonName":"test"}}"#;

pub struct AcmPca {
    moto: Moto,
    front: Front,
    away: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    run: std::path::PathBuf,
}

impl AcmPca {
    pub async fn start(run: &RunDir) -> Self {
        let moto = Moto::start_enforcing(run).await.unwrap();
        let (away, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (is_away, count, base) = (Arc::clone(&away), Arc::clone(&asked), moto.endpoint());
        let front = Front::start(move |request, upstream: Upstream| {
            count.fetch_add(1, Ordering::SeqCst);
            let (gone, base) = (is_away.load(Ordering::SeqCst), base.clone());
            async move { if gone { None } else { Some(upstream.forward(&base, request).await) } }
        });
        let run = run.path().to_owned();
        Self { moto, front: front.await.unwrap(), away, asked, run }
    }

    /// A control plane that reads authorities here, each second, and has no rights yet.
    pub async fn control_plane(&self, run: &RunDir) -> ControlPlane {
        let nothing = json!({ "Version": "2012-10-17",
            "Statement": [{ "Effect": "Deny", "Action": "*", "Resource": "*" }] });
        let user = self.moto.user(USER, &nothing).await.unwrap();
        let mut environment = moto::variables(&self.moto.endpoint());
        environment.push(("AWS_ENDPOINT_URL_ACM_PCA".to_owned(), self.front.url.clone()));
        environment.extend(user.variables().map(|(name, value)| (name.to_owned(), value.to_owned())));
        let often = Launch::with(["--acm-pca-interval", "1s"]).envs(environment);
        ControlPlane::launch(run, often).await.unwrap()
    }

    /// Gives the control plane what `docs/tls.md` says that it needs, for these authorities.
    pub async fn allow(&self, arns: &[&str]) {
        let page = tools::workspace_dir().unwrap().join("docs/tls.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, section) = page.split_once("\n## Authorities of ACM PCA\n").unwrap();
        let (_, document) = section.split_once("```json\n").unwrap();
        let mut document: Value = serde_json::from_str(document.split_once("```").unwrap().0).unwrap();
        let resource = document.pointer_mut("/Statement/0/Resource").unwrap();
        assert_eq!(*resource, DOCUMENTED);
        *resource = json!(arns);
        self.moto.allow(USER, &document).await.unwrap();
    }

    /// Takes all rights from the control plane.
    pub async fn deny(&self) {
        self.allow(&[DOCUMENTED]).await;
    }

    /// Takes it away, or brings it back.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// Awaits that it was asked in vain some more times: the control plane knows.
    pub async fn is_asked(&self) {
        let before = self.asked.load(Ordering::SeqCst);
        wait::until("ACM PCA is asked", LIMIT, async || {
            Ok((self.asked.load(Ordering::SeqCst) >= before + 2).then_some(()))
        })
        .await
        .unwrap();
    }

    /// A new authority with the certificate of `authority`, which is below `above`.
    pub async fn authority(&self, authority: &TestAuthority, above: Option<&TestAuthority>) -> String {
        let kind = if above.is_some() { "SUBORDINATE" } else { "ROOT" };
        let create = ["acm-pca", "create-certificate-authority", "--certificate-authority-type", kind];
        let create = [&create[..], &["--certificate-authority-configuration", CONFIGURATION]].concat();
        let made = self.moto.aws(&create).await.unwrap();
        let arn = made["CertificateAuthorityArn"].as_str().unwrap().to_owned();
        self.import(&arn, authority, above).await;
        arn
    }

    /// Gives the authority with this ARN the certificate of `authority`.
    pub async fn import(&self, arn: &str, authority: &TestAuthority, above: Option<&TestAuthority>) {
        let file = |name: &str, pem: &str| {
            let path = self.run.join(name);
            std::fs::write(&path, pem).unwrap();
            format!("fileb://{}", path.display())
        };
        let certificate = file("acm-pca.pem", authority.pem());
        let import =
            ["acm-pca", "import-certificate-authority-certificate", "--certificate-authority-arn", arn];
        let mut import = [&import[..], &["--certificate", &certificate]].concat();
        let chain = above.map(|above| file("acm-pca-chain.pem", above.pem()));
        import.extend(chain.iter().flat_map(|chain| ["--certificate-chain", chain.as_str()]));
        self.moto.aws(&import).await.unwrap();
    }
}
