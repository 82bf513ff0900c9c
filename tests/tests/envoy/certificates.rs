//! A certificate authority of a test, and files of certificates as proxies read them.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
    date_time_ymd,
};
use serde_json::{Value, json};

/// An authority that signs whatever is asked for.
pub struct TestAuthority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
pub struct TestCertificate {
    chain: String,
    key: String,
}

impl TestAuthority {
    /// One of this name and serial number.
    pub fn new(name: &str, serial: u8) -> Self {
        Self::signed(name, serial, None)
    }

    /// One below this one.
    pub fn subordinate(&self, name: &str, serial: u8) -> Self {
        Self::signed(name, serial, Some(self))
    }

    fn signed(name: &str, serial: u8, above: Option<&Self>) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(vec![serial]));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let certificate = match above {
            Some(above) => params.signed_by(&key, &above.issuer),
            None => params.self_signed(&key),
        };
        Self { pem: certificate.unwrap().pem(), issuer: Issuer::new(params, key) }
    }

    /// Its certificate, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for `name` with this serial number.
    pub fn issue(&self, name: &str, serial: u8) -> TestCertificate {
        self.sign(name, serial, (2020, 2100))
    }

    /// One that ended years ago.
    pub fn issue_expired(&self, name: &str) -> TestCertificate {
        self.sign(name, 1, (2020, 2021))
    }

    fn sign(&self, name: &str, serial: u8, (from, to): (i32, i32)) -> TestCertificate {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(vec![serial]));
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        TestCertificate { chain, key: key.serialize_pem() }
    }
}

impl TestCertificate {
    /// The same with the certificate of `authority` in its chain.
    #[must_use]
    pub fn with(mut self, authority: &TestAuthority) -> Self {
        self.chain.push_str(&authority.pem);
        self
    }
}

/// A folder of certificates that proxies read.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(path: PathBuf) -> Self {
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Moves these texts in the place of the files of these names, one after the other.
    fn replace(&self, files: &[(String, &str)]) {
        for (name, text) in files {
            let (new, place) = (self.0.join(format!("{name}.new")), self.0.join(name));
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, place).unwrap();
        }
    }

    /// Puts a certificate there; where one of the name is already, another takes its place.
    pub fn put(&self, name: &str, certificate: &TestCertificate) {
        let TestCertificate { chain, key } = certificate;
        self.replace(&[(format!("{name}.pem"), chain), (format!("{name}.key"), key)]);
    }

    /// Writes a certificate into the files of one that is there already.
    pub fn rewrite(&self, name: &str, certificate: &TestCertificate) {
        std::fs::write(self.path(&format!("{name}.pem")), &certificate.chain).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), &certificate.key).unwrap();
    }

    /// Moves a file there that nothing reads.
    pub fn touch(&self) {
        self.replace(&[("touched".to_owned(), "")]);
    }

    /// Puts authorities there.
    pub fn put_trust(&self, name: &str, authorities: &[&TestAuthority]) {
        let pem: String = authorities.iter().map(|authority| authority.pem.as_str()).collect();
        self.replace(&[(format!("{name}.pem"), &pem)]);
    }

    fn path(&self, file: &str) -> PathBuf {
        Path::new(&self.0).join(file)
    }

    /// A certificate from here, as a spec has it.
    pub fn certificate(&self, name: &str) -> Value {
        let (chain, key) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        json!({ "file": { "certificateChain": chain, "privateKey": key } })
    }

    /// Trust in the authorities of a file from here, as a spec has it.
    pub fn trust(&self, name: &str) -> Value {
        json!({ "file": { "certificateChain": self.path(&format!("{name}.pem")) } })
    }
}
