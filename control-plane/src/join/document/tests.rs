//! Documents as EC2 makes them, by a key of our own; and malformed ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use der::asn1::BitStringRef;
use der::{Decode as _, Header, Reader as _, SliceReader};
use fleetmesh_mesh::grant::StsCaller;
use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, SigningKey};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use webpki::EndEntityCert;

use super::InstanceIdentity::{Off, Optional, Required};
use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const INSTANCE: &str = "i-0123456789abcdef0";
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const SHA_256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
const SHA_1: &[u8] = &[0x2b, 14, 3, 2, 26];

/// A region's key and certificate.
struct Region(KeyPair, CertificateDer<'static>);

impl Region {
    fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key");
        let certificate = CertificateParams::default().self_signed(&key).expect("a certificate");
        Self(key, certificate.into())
    }
}

/// Two regions: the first is trusted.
fn regions() -> &'static [Region; 2] {
    static REGIONS: OnceLock<[Region; 2]> = OnceLock::new();
    REGIONS.get_or_init(|| [Region::new(), Region::new()])
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("short").to_be_bytes();
    let head = match length {
        [0, short @ ..0x80] => vec![tag, short],
        [0, long] => vec![tag, 0x81, long],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [&head, content].concat()
}

/// The same with an indefinite length.
fn indefinite(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, 0x80], content, &[0, 0]].concat()
}

fn sequence(of: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &of.concat())
}

fn oid(oid: &[u8]) -> Vec<u8> {
    tlv(6, oid)
}

fn algorithm(of: &[u8]) -> Vec<u8> {
    sequence(&[oid(of), tlv(5, &[])])
}

/// How a message is made.
struct Making<'a> {
    /// What is inside of it.
    content: &'a [u8],
    /// What is signed.
    signed: &'a [u8],
    by: &'a Region,
    digest: &'a [u8],
    attributes: Option<Vec<Vec<u8>>>,
    signers: usize,
    indefinite: bool,
}

impl<'a> Making<'a> {
    /// As EC2 does: indefinite lengths, the content in parts, no attributes.
    fn of(content: &'a [u8]) -> Self {
        let by = &regions()[0];
        Self { content, signed: content, by, digest: SHA_256, attributes: None, signers: 1, indefinite: true }
    }

    /// With the attributes that other signers add, in definite lengths.
    fn with_attributes(content: &'a [u8]) -> Self {
        let digest = tlv(4, &Sha256::digest(content));
        let attributes = Some(vec![attribute(CONTENT_TYPE, oid(DATA)), attribute(MESSAGE_DIGEST, digest)]);
        Self { attributes, indefinite: false, ..Self::of(content) }
    }

    fn signer(&self) -> Vec<u8> {
        let signed = match &self.attributes {
            Some(attributes) => tlv(0x31, &attributes.concat()),
            None => self.signed.to_vec(),
        };
        let signature = self.by.0.sign(&signed).expect("a signature");
        let attributes = self.attributes.iter().map(|attributes| tlv(0xa0, &attributes.concat()));
        let who = sequence(&[sequence(&[]), tlv(2, &[1])]);
        let before = vec![tlv(2, &[1]), who, algorithm(self.digest)];
        let after = [algorithm(RSA), tlv(4, &signature)];
        sequence(&before.into_iter().chain(attributes).chain(after).collect::<Vec<_>>())
    }

    fn message(&self) -> Vec<u8> {
        let constructed: &dyn Fn(u8, &[u8]) -> Vec<u8> = if self.indefinite { &indefinite } else { &tlv };
        let octets = match self.indefinite {
            true => indefinite(
                0x24,
                &self.content.chunks(100).map(|part| tlv(4, part)).collect::<Vec<_>>().concat(),
            ),
            false => tlv(4, self.content),
        };
        let content = constructed(0x30, &[oid(DATA), constructed(0xa0, &octets)].concat());
        let certificates = constructed(0xa0, &self.by.1);
        let signers = tlv(0x31, &vec![self.signer(); self.signers].concat());
        let digests = tlv(0x31, &algorithm(self.digest));
        let data = constructed(0x30, &[tlv(2, &[1]), digests, content, certificates, signers].concat());
        constructed(0x30, &[oid(SIGNED_DATA), constructed(0xa0, &data)].concat())
    }
}

