//! The desired Secrets, given the existing ones. Decides and makes certificates; reads no clock and makes no calls.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fleetmesh_control_plane::certs::{Authority, Issued, Validity, new_authority};
use fleetmesh_control_plane::keys::new_key;
use fleetmesh_control_plane::secret::Secret as Hidden;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::Error;

/// The name of a new CA, for people.
const AUTHORITY: &str = "Fleetmesh";
/// Helm, and Argo CD, leave an object with this alone when no chart has it any more.
const POLICY: (&str, &str) = ("helm.sh/resource-policy", "keep");
/// The names that a certificate is for.
const NAMES: &str = "fleetmesh.dev/names";
/// When it is made anew, in seconds of Unix time.
const RENEW: &str = "fleetmesh.dev/renew-after";
/// The type of a Secret with a certificate and its key.
const TLS: &str = "kubernetes.io/tls";

/// Secrets by their names.
pub type FoundParts = BTreeMap<String, Secret>;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The namespace of the Secrets.
    pub namespace: String,
    /// The Secrets of the CA and of the control plane's certificate.
    pub certificates: Option<[String; 2]>,
    /// How long a new CA is valid, at least 1 s.
    pub ca_validity: Duration,
    /// How long a new certificate of the control plane is valid, at least 1 s; no longer than its CA.
    pub server_validity: Duration,
    /// The names that the control plane is reached by.
    pub names: Vec<String>,
    /// The addresses that it is reached by.
    pub addresses: Vec<IpAddr>,
    /// The Secret of the access key.
    pub access_key: Option<String>,
    /// Whose access key it is.
    pub access_key_name: String,
    /// The meshes that it is for; all of them when empty.
    pub access_key_meshes: Vec<String>,
}

impl Wanted {
    /// The Secrets that it is about.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.certificates.iter().flatten().chain(&self.access_key).map(String::as_str)
    }

    /// The names and addresses as the annotation has them.
    fn all_names(&self) -> String {
        let addresses = self.addresses.iter().map(ToString::to_string);
        self.names.iter().cloned().chain(addresses).collect::<Vec<_>>().join(",")
    }
}

