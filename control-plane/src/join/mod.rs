//! Join: how an EC2 instance without any secret gets a certificate for its virtual node.
//!
//! `challenge → the instance signs an STS GetCallerIdentity that carries it → the request is rebuilt here from the parts that may
//! vary → its identity document, where one is required, is EC2's → STS says who signed → the virtual node's tag says whether that
//! role may → a certificate, for an hour unless configured otherwise`
//!
//! With `--verify-instances` EC2 is asked about the instance, too ([`instances`]).
//!
//! Calls to AWS are limited: so many tries at once, and so many from one source in a second. What is rejected before that costs
//! nobody anything.
//!
//! Only a signature, its time and a session token of the request to STS come from the instance, each read by a strict grammar
//! ([`proof`]): method, host, path and body are this program's own, and so is every header's name (Vault's CVE-2020-16250 was the
//! lack of this). A challenge is used once, and is signed together with the resource and the public key that it is for.

mod challenge;
mod denied;
pub(crate) mod document;
pub mod http;
pub mod instances;
pub(crate) mod proof;
mod rate;
pub(crate) mod sts;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetmesh_api::join::{Challenge, ChallengeRequest, JoinAnswer, JoinRequest, MeshCertificate};
use fleetmesh_mesh::foreign::Foreign;
use fleetmesh_mesh::grant::{self, Joined};
use fleetmesh_mesh::refusal::{Class, Refusal};
use fleetmesh_mesh::store::{Binding, CommitError};
use fleetmesh_model::{Arn, ResourceId};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::accounts::Accounts;
use crate::certs::{Authority, CertificateError, PublicKey, Validity};
use crate::kms::KmsKeyHandle;
use crate::listen::Source;
use crate::mesh_ca::MeshCa;
use crate::reload::{FileError, Named};
use crate::secret::Secret;
use crate::store::Store;
use crate::views::Views;
use challenge::{ChallengePurpose, Challenges};
pub use denied::Denied;
use document::Document;
pub use document::{Documents, IdentityCertificates, InstanceIdentity};
pub use instances::{Described, Instances, Verifier};
use rate::Rates;
pub use sts::{Sts, StsEndpoint};

/// The longest ARN of a virtual node, with room to spare, in bytes: longer texts are not repeated to anybody.
const LONGEST_RESOURCE: usize = 2048;
/// The longest public key, in base 64.
const LONGEST_KEY: usize = 128;

/// The shortest that a certificate is valid, if none is to be made for longer: instances renew at half of it.
const SHORTEST: Duration = Duration::from_secs(10);

/// Questions to STS and EC2 that may be under way.
const QUESTIONS: usize = 16;
/// Signatures of KMS that may be under way, each on a thread that waits for it.
const SIGNATURES: usize = 16;
/// How long a try waits until AWS may be asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// The files of the CA.
#[derive(Clone, Debug)]
pub struct CaFiles {
    /// The certificates of its roots.
    pub certificate: PathBuf,
    /// The intermediate that signs, unless a root does.
    pub signing: Option<PathBuf>,
    /// Its key.
    pub key: CaKey,
}

/// The key of the CA.
#[derive(Clone, Debug)]
pub enum CaKey {
    /// In a file.
    File(PathBuf),
    /// Held by KMS.
    Held(KmsKeyHandle),
}

impl CaFiles {
    /// The CA as the files have it. KMS is not asked.
    fn read(&self) -> Result<Authority, FileError> {
        let named = |flag, path: &Path| Named { flag, path: path.to_path_buf() };
        let certificate = named("--ca-cert", &self.certificate);
        let signing = self.signing.as_deref().map(|path| named("--signing-cert", path));
        let (bundle, between) = (certificate.read()?, signing.as_ref().map(Named::read).transpose()?);
        match &self.key {
            CaKey::File(path) => {
                let key = named("--ca-key", path);
                let secret = Secret::new(String::from_utf8_lossy(&key.read()?));
                Authority::read_with(&bundle, between.as_deref(), &secret)
                    .map_err(|error| key.error(error.to_string()))
            }
            CaKey::Held(held) => Authority::read_held(&bundle, between.as_deref(), held)
                .map_err(|error| signing.unwrap_or(certificate).error(error.to_string())),
        }
    }
}

