//! Certificates of proxies in PEM, and instance identity documents. The first byte of an input says which.
//!
//! A certificate names only nodes of this control plane, each by its full ARN, and who joined as it would be written again. Of
//! a document nothing is taken that the region's key did not sign.

use anyhow::{Context as _, Result};
use fleetmesh_control_plane::certs::{Authority, Validity, new_authority};
use fleetmesh_control_plane::fuzzing::identity_document;
use fleetmesh_control_plane::secret::Secret;
use fleetmesh_control_plane::tls::Certificate;
use fleetmesh_mesh::grant::Joined;
use fleetmesh_mesh::identity::Identity;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::Target;

/// A document as EC2 gives it, in DER and in BER, and the certificate of who signed both.
const DOCUMENTS: [&[u8]; 2] =
    [include_bytes!("../../seeds/identity.cms"), include_bytes!("../../seeds/identity-ber.cms")];
const SIGNER: &[u8] = include_bytes!("../../seeds/identity.pem");
const NODE: &str = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB";

/// See the module.
pub struct Certificates {
    identity: Identity,
    seeds: Vec<Vec<u8>>,
    key: Secret,
    signers: Vec<CertificateDer<'static>>,
    signed: Vec<u8>,
}

impl Certificates {
    /// A CA, proxies that it certified, and documents of one instance.
    pub fn new() -> Result<Self> {
        let validity =
            Validity { now: std::time::SystemTime::now(), length: std::time::Duration::from_secs(3600) };
        let ca = new_authority("fuzz", Validity { length: validity.length * 2, ..validity })?;
        let authority = Authority::read(ca.certificate.as_bytes(), &ca.key)?;
        let joined = [
            "urn:fleetmesh:role:arn:aws:iam::111122223333:role/apps-serviceB",
            "urn:fleetmesh:session:i-0123456789abcdef0",
        ];
        let plain = authority.issue_client("serviceB", &[NODE.to_owned()], validity)?;
        let uris: Vec<String> = [NODE].into_iter().chain(joined).map(str::to_owned).collect();
        let by_role = authority.issue_client("serviceB", &uris, validity)?;
        let pem = [plain.certificate, by_role.certificate, ca.certificate].map(String::into_bytes);
        let both = pem.concat();
        let certificates = pem.into_iter().chain([both]).map(|pem| [&[0][..], &pem].concat());
        let documents = DOCUMENTS.map(|document| [&[1][..], document].concat());
        let signers = CertificateDer::pem_slice_iter(SIGNER).collect::<Result<Vec<_>, _>>();
        let signers = signers.map_err(|error| anyhow::anyhow!("{error}"))?;
        let signed = identity_document(DOCUMENTS[0], &signers).map_err(|reason| anyhow::anyhow!("{reason}"));
        Ok(Self {
            identity: Identity::default(),
            seeds: certificates.chain(documents).collect(),
            key: ca.key,
            signers,
            signed: signed.context("the document of the seeds")?,
        })
    }

    fn certificates(&self, pem: &[u8]) -> Result<bool, String> {
        // A CA is read or refused.
        let taken = Authority::read(pem, &self.key).is_ok();
        let mut parsed = false;
        for certificate in CertificateDer::pem_slice_iter(pem).map_while(Result::ok) {
            let Ok(Certificate { nodes, joined, .. }) = Certificate::parse(&certificate, &self.identity)
            else {
                continue;
            };
            parsed = true;
            for node in nodes {
                let arn = self.identity.arn(&node);
                if !certificate.windows(arn.len()).any(|bytes| bytes == arn.as_bytes()) {
                    return Err(format!("{arn} is not in the certificate"));
                }
            }
            let Some(joined) = joined else { continue };
            let read = Joined::of(joined.uris().iter().map(String::as_str));
            if read.as_ref() != Some(&joined) {
                return Err(format!("{joined:?} is read again as {read:?}"));
            }
        }
        Ok(taken || parsed)
    }
}

impl Target for Certificates {
    fn name(&self) -> &'static str {
        "certificates"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        self.seeds.clone()
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"-----BEGIN CERTIFICATE-----\n",
            b"-----END CERTIFICATE-----\n",
            b"\n",
            b"MIIB",
            b"AAAA",
            b"\x30\x80",
            b"\x24\x80",
            b"\x00\x00",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x31\x00",
            b"\xa0\x80",
            b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
        ]
    }

    fn try_input(&self, input: &[u8]) -> Result<bool, String> {
        let Some((kind, input)) = input.split_first() else { return Ok(false) };
        if kind % 2 == 0 {
            return self.certificates(input);
        }
        match identity_document(input, &self.signers) {
            Ok(content) if content == self.signed => Ok(true),
            Ok(content) => Err(format!("nobody signed {:?}", String::from_utf8_lossy(&content))),
            Err(_) => Ok(false),
        }
    }
}
