//! Golden files: what a text was when somebody last looked at it.

use std::path::Path;

/// Compares `text` with the golden file `name` of the test in `folder`; `FLEETMESH_BLESS=1` writes it instead.
pub fn holds(folder: &Path, name: &str, text: &str) {
    let path = folder.join("golden").join(name);
    if std::env::var_os("FLEETMESH_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{name} differs; review it and run with FLEETMESH_BLESS=1");
}