fn attribute(kind: &[u8], value: Vec<u8>) -> Vec<u8> {
    sequence(&[oid(kind), tlv(0x31, &value)])
}

fn content(instance: &str) -> Vec<u8> {
    let document = serde_json::json!({
        "accountId": "123456789012", "architecture": "x86_64", "availabilityZone": "us-west-2b", "billingProducts": null,
        "devpayProductCodes": null, "marketplaceProductCodes": null, "imageId": "ami-5fb8c835", "instanceId": instance,
        "instanceType": "t2.micro", "kernelId": null, "pendingTime": "2016-11-19T16:32:11Z", "privateIp": "10.158.112.84",
        "ramdiskId": null, "region": "us-west-2", "version": "2017-09-30",
    });
    serde_json::to_vec_pretty(&document).expect("JSON")
}

fn trusted() -> Vec<CertificateDer<'static>> {
    vec![regions()[0].1.clone()]
}

fn verified(message: &[u8]) -> Result<Vec<u8>, String> {
    cms::verify(message, &trusted())
}

/// The certificate of the first region, of this one or of all.
fn certificate_of(region: Option<&str>) -> Trusted {
    let region = region.map(str::to_owned);
    Trusted { region, certificate: regions()[0].1.clone(), ends: SystemTime::now() + HOUR }
}

fn documents(wanted: InstanceIdentity) -> Documents {
    Documents { certificates: vec![certificate_of(None)], wanted }
}

/// In lines, as the metadata service answers.
fn lines(message: &[u8]) -> String {
    let text = STANDARD.encode(message);
    text.as_bytes().chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect()
}

fn joined(account: &str, session: &str) -> Joined {
    let arn = format!("arn:aws:sts::{account}:assumed-role/red/{session}");
    Joined::parse(&StsCaller { arn, user_id: format!("AROAIOSFODNN7EXAMPLE:{session}") }).expect("a session")
}

#[test]
fn what_a_trusted_certificates_key_signed_is_taken() {
    let content = content(INSTANCE);
    for making in [Making::of(&content), Making::with_attributes(&content)] {
        let message = making.message();
        assert_eq!(verified(&message).as_ref(), Ok(&content));
        let several: Vec<_> = regions().iter().rev().map(|region| region.1.clone()).collect();
        assert_eq!(cms::verify(&message, &several).as_ref(), Ok(&content), "any of them");
        let document = documents(Required).verify(&lines(&message), SystemTime::now()).expect("a document");
        assert_eq!(
            document.to_string(),
            format!("{INSTANCE} of 123456789012 in us-west-2, started 2016-11-19T16:32:11Z")
        );
    }
}

