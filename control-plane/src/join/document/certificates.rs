//! The certificates whose keys sign documents: AWS's, which this program contains, and those of files. Pure, except for the files.
//!
//! PEM, in which a line `region: REGION` before a certificate gives its region. One without such a line is valid for documents of
//! every region. They are trusted because of the file that they are in; no CA is checked.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{SectionKind, SliceIter};
use webpki::EndEntityCert;

use crate::reload::{FileError, Named};
use crate::tls::not_after;

/// The flag that names them.
const FLAG: &str = "--identity-certificates";
/// The word for those that this program brings along.
const AWS: &str = "aws";
/// AWS's own.
const BUILT_IN: &str = include_str!("aws.pem");
/// What a line begins with that says of which region the next certificate is.
const REGION: &str = "region:";

/// Where certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityCertificates {
    /// In this program: `aws`.
    Aws,
    /// In a file; one of the name `aws` is `./aws`.
    File(PathBuf),
}

impl FromStr for IdentityCertificates {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == AWS { Self::Aws } else { Self::File(text.into()) })
    }
}

/// A certificate whose key signs documents.
#[derive(Clone, Debug)]
pub(super) struct Trusted {
    /// The region whose documents it signs; of all of them when none.
    pub region: Option<String>,
    /// Itself. One whose key is not RSA of 2,048 bits or more, such as the others on AWS's page, signs nothing that counts.
    pub certificate: CertificateDer<'static>,
    /// When it ends.
    pub ends: SystemTime,
}

impl Trusted {
    /// Whether it signs documents of `region`.
    pub fn is_of(&self, region: &str) -> bool {
        self.region.as_deref().is_none_or(|own| own == region)
    }

    fn read(region: Option<String>, certificate: CertificateDer<'static>) -> Result<Self, String> {
        let ends = not_after(&certificate)?;
        EndEntityCert::try_from(&certificate).map_err(|error| error.to_string())?;
        Ok(Self { region, certificate, ends })
    }
}

/// All certificates of `places`.
///
/// # Errors
/// A file cannot be used.
pub(super) fn read(places: &[IdentityCertificates]) -> Result<Vec<Trusted>, FileError> {
    let each = places.iter().map(|place| match place {
        IdentityCertificates::Aws => built_in(),
        IdentityCertificates::File(path) => {
            let named = Named { flag: FLAG, path: path.clone() };
            parse(&named.read()?).map_err(|reason| named.error(reason))
        }
    });
    Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
}

/// Those that this program brings along.
pub(super) fn built_in() -> Result<Vec<Trusted>, FileError> {
    let named = Named { flag: FLAG, path: AWS.into() };
    parse(BUILT_IN.as_bytes()).map_err(|reason| named.error(reason))
}

/// The certificates of a file, of which there is one at least.
fn parse(pem: &[u8]) -> Result<Vec<Trusted>, String> {
    let mut sections = SliceIter::<(SectionKind, Vec<u8>)>::new(pem);
    let mut found = Vec::new();
    loop {
        let rest = sections.remainder();
        let Some(section) = sections.next() else { break };
        let (kind, der) = section.map_err(|error| error.to_string())?;
        if kind == SectionKind::Certificate {
            let read = rest.split_at_checked(rest.len() - sections.remainder().len());
            let region = region(read.map_or(rest, |(read, _)| read));
            let trusted = Trusted::read(region, der.into());
            found.push(trusted.map_err(|reason| format!("certificate {}: {reason}", found.len() + 1))?);
        }
    }
    if found.is_empty() { Err("it holds no certificate in PEM".into()) } else { Ok(found) }
}

/// The region that the text before a certificate names last.
fn region(text: &[u8]) -> Option<String> {
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let before = lines.take_while(|line| !line.starts_with("-----BEGIN"));
    let named = before.filter_map(|line| line.trim().strip_prefix(REGION));
    named.last().map(|region| region.trim().to_owned())
}
