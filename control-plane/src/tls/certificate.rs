//! What a proxy's certificate says: which virtual nodes it may be, until when, and for certificates that `proxy join`
//! got, who joined. Nothing here reads a file or a clock.

use std::collections::BTreeSet;
use std::time::SystemTime;

use der::asn1::{GeneralizedTime, UtcTime};
use der::{Decode, Header, Reader, SliceReader, Tag};
use fleetmesh_mesh::grant::Joined;
use fleetmesh_mesh::holder::Holder;
use fleetmesh_mesh::identity::Identity;
use fleetmesh_model::{Arn, ResourceId};
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use webpki::EndEntityCert;

/// A certificate that the control plane's CA signed.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The virtual nodes of this control plane that its subject alternative names (URIs) name by their full ARNs.
    pub nodes: BTreeSet<ResourceId>,
    /// When it ends.
    pub not_after: SystemTime,
    /// Who has it, as far as streams and connections are counted: the same in every certificate that one instance gets by
    /// joining for the same nodes; for one that was made by hand, its key and nodes.
    pub holder: Holder,
    /// Who got it by joining; none for one that somebody made with the CA's key.
    pub joined: Option<Joined>,
    /// Cancelled when the CAs of `--ca-cert` changed and none of them signed it any more.
    pub distrusted: CancellationToken,
}

impl Certificate {
    /// Reads `certificate`, whose chain was checked. Names of accounts that are not served, of other regions and kinds are passed over: they
    /// allow nothing here.
    ///
    /// # Errors
    /// In words: it is no certificate.
    pub fn parse(certificate: &CertificateDer<'_>, identity: &Identity) -> Result<Self, String> {
        let parsed = EndEntityCert::try_from(certificate).map_err(|error| error.to_string())?;
        let nodes = parsed.valid_uri_names().filter_map(|name| node(name, identity)).collect();
        let joined = Joined::of(parsed.valid_uri_names());
        let holder = holder(&nodes, joined.as_ref(), &parsed.subject_public_key_info());
        let not_after = not_after(certificate)?;
        Ok(Self { nodes, not_after, holder, joined, distrusted: CancellationToken::new() })
    }
}

/// Who has a certificate. An instance that joins again has another certificate, and may have another key, and is the same; it
/// may run a proxy of each of its nodes. Certificates made by hand name no instance: a fleet may share one.
fn holder(nodes: &BTreeSet<ResourceId>, joined: Option<&Joined>, key: &[u8]) -> Holder {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update(bytes.len().to_be_bytes());
        digest.update(bytes);
    };
    match joined {
        Some(joined) => {
            part(b"joined");
            part(joined.role_arn().as_bytes());
            part(joined.session.as_bytes());
        }
        None => {
            part(b"key");
            part(key);
        }
    }
    for node in nodes {
        part(node.to_string().as_bytes());
    }
    digest.finalize().into()
}

fn node(name: &str, identity: &Identity) -> Option<ResourceId> {
    let resource = identity.named(Arn::parse(name).ok()?)?;
    resource.kind().info().has_proxies.then_some(resource)
}

/// When `certificate` ends.
///
/// # Errors
/// In words: it is no certificate.
pub fn not_after(certificate: &[u8]) -> Result<SystemTime, String> {
    read_not_after(certificate).map_err(|error| error.to_string())
}

fn read_not_after(certificate: &[u8]) -> der::Result<SystemTime> {
    let mut outer = SliceReader::new(certificate)?;
    enter(&mut outer)?;
    enter(&mut outer)?;
    // The version, which certificates of version 1 do not have, the serial number, the algorithm, the issuer.
    let before = if Tag::peek(&outer)?.is_context_specific() { 4 } else { 3 };
    for _ in 0..before {
        outer.tlv_bytes()?;
    }
    enter(&mut outer)?;
    // `notBefore`.
    outer.tlv_bytes()?;
    match Tag::peek(&outer)? {
        Tag::UtcTime => Ok(UtcTime::decode(&mut outer)?.to_system_time()),
        _ => Ok(GeneralizedTime::decode(&mut outer)?.to_system_time()),
    }
}

/// Goes into a sequence; what comes after it is not read.
fn enter(reader: &mut SliceReader<'_>) -> der::Result<()> {
    Header::decode(reader)?.tag().assert_eq(Tag::Sequence).map(drop)
}
