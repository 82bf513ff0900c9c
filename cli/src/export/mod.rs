//! `fleetmesh export`: everything of ours in an API, as manifests for another one.

mod args;

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use fleetmesh_client::{Error, Export, ExportOptions, Streams};

use crate::client::place;
use crate::manifests::{Manifest, write, write_one};

pub use args::ExportArgs;

/// Reads everything, and writes it where the arguments say. What a person has to know is on standard error.
///
/// # Errors
/// What was read could not be written. What could not be read ends with status 1.
pub fn run(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    // The one provider for the process; an error means that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let export = match runtime.block_on(read(args)) {
        Ok(export) => export,
        Err(error) => {
            // Nothing more can be done when standard error is closed.
            let _ = writeln!(io::stderr(), "{}", error.shown());
            return Ok(ExitCode::FAILURE);
        }
    };
    if export.is_empty() {
        anyhow::bail!("there is nothing to export: the API has no objects of ours");
    }
    let place = match &args.output {
        None => {
            io::stdout().lock().write_all(export.text().as_bytes())?;
            "standard output".to_owned()
        }
        Some(path) => {
            written(&export, path, args)?;
            path.display().to_string()
        }
    };
    let mut err = io::stderr().lock();
    for note in &export.notes {
        writeln!(err, "Note: {note}")?;
    }
    writeln!(err, "Exported {} objects to {place}; {}", export.len(), export.way_in())?;
    Ok(ExitCode::SUCCESS)
}

async fn read(args: &ExportArgs) -> Result<Export, Error> {
    let (mut input, mut out, mut err) = (io::empty(), io::sink(), io::stderr());
    let streams = Streams { input: &mut input, out: &mut out, err: &mut err };
    let options = ExportOptions { secrets: args.secrets, rollouts: args.rollouts };
    fleetmesh_client::export(&place(&args.place), streams, options).await
}

fn written(export: &Export, path: &Path, args: &ExportArgs) -> anyhow::Result<()> {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    if ["yaml", "yml"].contains(&extension) && !path.is_dir() {
        return Ok(write_one(path, &export.text(), args.secrets, args.force)?);
    }
    let files = export.files().into_iter();
    let files: Vec<Manifest> = files
        .map(|file| Manifest { name: file.name, text: file.text, is_private: file.is_private })
        .collect();
    let left = write(path, &files, args.force)?;
    if !left.is_empty() {
        writeln!(io::stderr(), "Note: already there, and applied with them: {}", left.join(", "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use crate::manifests::write_one;

    #[test]
    fn a_link_where_a_file_is_staged_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("all.yaml"), folder.path().join("elsewhere"));
        fs::write(&elsewhere, "as it was").unwrap();
        symlink(&elsewhere, folder.path().join(".all.yaml.new")).unwrap();
        write_one(&path, "secret", true, false).unwrap();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "as it was");
        assert_eq!(fs::read_to_string(&path).unwrap(), "secret");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_one(&path, "other", true, false).unwrap_err().to_string().contains("--force"));
    }
}
