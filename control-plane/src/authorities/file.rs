//! The file that keeps the certificates of authorities over a restart: a control plane that starts while ACM PCA does not answer
//! serves what it served before. Reads and writes that one file; blocking.

use std::io;
use std::path::Path;

use fleetmesh_mesh::authorities::Authority;
use fleetmesh_mesh::cloud_map::Discovered;
use serde::{Deserialize, Serialize};

use super::client::usable;
use crate::private;

/// What the file is called in the data directory.
pub(super) const NAME: &str = "authorities.json";

#[derive(Serialize, Deserialize)]
struct FileEntry {
    arn: String,
    certificate: String,
}

/// Enters the certificates that `path` holds into `known`; none when there is no such file.
///
/// # Errors
/// It cannot be read, or is not what [`save`] writes.
pub(super) fn load(path: &Path, known: &mut Discovered) -> io::Result<()> {
    for FileEntry { arn, certificate } in private::load_list(path)? {
        let certificate = usable(&certificate).map_err(io::Error::other)?;
        known.enter_authority(&arn, Authority::Certificate(certificate.into()));
    }
    Ok(())
}

/// Replaces `path` by a file with all known certificates: whoever reads sees the old one or the new one.
///
/// # Errors
/// It cannot be written; the old one is still there then.
pub(super) fn save(path: &Path, known: &Discovered) -> io::Result<()> {
    let entries =
        known.authorities().map(|(arn, pem)| FileEntry { arn: arn.clone(), certificate: pem.to_string() });
    private::save_list(path, &entries.collect::<Vec<_>>())
}
