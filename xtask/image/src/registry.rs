//! crane, and a registry of its own on loopback: crane changes an image's configuration only in a registry.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use fleetmesh_testbed::command;
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;

use super::config;
use super::layer::Layer;

/// A registry that ends with its owner.
pub struct ImageRegistry {
    crane: PathBuf,
    run: RunDir,
    address: String,
    _process: Process,
}

impl ImageRegistry {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(crane: &Path) -> Result<Self> {
        let run = RunDir::new("image")?;
        let mut serve = Command::new(crane);
        serve.args(["registry", "serve", "--address", "127.0.0.1:0"]);
        let mut process = Process::spawn("registry", &serve, &run)?;
        let port = process
            .until("the registry prints its port", Duration::from_secs(20), async |process| {
                Ok(port(&std::fs::read_to_string(process.log())?))
            })
            .await?;
        Ok(Self { crane: crane.to_owned(), run, address: format!("127.0.0.1:{port}"), _process: process })
    }

    /// Makes an image of one layer, called `name` (`REPOSITORY:TAG`), as an archive that `docker load` takes.
    ///
    /// # Errors
    /// A file cannot be written, or crane fails.
    pub async fn assemble(&self, layer: &Layer, name: &str, archive: &Path) -> Result<()> {
        let content = self.run.join("layer.tar");
        let file = std::fs::File::create(&content).context("cannot write the layer")?;
        layer.write_tar(std::io::BufWriter::new(file))?;
        let bare = format!("{}/layer:{}", self.address, config::VERSION);
        let layer = content.display().to_string();
        self.crane(&["append", "--new_layer", &layer, "--new_tag", &bare]).await?;
        let mut mutate = self.command(&["mutate", &bare, "--tag", name]);
        mutate.args(config::arguments()).arg("--output").arg(archive);
        command::run(mutate).await.map(drop)
    }

    /// The digest that the image in `archive` has in every registry: `sha256:…`.
    ///
    /// # Errors
    /// crane cannot read it.
    pub async fn digest(&self, archive: &Path) -> Result<String> {
        let mut digest = self.command(&["digest", "--tarball"]);
        digest.arg(archive);
        Ok(command::run(digest).await?.trim().to_owned())
    }

    /// Pushes the image in `archive` and returns its reference by digest.
    ///
    /// # Errors
    /// The registry refuses it.
    pub async fn push(&self, archive: &Path, reference: &str) -> Result<String> {
        let mut push = self.command(&["push"]);
        push.arg(archive).arg(reference);
        Ok(command::run(push).await?.trim().to_owned())
    }

    /// Pushes the image in `archive` here and returns the digest under which it can be pulled.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub async fn push_here(&self, archive: &Path, name: &str) -> Result<String> {
        let reference = format!("{}/{name}", self.address);
        self.push(archive, &reference).await?;
        Ok(self.crane(&["digest", &reference]).await?.trim().to_owned())
    }

    async fn crane(&self, arguments: &[&str]) -> Result<String> {
        command::run(self.command(arguments)).await
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.crane);
        command.args(arguments);
        command
    }
}

/// The port in the log of `crane registry serve`, once its line is complete.
fn port(log: &str) -> Option<u16> {
    let (_, rest) = log.split_once("serving on port ")?;
    rest.split_once('\n')?.0.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::port;

    #[test]
    fn port_is_read_from_a_complete_line() {
        assert_eq!(port("2026/11/28 03:54:41 serving on port 35269\n"), Some(35269));
        assert_eq!(port("2026/11/28 03:54:41 serving on port 352"), None);
        assert_eq!(port(""), None);
    }
}
