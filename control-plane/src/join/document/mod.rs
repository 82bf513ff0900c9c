//! Instance identity documents: what EC2 says of an instance, signed by the instance's region
//! (`/latest/dynamic/instance-identity/rsa2048` of its metadata service). Pure, except for the files of certificates.
//!
//! A document proves which instance it is of, not who sends it: it stays the same while the instance runs, and everybody on the
//! instance can read it. The proof to STS beside it is fresh, and both have to name the same instance.

mod certificates;
pub(crate) mod cms;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetmesh_mesh::foreign::Foreign;
use fleetmesh_mesh::grant::{Joined, is_instance_id};
use jiff::Timestamp;
use serde::Deserialize;

use crate::reload::FileError;
pub use certificates::IdentityCertificates;
use certificates::Trusted;

/// The longest document, as it is sent, in bytes. Those of EC2 have less than 2,500.
const LONGEST: usize = 8192;

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
    certificates: Vec<Trusted>,
    wanted: InstanceIdentity,
}

impl Documents {
    /// Looks at no document.
    pub fn off() -> Self {
        Self { certificates: Vec::new(), wanted: InstanceIdentity::Off }
    }

    /// Trusts the certificates of all `places`.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn read(places: &[IdentityCertificates], wanted: InstanceIdentity) -> Result<Self, FileError> {
        Ok(Self { certificates: certificates::read(places)?, wanted })
    }

    /// Whether instances are asked for one.
    pub fn are_wanted(&self) -> bool {
        self.wanted != InstanceIdentity::Off
    }

    /// What `sent` says; none when none is needed. [`Document::is_of`] checks whose it is, once STS said who sent it.
    ///
    /// # Errors
    /// In words: it is missing, or not EC2's.
    pub fn verified(&self, sent: Option<&str>, now: SystemTime) -> Result<Option<Document>, String> {
        match (self.wanted, sent) {
            (InstanceIdentity::Off, _) | (InstanceIdentity::Optional, None) => Ok(None),
            (InstanceIdentity::Required, None) => {
                Err("identityDocument: an instance identity document has to be sent, which `fleetmesh proxy join` of this release takes from the metadata service: is it an instance, and does its hop limit let the joiner reach the service?".into())
            }
            (_, Some(sent)) => self.verify(sent, now).map(Some).map_err(wrong),
        }
    }

    /// The document that the key of its own region signed. Its region is looked at first, so that one signature is checked
    /// and not one of each region; nothing else of it is believed before that.
    fn verify(&self, sent: &str, now: SystemTime) -> Result<Document, String> {
        if sent.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        // EC2 breaks it into lines.
        let base64: String = sent.split_ascii_whitespace().collect();
        let message = STANDARD.decode(base64).map_err(|_| "expected base 64".to_owned())?;
        let signed = cms::Signed::read(&message)?;
        let document: Document = serde_json::from_slice(signed.content())
            .map_err(|_| "what is signed is no identity document".to_owned())?;
        let of_region: Vec<_> =
            self.certificates.iter().filter(|trusted| trusted.is_of(&document.region)).collect();
        if of_region.is_empty() {
            let region = Foreign(&document.region);
            return Err(format!("it is of the region {region}, of which --identity-certificates has none"));
        }
        let current: Vec<_> = of_region.into_iter().filter(|trusted| now <= trusted.ends).collect();
        if current.is_empty() {
            let region = Foreign(&document.region);
            return Err(format!(
                "the certificate of the region {region} has ended: give a new one by --identity-certificates"
            ));
        }
        if !current.iter().any(|trusted| signed.is_by(&trusted.certificate)) {
            return Err("no certificate that is trusted signed it".into());
        }
        if is_instance_id(&document.instance_id) { Ok(document) } else { Err("it names no instance".into()) }
    }
}

fn wrong(reason: String) -> String {
    format!("identityDocument: {reason}")
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
    ///
    /// # Errors
    /// In words: it is of another.
    pub fn is_of(&self, joined: &Joined) -> Result<(), String> {
        let Self { account_id, instance_id, .. } = self;
        if *account_id != joined.account {
            let account = &joined.account;
            return Err(wrong(format!("it is of the account {account_id:.32}, and the role of {account}")));
        }
        match joined.instance() {
            Some(instance) if instance == instance_id => Ok(()),
            _ => Err(wrong(format!(
                "it is of the instance {instance_id}, and the role's session is {:.64}",
                joined.session
            ))),
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account_id, region, instance_id, pending_time } = self;
        write!(f, "{instance_id} of {account_id} in {region}, started {pending_time}")
    }
}
