//! What `cargo xtask crds` runs: prints every CustomResourceDefinition, or, given the root of the repository, writes
//! what is generated there: `crds/yaml`, the chart's copies and `docs/reference`. It reads nothing and touches nothing else.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(root) = std::env::args_os().nth(1).map(PathBuf::from) else {
        for definition in fleetmesh_crds::all() {
            println!("---\n{}", fleetmesh_crds::to_yaml(&definition)?);
        }
        return Ok(());
    };
    for (file, text) in fleetmesh_crds::definition::generated_files()? {
        let file = root.join(file);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}
