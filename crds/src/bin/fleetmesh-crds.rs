//! Prints every CustomResourceDefinition, or writes one file per kind into the directory that is its one argument.
//! `cargo xtask crds` runs it. It reads nothing and touches nothing but that directory.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    for definition in fleetmesh_crds::all() {
        let yaml = fleetmesh_crds::to_yaml(&definition)?;
        match &directory {
            None => println!("---\n{yaml}"),
            Some(directory) => {
                fs::create_dir_all(directory)?;
                fs::write(directory.join(fleetmesh_crds::file_name(&definition)), yaml)?;
            }
        }
    }
    Ok(())
}