#[test]
fn what_is_forged_is_refused() {
    let (good, other) = (content(INSTANCE), content("i-0fedcba9876543210"));
    let [_, stranger] = regions();
    let with = |attributes: Vec<Vec<u8>>| Making { attributes: Some(attributes), ..Making::of(&good) };
    let kind = attribute(CONTENT_TYPE, oid(DATA));
    let digest = |of: &[u8]| attribute(MESSAGE_DIGEST, tlv(4, &Sha256::digest(of)));
    for (what, making, words) in [
        (
            "another's signature",
            Making { by: stranger, ..Making::of(&good) },
            "no certificate that is trusted",
        ),
        (
            "another content",
            Making { content: &other, ..Making::of(&good) },
            "no certificate that is trusted",
        ),
        ("another content under attributes", with(vec![kind.clone(), digest(&other)]), "not of its content"),
        ("no digest", with(vec![kind.clone()]), "not of its content"),
        ("two digests", with(vec![kind.clone(), digest(&good), digest(&other)]), "not of its content"),
        ("no type", with(vec![digest(&good)]), "not of its content"),
        (
            "another type",
            with(vec![attribute(CONTENT_TYPE, oid(SHA_1)), digest(&good)]),
            "not of its content",
        ),
        ("an old digest", Making { digest: SHA_1, ..Making::of(&good) }, "not by SHA-256"),
        ("no signature", Making { signers: 0, ..Making::of(&good) }, "exactly one signature"),
        ("two signatures", Making { signers: 2, ..Making::of(&good) }, "exactly one signature"),
    ] {
        let refused = verified(&making.message()).expect_err(what);
        assert!(refused.contains(words), "{what}: {refused}");
    }
    // The signature of the attributes alone, passed off as one of content that looks like them.
    let attributes = tlv(0x31, &[kind, digest(&good)].concat());
    let message = Making { content: &attributes, signed: &attributes, ..Making::of(&good) }.message();
    let document = documents(Required).verify(&STANDARD.encode(message), SystemTime::now());
    assert!(document.expect_err("no document").contains("no identity document"));
    assert!(cms::verify(&Making::of(&good).message(), &[]).is_err(), "nobody is trusted");
}

#[test]
fn a_document_has_to_be_of_the_instance_that_sts_knows() {
    let content = content(INSTANCE);
    let sent = lines(&Making::of(&content).message());
    let check = |wanted, sent: Option<&str>, joined: &Joined| {
        let document = documents(wanted).verified(sent, SystemTime::now())?;
        document.as_ref().map_or(Ok(()), |document| document.is_of(joined)).map(|()| document)
    };
    let own = joined("123456789012", INSTANCE);
    for wanted in [Required, Optional] {
        assert!(check(wanted, Some(&sent), &own).expect("its own").is_some());
        for (joined, words) in [
            (joined("123456789012", "i-0fedcba9876543210"), "it is of the instance i-0123456789abcdef0"),
            (joined("123456789012", "somebody"), "the role's session is somebody"),
            (joined("999999999999", INSTANCE), "it is of the account 123456789012"),
        ] {
            let refused = check(wanted, Some(&sent), &joined).expect_err(words);
            assert!(refused.contains(words), "{refused}");
        }
        let long = "A".repeat(LONGEST + 1);
        for wrong in ["", "%", "AAAA", &long] {
            let refused = check(wanted, Some(wrong), &own).expect_err("wrong");
            assert!(refused.starts_with("identityDocument: ") && refused.len() < 200, "{refused}");
        }
    }
    assert!(check(Required, None, &own).expect_err("none").contains("has to be sent"));
    assert_eq!(check(Optional, None, &own), Ok(None));
    assert_eq!(check(Off, Some("anything"), &own), Ok(None));
}

#[test]
fn a_certificate_counts_for_documents_of_its_own_region_until_it_ends() {
    let sent = lines(&Making::of(&content(INSTANCE)).message());
    let verify = |certificates, now| {
        let verified = Documents { certificates, wanted: Required }.verified(Some(&sent), now);
        verified.map(|document| document.expect("one was sent").region)
    };
    let (own, other) = (certificate_of(Some("us-west-2")), certificate_of(Some("eu-west-1")));
    let now = SystemTime::now();
    assert_eq!(verify(vec![other.clone(), own.clone()], now), Ok("us-west-2".into()));
    assert_eq!(verify(vec![other.clone(), certificate_of(None)], now), Ok("us-west-2".into()));
    let refused = verify(vec![other], now).expect_err("the key is right, the region is not");
    assert!(
        refused.contains("of the region \"us-west-2\", of which --identity-certificates has none"),
        "{refused}"
    );
    let refused = verify(vec![own], now + 2 * HOUR).expect_err("ended");
    assert!(refused.contains("the certificate of the region \"us-west-2\" has ended"), "{refused}");
}

