//! The file that keeps the discovered instances over a restart: a control plane that starts while Cloud Map does not answer
//! serves what it served before. Reads and writes that one file; blocking.

use std::io;
use std::path::Path;
use std::sync::Arc;

use fleetmesh_mesh::cloud_map::{Discovered, Discovery, RegisteredInstance, ServiceName};
use serde::{Deserialize, Serialize};

use crate::private;

/// What the file is called in the data directory.
pub(super) const NAME: &str = "cloud-map.json";

#[derive(Serialize, Deserialize)]
struct FileEntry {
    #[serde(flatten)]
    service: ServiceName,
    instances: Vec<RegisteredInstance>,
}

/// The instances that `path` holds; none when there is no such file.
///
/// # Errors
/// It cannot be read, or is not what [`save`] writes.
pub(super) fn load(path: &Path) -> io::Result<Discovered> {
    let entries = private::load_list::<FileEntry>(path)?.into_iter();
    Ok(entries.map(|entry| (entry.service, Discovery::Instances(Arc::new(entry.instances)))).collect())
}

/// Replaces `path` by a file with all known instances: whoever reads sees the old one or the new one.
///
/// # Errors
/// It cannot be written; the old one is still there then.
pub(super) fn save(path: &Path, discovered: &Discovered) -> io::Result<()> {
    let entries = discovered.lists().map(|(service, instances)| FileEntry {
        service: service.clone(),
        instances: instances.as_ref().clone(),
    });
    private::save_list(path, &entries.collect::<Vec<_>>())
}