/// Who vouches for instances that join, and who is let in.
#[derive(Clone, Debug)]
pub struct JoinRules {
    /// Knows the roles.
    pub sts: Sts,
    /// Knows the instances.
    pub documents: Documents,
    /// Asks EC2 about the instances, where it may.
    pub verifier: Option<Verifier>,
    /// The instances that are let in no more.
    pub denied: Denied,
}

/// Lets instances join.
pub struct Joining {
    store: Arc<dyn Store>,
    accounts: Accounts,
    files: CaFiles,
    challenges: Challenges,
    rates: Mutex<Rates>,
    questions: Semaphore,
    signatures: Arc<Semaphore>,
    rules: JoinRules,
    validity: Duration,
    /// Signs for connections between proxies, where anything does.
    mesh: Option<MeshCa>,
}

impl Joining {
    /// Certifies with the CA in `files`, for `validity` (whole seconds), whom `rules` know and the tags in `store` grant; a
    /// source may try `rate` times a second.
    ///
    /// # Errors
    /// The CA cannot be used.
    pub fn new(
        store: Arc<dyn Store>,
        accounts: Accounts,
        files: CaFiles,
        rules: JoinRules,
        validity: Duration,
        rate: u32,
    ) -> Result<Self, FileError> {
        files.read()?;
        let no_key = |refusal: Refusal| FileError {
            flag: "--ca-cert",
            path: files.certificate.clone(),
            reason: refusal.message,
        };
        let challenges = Challenges::new(Instant::now()).map_err(no_key)?;
        let (rates, questions) = (Mutex::new(Rates::new(rate)), Semaphore::new(QUESTIONS));
        let signatures = Arc::new(Semaphore::new(SIGNATURES));
        Ok(Self {
            store,
            accounts,
            files,
            challenges,
            rates,
            questions,
            signatures,
            rules,
            validity,
            mesh: None,
        })
    }

    /// The same, which gives certificates of `mesh`, too.
    #[must_use]
    pub fn with_mesh(self, mesh: MeshCa) -> Self {
        Self { mesh: Some(mesh), ..self }
    }

    /// A new challenge. Nothing is kept of it, so nobody can ask for too many.
    ///
    /// # Errors
    /// A fault of the system.
    pub fn challenge(&self, request: &ChallengeRequest) -> Result<Challenge, Refusal> {
        let ChallengeRequest { resource, public_key } = request;
        let of = |member: &Option<String>| member.clone().unwrap_or_default();
        let (resource, public_key) = (of(resource), of(public_key));
        let purpose = ChallengePurpose { resource: &resource, public_key: &public_key };
        let challenge = self.challenges.new_one(purpose, Instant::now())?;
        let StsEndpoint { host, region, .. } = self.rules.sts.endpoint();
        Ok(Challenge {
            challenge,
            sts_host: host.clone(),
            sts_region: region.clone(),
            identity_document: self.rules.documents.are_wanted(),
        })
    }

    /// Certifies the key of an instance at `source` that proves to have a role that may run the resource.
    ///
    /// # Errors
    /// What was wrong. A challenge is spent all the same, but not by a try that was one too many.
    pub async fn join(&self, source: Option<Source>, request: JoinRequest) -> Result<JoinAnswer, Refusal> {
        let now = Instant::now();
        if !self.rates.lock().unwrap_or_else(PoisonError::into_inner).take(source, now) {
            return Err(busy(
                "this address tries to join too often (--join-rate-per-source): try again in a moment",
            ));
        }
        let purpose = ChallengePurpose { resource: &request.resource, public_key: &request.public_key };
        if !self.challenges.spend(&request.challenge, purpose, now)? {
            return Err(denied("the challenge is unknown, spent or older than a minute: ask for another"));
        }
        if request.resource.len() > LONGEST_RESOURCE || request.public_key.len() > LONGEST_KEY {
            return Err(Refusal::bad_request("resource or publicKey: it is longer than any can be"));
        }
        let node = self.node(&request.resource)?;
        let key = public_key(&request.public_key)?;
        let (joined, document) = self.prove(&request, &node).await?;
        let arn = self.accounts.identity().arn(&node);
        let answer = self.certify(&node, arn, &joined, key).await?;
        // After the signature: an instance that got no certificate is bound to no key.
        if let Some(document) = document {
            self.bind(&request, &node, &document).await?;
        }
        tracing::info!(%node, role = joined.role_arn(), session = joined.session, "an instance joined");
        Ok(answer)
    }