/// Whether the signature in a certificate is by its own key: RSA, of 2,048 bits at least, and SHA-256.
fn signs_itself(certificate: &CertificateDer<'_>) -> bool {
    let mut reader = SliceReader::new(certificate).expect("DER");
    Header::decode(&mut reader).expect("a sequence");
    let signed = reader.tlv_bytes().expect("what is signed");
    reader.tlv_bytes().expect("the algorithm");
    let signature = BitStringRef::decode(&mut reader).expect("the signature");
    let by = EndEntityCert::try_from(certificate).expect("a certificate");
    by.verify_signature(webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256, signed, signature.raw_bytes()).is_ok()
}

/// What AWS publishes of its regions does not change: 36 of them, none before this century's end.
#[test]
fn those_of_aws_are_one_rsa_certificate_of_each_region_signed_by_itself() {
    let found = certificates::built_in().expect("built in");
    assert_eq!(found.len(), 36);
    let regions: BTreeSet<_> = found.iter().filter_map(|trusted| trusted.region.as_deref()).collect();
    assert_eq!(regions.len(), found.len(), "one of each region");
    assert!(
        ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"]
            .iter()
            .all(|known| regions.contains(known))
    );
    let bytes: BTreeSet<&[u8]> = found.iter().map(|trusted| trusted.certificate.as_ref()).collect();
    assert_eq!(bytes.len(), found.len(), "no two regions have the same");
    let far = SystemTime::now() + Duration::from_secs(60 * 365 * 24 * 3600);
    for Trusted { region, certificate, ends } in &found {
        let region = region.as_deref().expect("a region");
        let shaped = region.split('-').count() >= 3
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        assert!(shaped, "{region}");
        assert!(*ends > far, "{region}");
        let parsed = EndEntityCert::try_from(certificate).expect("a certificate");
        assert_eq!(parsed.subject(), parsed.issuer(), "{region}");
        let amazon = b"Amazon Web Services LLC";
        assert!(parsed.subject().windows(amazon.len()).any(|part| part == amazon), "{region}");
        assert!(signs_itself(certificate), "{region}");
    }
}

#[test]
fn files_are_read_beside_those_of_aws_and_a_bad_one_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("certificates.pem");
    let pem = |certificate: &[u8]| {
        format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", lines(certificate))
    };
    let [first, second] = regions();
    let several = format!("mine\n{}region: ap-east-2 \n{}", pem(&first.1), pem(&second.1));
    fs::write(&file, &several).expect("written");
    let places = |texts: &[&str]| -> Vec<IdentityCertificates> {
        texts.iter().map(|text| text.parse().expect("any text is a place")).collect()
    };
    let path = file.to_str().expect("UTF-8");
    let read =
        |texts: &[&str]| Documents::read(&places(texts), Required).map(|documents| documents.certificates);
    let found: Vec<_> = read(&[path]).expect("two").into_iter().map(|trusted| trusted.region).collect();
    assert_eq!(found, [None, Some("ap-east-2".to_owned())]);
    assert_eq!(read(&["aws", path]).expect("AWS's and two").len(), 38);
    assert_eq!(places(&["./aws"]), [IdentityCertificates::File(PathBuf::from("./aws"))]);
    for (bad, words) in [
        ("", "no certificate"),
        ("text", "no certificate"),
        (&several.replacen("MII", "MIJ", 1), "certificate 1: "),
        (&(several.clone() + &pem(b"0\x03none")), "certificate 3: "),
    ] {
        fs::write(&file, bad).expect("written");
        let error = read(&["aws", path]).expect_err(bad).to_string();
        assert!(error.contains("(--identity-certificates)") && error.contains(words), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_changed_message_is_refused_or_still_says_the_same(at in any::<prop::sample::Index>(), by in 1..=255u8, cut in any::<bool>()) {
        let content = content(INSTANCE);
        let mut message = Making::of(&content).message();
        let at = at.index(message.len());
        if cut {
            message.truncate(at);
            prop_assert!(verified(&message).is_err());
        } else {
            message[at] ^= by;
            prop_assert!(verified(&message).is_ok_and(|read| read == content) || verified(&message).is_err());
        }
    }

    #[test]
    fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(verified(&bytes).is_err());
    }
}