/// What happens to a Secret, and what is said of it.
#[derive(Clone, Debug, PartialEq)]
pub enum PlannedChange {
    /// It is as it should be.
    Keep,
    /// There is none yet.
    Create(Secret, &'static str),
    /// It becomes this one, unless somebody else changes it before.
    Replace(Secret, &'static str),
}

impl PlannedChange {
    /// For the log.
    pub fn said(&self) -> &'static str {
        match self {
            Self::Keep => "kept as it is",
            Self::Create(_, said) | Self::Replace(_, said) => said,
        }
    }
}

/// What to do at `now`, in this order: what a Secret is made from comes before it.
///
/// # Errors
/// A Secret that is kept cannot be used, or one cannot be made.
pub fn plan(
    wanted: &Wanted,
    found: &FoundParts,
    now: SystemTime,
) -> Result<Vec<(String, PlannedChange)>, Error> {
    let mut changes = Vec::new();
    if let Some([ca, server]) = &wanted.certificates {
        let (authority, change) = authority(wanted, ca, found.get(ca), now)?;
        changes.push((ca.clone(), change));
        let change = certificate(wanted, server, found.get(server), &authority, now)?;
        changes.push((server.clone(), change));
    }
    if let Some(name) = &wanted.access_key {
        changes.push((name.clone(), access_key(wanted, name, found.get(name))?));
    }
    Ok(changes)
}

/// The CA: the one that there is, whoever made it, or a new one.
fn authority(
    wanted: &Wanted,
    name: &str,
    found: Option<&Secret>,
    now: SystemTime,
) -> Result<(Authority, PlannedChange), Error> {
    if let Some(secret) = found {
        let kept = |reason: String| Error::Kept { name: name.to_owned(), reason };
        let (certificate, key) = (text(secret, "tls.crt"), text(secret, "tls.key"));
        let authority = Authority::read(certificate.as_bytes(), &Hidden::new(key));
        let authority = authority.map_err(|error| kept(error.to_string()))?;
        if authority.end() <= now {
            return Err(kept("its certificate has ended".into()));
        }
        return Ok((authority, kept_as(secret)));
    }
    let make = |reason: String| Error::Make { name: name.to_owned(), reason };
    let validity = Validity { now, length: wanted.ca_validity };
    let Issued { certificate, key } =
        new_authority(AUTHORITY, validity).map_err(|error| make(error.to_string()))?;
    let authority = Authority::read(certificate.as_bytes(), &key).map_err(|error| make(error.to_string()))?;
    let data = [("tls.crt", certificate), ("tls.key", key.reveal().to_owned())];
    Ok((authority, PlannedChange::Create(new(wanted, name, TLS, data), "made: a new CA")))
}

/// The control plane's certificate, made anew when it is due or no longer fits.
fn certificate(
    wanted: &Wanted,
    name: &str,
    found: Option<&Secret>,
    authority: &Authority,
    now: SystemTime,
) -> Result<PlannedChange, Error> {
    let names = wanted.all_names();
    if let Some(secret) = found.filter(|secret| fits(secret, &names, authority, now)) {
        return Ok(kept_as(secret));
    }
    let make = |reason: String| Error::Make { name: name.to_owned(), reason };
    let validity = authority.capped(Validity { now, length: wanted.server_validity });
    let issued = authority.issue_server(&wanted.names, &wanted.addresses, validity);
    let Issued { certificate, key } = issued.map_err(|error| make(error.to_string()))?;
    let data = [
        ("tls.crt", certificate),
        ("tls.key", key.reveal().to_owned()),
        ("ca.crt", authority.certificate().to_owned()),
    ];
    let due =
        (now + validity.length * 2 / 3).duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
    let annotate = |mut secret: Secret| {
        let annotations = secret.metadata.annotations.get_or_insert_default();
        annotations.insert(NAMES.to_owned(), names.clone());
        annotations.insert(RENEW.to_owned(), due.clone());
        secret
    };
    Ok(match found {
        None => PlannedChange::Create(annotate(new(wanted, name, TLS, data)), "made: a new certificate"),
        Some(secret) => PlannedChange::Replace(annotate(with(secret, data)), "renewed: another certificate"),
    })
}

/// Whether a certificate is for these names, of this CA, and not due.
fn fits(secret: &Secret, names: &str, authority: &Authority, now: SystemTime) -> bool {
    let annotation = |name: &str| secret.metadata.annotations.as_ref()?.get(name).map(String::as_str);
    let due = annotation(RENEW).and_then(|due| due.parse().ok()).unwrap_or_default();
    let whole = ["tls.crt", "tls.key"].iter().all(|key| !text(secret, key).is_empty());
    whole
        && annotation(NAMES) == Some(names)
        && text(secret, "ca.crt").trim() == authority.certificate().trim()
        && now < UNIX_EPOCH + Duration::from_secs(due)
}

/// The access key: its id and secret stay, what it may do follows what is asked for.
fn access_key(wanted: &Wanted, name: &str, found: Option<&Secret>) -> Result<PlannedChange, Error> {
    const FILE: &str = "access-key.json";
    let Some(secret) = found else {
        let key =
            new_key().map_err(|error| Error::Make { name: name.to_owned(), reason: error.to_string() })?;
        let data = [(FILE, policed(wanted, &key.id, key.secret.reveal()).to_string())];
        return Ok(PlannedChange::Create(new(wanted, name, "Opaque", data), "made: a new access key"));
    };
    let unfit = || Error::Kept { name: name.to_owned(), reason: format!("its {FILE} holds no access key") };
    let kept: Value = serde_json::from_str(&text(secret, FILE)).map_err(|_| unfit())?;
    let member = |name: &str| kept[name].as_str().filter(|text| !text.is_empty()).ok_or_else(unfit);
    let right = policed(wanted, member("accessKeyId")?, member("secretAccessKey")?);
    if kept == right {
        return Ok(kept_as(secret));
    }
    let data = [(FILE, right.to_string())];
    Ok(PlannedChange::Replace(with(secret, data), "changed: what the access key may do"))
}

fn policed(wanted: &Wanted, id: &str, secret: &str) -> Value {
    let mut key = json!({
        "accessKeyId": id, "secretAccessKey": secret, "name": wanted.access_key_name, "access": "write",
    });
    if !wanted.access_key_meshes.is_empty() {
        key["meshes"] = json!(wanted.access_key_meshes);
    }
    key
}

fn text(secret: &Secret, key: &str) -> String {
    let bytes = secret.data.as_ref().and_then(|data| data.get(key));
    bytes.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()).unwrap_or_default()
}

/// The Secret as it is, which Helm must not take away although it made it once.
fn kept_as(secret: &Secret) -> PlannedChange {
    let annotated = secret.metadata.annotations.as_ref().and_then(|all| all.get(POLICY.0));
    if annotated.is_some_and(|policy| policy == POLICY.1) {
        return PlannedChange::Keep;
    }
    PlannedChange::Replace(with(secret, []), "taken over: Helm no longer has it")
}

fn with<const N: usize>(secret: &Secret, data: [(&str, String); N]) -> Secret {
    let mut secret = secret.clone();
    let bytes = data.map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())));
    secret.data.get_or_insert_default().extend(bytes);
    let annotations = secret.metadata.annotations.get_or_insert_default();
    annotations.insert(POLICY.0.to_owned(), POLICY.1.to_owned());
    secret
}

fn new<const N: usize>(wanted: &Wanted, name: &str, kind: &str, data: [(&str, String); N]) -> Secret {
    let mut secret = Secret { type_: Some(kind.to_owned()), ..Secret::default() };
    secret.metadata.name = Some(name.to_owned());
    secret.metadata.namespace = Some(wanted.namespace.clone());
    let labels = [("app.kubernetes.io/part-of", "fleetmesh"), ("app.kubernetes.io/managed-by", "fleetmesh")];
    secret.metadata.labels = Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    with(&secret, data)
}

#[cfg(test)]
mod tests;
