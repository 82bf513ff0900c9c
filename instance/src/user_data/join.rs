//! How an instance gets its proxy's certificate: the checks of its options, and the arguments of `fleetmesh proxy join`. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::{PemObject as _, SectionKind};

use super::check::{Checked, image};
use super::error::UserDataError;
use super::options::JoinOptions;
use super::script::RESOLV_CONF;
use crate::bootstrap::{CERT_DIR, ControlPlaneAddress};

/// The socket that `proxy join` serves for AWS's image. Not below `/run`, which is empty after a boot: Docker restarts
/// containers before this script runs again, and would make the folder as root's.
pub(super) const SOCKET: &str = "/var/lib/fleetmesh/run/ads.sock";
/// The folder of [`SOCKET`].
const SOCKET_DIR: &str = "/var/lib/fleetmesh/run";
/// Where the script puts the CA.
const AUTHORITY: &str = "/var/lib/fleetmesh/ca.crt";

/// The length of a line of PEM, in characters (RFC 7468, section 2).
const PEM_LINE: usize = 64;

/// Options of joining that passed every check.
#[derive(Debug)]
pub(super) struct Join<'a> {
    /// The image with `fleetmesh` in it.
    pub image: &'a str,
    /// Where certificates are asked for; over TLS.
    control_plane: ControlPlaneAddress,
    /// Where proxies are served; over TLS.
    ads: ControlPlaneAddress,
    /// The CA, in PEM: certificates and nothing else.
    pub authority: Option<String>,
}

/// Checks that an instance can get a certificate by `join` and use it at `control_plane`, where proxies are served.
///
/// # Errors
/// A value that cannot be, by its field: `controlPlane`, `join.image`, `join.controlPlane` or `join.authority`.
pub fn check_join(control_plane: Option<&str>, join: Option<&JoinOptions>) -> Result<(), UserDataError> {
    let address = control_plane.map(super::check::control_plane).transpose()?;
    check(join, address.as_ref()).map(drop)
}

pub(super) fn check<'a>(
    join: Option<&'a JoinOptions>,
    ads: Option<&ControlPlaneAddress>,
) -> Result<Option<Join<'a>>, UserDataError> {
    let refused = |demand: &str| {
        let found = ads.map(ToString::to_string).unwrap_or_default();
        Err(UserDataError::invalid("controlPlane", &found, demand))
    };
    let (join, ads) = match (join, ads) {
        (Some(join), Some(ads @ ControlPlaneAddress::Tls { .. })) => (join, ads.clone()),
        (Some(_), _) => return refused("whoever joins is served over TLS: https://HOST:PORT"),
        (None, Some(ControlPlaneAddress::Tls { .. })) => {
            return refused(
                "an instance has no certificate for https:// unless it joins, and join is not set",
            );
        }
        (None, _) => return Ok(None),
    };
    image("join.image", &join.image)?;
    let authority = join.authority.as_deref().map(|pem| {
        let beginning = pem.lines().next().unwrap_or_default();
        authority(pem).map_err(|demand| UserDataError::invalid("join.authority", beginning, demand))
    });
    Ok(Some(Join {
        image: &join.image,
        control_plane: https(&join.control_plane)?,
        ads,
        authority: authority.transpose()?,
    }))
}

fn https(text: &str) -> Result<ControlPlaneAddress, UserDataError> {
    let invalid = |demand: String| UserDataError::invalid("join.controlPlane", text, demand);
    match text.parse().map_err(invalid)? {
        address @ ControlPlaneAddress::Tls { .. } => Ok(address),
        _ => Err(invalid("an instance proves itself over TLS only: https://HOST:PORT".to_owned())),
    }
}

/// The certificates in `pem`, as PEM that holds nothing else: no words between them, which people and tools write.
///
/// # Errors
/// In words: it holds no certificate, or something that is none, such as a key, which has no place in user data.
pub fn authority(pem: &str) -> Result<String, String> {
    let mut certificates = String::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()) {
        match section {
            Ok((SectionKind::Certificate, certificate)) => certificates += &encoded(&certificate),
            Ok(_) => return Err("it holds something that is no certificate, such as a key".to_owned()),
            Err(_) => return Err("it is not PEM".to_owned()),
        }
    }
    if certificates.is_empty() {
        return Err("it holds no certificate in PEM".to_owned());
    }
    Ok(certificates)
}

fn encoded(certificate: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for (index, c) in STANDARD.encode(certificate).chars().enumerate() {
        if index > 0 && index % PEM_LINE == 0 {
            text.push('\n');
        }
        text.push(c);
    }
    text + "\n-----END CERTIFICATE-----\n"
}

/// The socket at which `proxy join` serves the mesh's certificate, in a folder that the proxy sees anyway: user data has no room for
/// another.
pub(super) fn sds_socket(checked: &Checked<'_>) -> &'static str {
    if checked.serves_unix() {
        "/var/lib/fleetmesh/run/sds.sock"
    } else {
        "/var/lib/fleetmesh/certs/sds.sock"
    }
}

/// Arguments of `docker run` for `fleetmesh proxy join`.
pub(super) fn options(join: &Join<'_>, checked: &Checked<'_>) -> Vec<String> {
    // Otherwise AWS's SDK asks the instance's metadata for it.
    let mut options = vec!["--env".to_owned(), format!("AWS_REGION={}", checked.region)];
    let mut volume = |volume: String| options.extend(["--volume".to_owned(), volume]);
    volume(format!("{CERT_DIR}:{CERT_DIR}"));
    if checked.serves_unix() {
        volume(format!("{SOCKET_DIR}:{SOCKET_DIR}"));
    }
    if join.authority.is_some() {
        volume(format!("{AUTHORITY}:{AUTHORITY}:ro"));
    }
    if checked.dns {
        volume(RESOLV_CONF.to_owned());
    }
    options
}

/// Arguments of `fleetmesh`.
pub(super) fn arguments(join: &Join<'_>, checked: &Checked<'_>) -> Vec<String> {
    let (control_plane, ads) = (join.control_plane.to_string(), join.ads.to_string());
    let mut arguments =
        vec!["proxy", "join", "--resource", &checked.resource, "--control-plane", &control_plane];
    if join.authority.is_some() {
        arguments.extend(["--ca-file", AUTHORITY]);
    }
    arguments.extend(["--serve-sds", sds_socket(checked)]);
    if checked.serves_unix() {
        arguments.extend(["--serve-unix", SOCKET, "--ads", &ads]);
    }
    arguments.into_iter().map(str::to_owned).collect()
}
