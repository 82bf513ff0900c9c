//! Whom a signature is for: this control plane, by its region and by a name that it is reached by. A signature that somebody
//! was given for another host or region is of no use here. Pure, but for looking at the certificate of the moment.

use ::http::uri::Authority;
use rustls::pki_types::ServerName;

use super::Refused;
use crate::tls::Tls;

/// Names of this host itself: a tunnel's end, such as `kubectl port-forward`'s.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What this control plane is called.
#[derive(Clone, Debug)]
pub struct Audience {
    region: String,
    names: Vec<String>,
    tls: Option<Tls>,
}

impl Audience {
    /// A control plane of `region` that is reached by loopback names, by `names` and by those of the certificate of `tls`,
    /// whichever it has at the moment.
    pub fn new(region: &str, names: &[String], tls: Option<Tls>) -> Self {
        let names = names.iter().map(|name| plain(name)).collect();
        Self { region: region.to_owned(), names, tls }
    }

    /// Whether what was signed for `region` and `host` (with or without a port) is for this control plane.
    ///
    /// # Errors
    /// [`Refused::Region`] or [`Refused::Host`].
    pub fn check(&self, region: &str, host: &str) -> Result<(), Refused> {
        if region != self.region {
            return Err(Refused::Region { signed: region.to_owned(), ours: self.region.clone() });
        }
        let refused = || Refused::Host { signed: host.to_owned() };
        let authority: Authority = host.parse().map_err(|_| refused())?;
        // Credentials of an address are no part of a host.
        if authority.as_str().contains('@') {
            return Err(refused());
        }
        let name = plain(authority.host());
        let named = LOOPBACK.contains(&name.as_str()) || self.names.contains(&name);
        if named || self.tls.as_ref().is_some_and(|tls| certified(tls, &name)) {
            return Ok(());
        }
        Err(refused())
    }
}

/// In lower case, and without the dot that a full name may end with.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Whether the server's certificate is for `name`.
fn certified(tls: &Tls, name: &str) -> bool {
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    ServerName::try_from(address).is_ok_and(|name| tls.serves(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_region_and_our_names_are_meant() {
        let audience = Audience::new("us-west-2", &["Mesh.example".into()], None);
        for host in [
            "mesh.example",
            "MESH.example.",
            "mesh.example:9443",
            "localhost:9080",
            "127.0.0.1",
            "[::1]:9080",
        ] {
            assert_eq!(audience.check("us-west-2", host), Ok(()), "{host}");
        }
        for host in [
            "",
            "example",
            "other.example",
            "x.mesh.example",
            "mesh.example.evil",
            "mesh.example@evil",
            "evil@mesh.example",
            "127.0.0.2",
            "[::2]",
            "mesh.example/x",
            "localhost.evil",
        ] {
            let refused = audience.check("us-west-2", host);
            assert_eq!(refused, Err(Refused::Host { signed: host.into() }), "{host}");
        }
        let refused = audience.check("eu-west-1", "mesh.example").expect_err("another region");
        assert_eq!(refused.shape(), "InvalidSignatureException");
        assert_eq!(
            refused.to_string(),
            "Credential should be scoped to a valid region: it is 'eu-west-1', this control plane is in 'us-west-2'."
        );
    }
}