    /// Signs certificates of `key` for a proxy of `node`, whose ARN is `arn`, on a thread that may wait for KMS. That thread, and not who waits for
    /// it, holds the place among [`SIGNATURES`]: who hangs up makes no room for another.
    async fn certify(
        &self,
        node: &ResourceId,
        arn: String,
        joined: &Joined,
        key: PublicKey,
    ) -> Result<JoinAnswer, Refusal> {
        let failed = |error: String| Refusal::new(Class::InternalServerError, error);
        let authority = self.files.read().map_err(|error| failed(error.to_string()))?;
        let validity = self.validity(&authority)?;
        let name = node.name().chars().take(64).collect::<String>();
        let uris = [vec![arn.clone()], joined.uris()].concat();
        let mesh = self.mesh_authority(validity.now).await;
        let place = timeout(PATIENCE, Arc::clone(&self.signatures).acquire_owned()).await;
        let place = place.ok().and_then(Result::ok).ok_or_else(|| {
            busy("too many instances join at once, and KMS signs for all of them: try again in a moment")
        })?;
        let sign = move || {
            let _place = place;
            let certificate = authority.sign_client(&name, &uris, &key, validity)?;
            let of_mesh = |mesh: Authority| {
                let certificate = mesh.sign_peer(&name, &arn, &key, mesh.capped(validity))?;
                Ok::<_, CertificateError>(MeshCertificate {
                    certificate,
                    authority: mesh.certificate().to_owned(),
                })
            };
            let mesh = mesh.map(of_mesh).transpose()?;
            let authority = authority.certificate().to_owned();
            Ok(JoinAnswer { certificate, authority, valid_seconds: validity.length.as_secs(), mesh })
        };
        let signed = tokio::task::spawn_blocking(sign).await.map_err(|error| failed(error.to_string()))?;
        signed.map_err(unsigned)
    }

    /// What signs for connections between proxies. Without it instances join all the same: what they have of it they keep.
    async fn mesh_authority(&self, now: SystemTime) -> Option<Authority> {
        let found = self.mesh.as_ref()?.authority(now).await;
        found.inspect_err(|error| tracing::error!(%error, "joining goes on without it")).ok()
    }

    /// For how long `authority` certifies: no certificate is of use when the one that signed it has ended.
    fn validity(&self, authority: &Authority) -> Result<Validity, Refusal> {
        let validity = authority.capped(Validity { now: SystemTime::now(), length: self.validity });
        if validity.length < self.validity.min(SHORTEST) {
            let message = "the certificate that signs (--signing-cert, or else --ca-cert) ends: renew it";
            tracing::error!("{message}; until then no instance can join");
            return Err(Refusal::new(Class::ServiceUnavailable, message));
        }
        Ok(validity)
    }

    /// Who sent `request`, when that one may run `node`, and the document of the instance.
    async fn prove(
        &self,
        request: &JoinRequest,
        node: &ResourceId,
    ) -> Result<(Joined, Option<Document>), Refusal> {
        let JoinRules { sts, documents, verifier, denied: deny } = &self.rules;
        let headers = proof::headers(request, sts.endpoint())?;
        // Before STS is asked: whoever has no instance causes no calls in the account's name.
        let document = documents.verified(request.identity_document.as_deref(), SystemTime::now());
        let document = document.map_err(|reason| denied(&reason))?;
        let caller = {
            let _question = self.question().await?;
            sts.caller(headers).await?
        };
        let joined = Joined::parse(&caller).map_err(|reason| denied(&reason))?;
        let is_of = document.as_ref().map_or(Ok(()), |document| document.is_of(&joined));
        is_of.map_err(|reason| denied(&reason))?;
        may_run(self.store.as_ref(), deny, node, &joined).map_err(|reason| denied(&reason))?;
        self.accounts.configures(self.store.as_ref(), node).map_err(|reason| denied(&reason))?;
        // Last, so that only who has a role that is granted has EC2 asked.
        if let Some(verifier) = verifier {
            self.verify(verifier, &joined).await?;
        }
        Ok((joined, document))
    }

