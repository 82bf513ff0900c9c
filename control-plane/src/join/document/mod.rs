//! Instance identity documents: what EC2 says of an instance, signed by the instance's region
//! (`/latest/dynamic/instance-identity/rsa2048` of its metadata service). Pure, but for the files of certificates.
//!
//! A document proves which instance it is of, not who sends it: it stays the same while the instance runs, and whoever
//! runs on the instance can read it. The proof to STS beside it is fresh, and both have to name one instance.

pub(crate) mod cms;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use webpki::EndEntityCert;

use super::grant::{Joined, is_instance_id};
use crate::reload::{FileError, Named};

/// The longest document, as it is sent, in bytes. Those of EC2 have less than 2,500.
const LONGEST: usize = 8192;
/// The flag that names the certificates.
const FLAG: &str = "--identity-certificates";

/// Whether instances have to send a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceIdentity {
    /// They do.
    Required,
    /// One that is sent has to be right. For a while, until all send one: an attacker sends none.
    Optional,
    /// None is looked at.
    Off,
}

impl FromStr for InstanceIdentity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "required" => Ok(Self::Required),
            "optional" => Ok(Self::Optional),
            "off" => Ok(Self::Off),
            _ => Err("expected required, optional or off".into()),
        }
    }
}

/// Judges documents.
#[derive(Clone, Debug)]
pub struct Documents {
    certificates: Vec<CertificateDer<'static>>,
    wanted: InstanceIdentity,
}

impl Documents {
    /// Looks at no document.
    pub fn off() -> Self {
        Self { certificates: Vec::new(), wanted: InstanceIdentity::Off }
    }

    /// Trusts the certificates in `file` (PEM), each of a region. Their own signatures and dates say nothing: the file does.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn read(file: &Path, wanted: InstanceIdentity) -> Result<Self, FileError> {
        let named = Named { flag: FLAG, path: file.to_path_buf() };
        let pem = named.read()?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let certificates = certificates.map_err(|error| named.error(error.to_string()))?;
        if certificates.is_empty() {
            return Err(named.error("it holds no certificate in PEM"));
        }
        for (index, certificate) in certificates.iter().enumerate() {
            let unusable = |error: webpki::Error| named.error(format!("certificate {}: {error}", index + 1));
            EndEntityCert::try_from(certificate).map_err(unusable)?;
        }
        Ok(Self { certificates, wanted })
    }

    /// Whether instances are asked for one.
    pub fn are_wanted(&self) -> bool {
        self.wanted != InstanceIdentity::Off
    }

    /// What `sent` says, when it is of the instance that `joined` is; none when none is needed.
    ///
    /// # Errors
    /// In words: it is missing, not EC2's, or of another instance.
    pub fn check(&self, sent: Option<&str>, joined: &Joined) -> Result<Option<Document>, String> {
        let sent = match (self.wanted, sent) {
            (InstanceIdentity::Off, _) | (InstanceIdentity::Optional, None) => return Ok(None),
            (InstanceIdentity::Required, None) => {
                return Err("identityDocument: an instance identity document has to be sent, which `fleetmesh proxy join` of this release takes from the metadata service: is it an instance, and does its hop limit let the joiner reach the service?".into());
            }
            (_, Some(sent)) => sent,
        };
        let wrong = |reason: String| format!("identityDocument: {reason}");
        let document = self.verify(sent).map_err(wrong)?;
        document.is_of(joined).map_err(wrong)?;
        Ok(Some(document))
    }

    fn verify(&self, sent: &str) -> Result<Document, String> {
        if sent.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        // EC2 breaks it into lines.
        let base64: String = sent.split_ascii_whitespace().collect();
        let message = STANDARD.decode(base64).map_err(|_| "expected base 64".to_owned())?;
        let content = cms::verify(&message, &self.certificates)?;
        let document: Document = serde_json::from_slice(&content)
            .map_err(|_| "what is signed is no identity document".to_owned())?;
        if is_instance_id(&document.instance_id) { Ok(document) } else { Err("it names no instance".into()) }
    }
}

/// What a document says, of what matters here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// The account.
    pub account_id: String,
    /// The region.
    pub region: String,
    /// The instance.
    pub instance_id: String,
    /// When it was last started.
    pub pending_time: Timestamp,
}

impl Document {
    /// Whether it is of the instance that `joined` is, in the account of its role.
    fn is_of(&self, joined: &Joined) -> Result<(), String> {
        let Self { account_id, instance_id, .. } = self;
        if *account_id != joined.account {
            return Err(format!("it is of the account {account_id:.32}, and the role of {}", joined.account));
        }
        match joined.instance() {
            Some(instance) if instance == instance_id => Ok(()),
            _ => Err(format!(
                "it is of the instance {instance_id}, and the role's session is {:.64}",
                joined.session
            )),
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account_id, region, instance_id, pending_time } = self;
        write!(f, "{instance_id} of {account_id} in {region}, started {pending_time}")
    }
}
