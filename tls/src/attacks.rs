//! Chains that an attacker sends, made without the key of any CA.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, Error, IsCa, Issuer, KeyPair, SerialNumber};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

/// The longest list of certificates that rustls takes, in bytes with what is around them.
const LONGEST: usize = 62_500;
/// What a handshake adds to each certificate, in bytes.
const AROUND: usize = 5;

/// A chain and the key of its first certificate.
#[derive(Debug)]
pub struct Chain {
    /// The certificates.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
}

/// A chain whose paths are without number: a certificate, twelve CAs that all have the name of its issuer and each another
/// key, and as many of another name as a handshake takes.
///
/// # Errors
/// A certificate cannot be made.
pub fn endless() -> Result<Chain, Error> {
    let mut chain = among("a", 12)?;
    let length = |certificate: &CertificateDer<'_>| certificate.len() + AROUND;
    let mut bytes: usize = chain.certificates.iter().map(length).sum();
    loop {
        let next = certificate("b", "b", &KeyPair::generate()?, true)?;
        bytes += length(&next);
        if bytes > LONGEST {
            return Ok(chain);
        }
        chain.certificates.push(next);
    }
}

/// A certificate and `count` CAs that have the name `issuer`, which is its issuer's and their own issuers', and each another
/// key. With the name of a CA that is trusted, each path among them leads to that CA and is found out by its signature only.
///
/// # Errors
/// A certificate cannot be made.
pub fn among(issuer: &str, count: usize) -> Result<Chain, Error> {
    let key = KeyPair::generate()?;
    let mut certificates = vec![certificate("localhost", issuer, &key, false)?];
    for _ in 0..count {
        certificates.push(certificate(issuer, issuer, &KeyPair::generate()?, true)?);
    }
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|_| Error::CouldNotParseKeyPair)?;
    Ok(Chain { certificates, key })
}

fn certificate(
    subject: &str,
    issuer: &str,
    key: &KeyPair,
    authority: bool,
) -> Result<CertificateDer<'static>, Error> {
    let mut params = CertificateParams::new(if authority { vec![] } else { vec![subject.to_owned()] })?;
    params.distinguished_name.push(DnType::CommonName, subject);
    params.serial_number = Some(SerialNumber::from(vec![7]));
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let mut signer = CertificateParams::default();
    signer.distinguished_name.push(DnType::CommonName, issuer);
    let signer = Issuer::new(signer, KeyPair::generate()?);
    Ok(params.signed_by(key, &signer)?.der().clone())
}

/// What a client that is set up as `config` says of a server that shows `chain` and has its key; nothing when it believes it.
/// No socket: what one side writes is given to the other.
///
/// # Errors
/// In words: one of the two cannot be set up.
pub fn shown_to(config: Arc<ClientConfig>, chain: Chain) -> Result<Option<rustls::Error>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let server = server.with_no_client_auth().with_single_cert(chain.certificates, chain.key)?;
    let name =
        ServerName::try_from("localhost").map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut client = Connection::from(ClientConnection::new(config, name)?);
    let mut server = Connection::from(ServerConnection::new(Arc::new(server))?);
    while client.is_handshaking() {
        pass(&mut client, &mut server)?;
        if let Err(error) = pass(&mut server, &mut client) {
            return Ok(Some(error));
        }
    }
    Ok(None)
}

fn pass(from: &mut Connection, to: &mut Connection) -> Result<(), rustls::Error> {
    let failed = |error: std::io::Error| rustls::Error::General(error.to_string());
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).map_err(failed)?;
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).map_err(failed)?;
        to.process_new_packets()?;
    }
    Ok(())
}