    /// Has EC2 say that `joined` is an instance with its role.
    async fn verify(&self, verifier: &Verifier, joined: &Joined) -> Result<(), Refusal> {
        if let Some(known) = verifier.recall(joined, Instant::now()) {
            return known.map_err(|reason| denied(&reason));
        }
        let _question = self.question().await?;
        verifier.check(joined).await
    }

    /// Binds the instance to its key: while a certificate that it got for `node` is valid, it gets none for another key.
    async fn bind(
        &self,
        request: &JoinRequest,
        node: &ResourceId,
        document: &Document,
    ) -> Result<(), Refusal> {
        let now = Timestamp::now();
        let binding = Binding {
            instance: document.instance_id.clone(),
            node: node.clone(),
            key: Sha256::digest(&request.public_key).into(),
            started: document.pending_time,
            until: now.saturating_add(self.validity).unwrap_or(Timestamp::MAX),
        };
        match self.store.bind(binding, now).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(denied(&format!(
                "{document} has a certificate for {node} with another key: it gets one for this key when that certificate has ended or the instance was stopped and started; if no key of it was lost, something else on it tried to join"
            ))),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// The right to ask STS or EC2, which ends when it is dropped.
    async fn question(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        let permit = timeout(PATIENCE, self.questions.acquire()).await;
        permit.ok().and_then(Result::ok).ok_or_else(|| {
            busy("too many instances join at once, and AWS is asked for all of them: try again in a moment")
        })
    }

    fn node(&self, text: &str) -> Result<ResourceId, Refusal> {
        let malformed = |reason: String| Refusal::bad_request(format!("resource: {}", Foreign(&reason)));
        let identity = self.accounts.identity();
        let resource = match text.starts_with("arn:") {
            true => Arn::parse(text).map(|arn| {
                let resource = arn.resource.clone();
                identity.named(arn).ok_or(resource)
            }),
            false => identity.short(text).map(Ok),
        };
        match resource.map_err(malformed)? {
            Ok(node) if node.kind().info().has_proxies => Ok(node),
            Ok(other) | Err(other) => {
                Err(malformed(format!("{other} is no virtual node of this control plane")))
            }
        }
    }
}

/// Whether `joined` may run `node` now: its instance is not denied, and `node` grants itself to its role.
///
/// # Errors
/// In words: it may not, and how it might.
pub fn may_run(views: &dyn Views, denied: &Denied, node: &ResourceId, joined: &Joined) -> Result<(), String> {
    denied.check(joined)?;
    let view = views.mesh(node.mesh_name());
    let tags = view.as_ref().and_then(|view| view.get(node)).map(|record| &record.tags);
    grant::check(node, tags, joined)
}

/// Why there is no signature: KMS may sign a moment later.
fn unsigned(error: CertificateError) -> Refusal {
    let class = match error {
        CertificateError::Kms { .. } => Class::ServiceUnavailable,
        _ => Class::InternalServerError,
    };
    Refusal::new(class, error.to_string())
}

fn unavailable(error: CommitError) -> Refusal {
    match error {
        CommitError::Refused(refusal) => refusal,
        CommitError::Unavailable { reason } => Refusal::new(Class::ServiceUnavailable, reason),
        CommitError::Internal { reason } => Refusal::new(Class::InternalServerError, reason),
    }
}

fn busy(message: &str) -> Refusal {
    Refusal::new(Class::TooManyRequests, message)
}

fn denied(message: &str) -> Refusal {
    Refusal::new(Class::Forbidden, message)
}

/// The public key of a request: uncompressed, and on the curve.
fn public_key(text: &str) -> Result<PublicKey, Refusal> {
    let expected = "publicKey: expected an uncompressed point of P-256 in base 64";
    let point = STANDARD.decode(text).map_err(|_| Refusal::bad_request(expected))?;
    PublicKey::p256(&point).map_err(|reason| Refusal::bad_request(format!("{expected}: {reason}")))
}
