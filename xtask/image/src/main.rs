//! What `cargo xtask image` runs: a container image of a static binary without a Docker daemon, its bill of materials beside it.
//!
//! Writes `NAME-VERSION.tar` and `.cdx.json` into the folder that it is given. The same sources, toolchains and crane give the same digest.

mod config;
mod contents;
mod layer;
mod registry;
mod running;
mod variant;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use fleetmesh_testbed::command;
use layer::Layer;
use registry::ImageRegistry;
use variant::Variant;

/// Make a container image of a binary. `cargo xtask image` builds the binary, installs the tools and calls this.
#[derive(Parser)]
#[command(version)]
struct ImageArgs {
    /// The program: a static binary that `cargo auditable` built.
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// The image for instances: the proxy commands alone, in a binary of less than 12,000,000 bytes.
    #[arg(long)]
    proxy: bool,
    /// Where the image and its bill of materials are written.
    #[arg(long, value_name = "DIR", required_unless_present = "files")]
    out: Option<PathBuf>,
    /// Makes images without a daemon.
    #[arg(long, value_name = "PROGRAM", required_unless_present = "files")]
    crane: Option<PathBuf>,
    /// Prints the bill of materials that a binary carries, as CycloneDX.
    #[arg(long, value_name = "PROGRAM", required_unless_present = "files")]
    auditable2cdx: Option<PathBuf>,
    /// Also run the program where nothing but the image's files is, push the image to a registry on loopback, and make it a
    /// second time with the same digest.
    #[arg(long)]
    check: bool,
    /// Push the image there: [HOST/]REPOSITORY[:TAG], with the credentials of Docker's configuration file.
    #[arg(long, value_name = "REF")]
    push: Option<String>,
    /// Write the image's files into this folder and make no image: for a Dockerfile.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["check", "push"])]
    files: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&ImageArgs::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the image.
fn run(arguments: &ImageArgs) -> Result<()> {
    let ImageArgs { binary, out, crane, auditable2cdx, .. } = arguments;
    let variant = if arguments.proxy { Variant::Proxy } else { Variant::Full };
    let content = std::fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    println!("binary: {} bytes", content.len());
    variant.check_size(content.len() as u64)?;
    let layer = Layer::new(content);
    if let Some(folder) = &arguments.files {
        return layer.write_files(folder);
    }
    let wanted = || "--out, --crane and --auditable2cdx are needed";
    let (out, crane) = (out.as_ref().with_context(wanted)?, crane.as_ref().with_context(wanted)?);
    let base = out.join(format!("{}-{}", variant.name(), config::VERSION));
    let bill = base.with_added_extension("cdx.json");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        write_bill(auditable2cdx.as_ref().with_context(wanted)?, binary, &bill).await?;
        make(arguments, variant, &layer, crane, &base.with_added_extension("tar")).await
    })?;
    println!("bill of materials: {}", bill.display());
    Ok(())
}

/// Makes the image, checks it, and pushes it where the caller wants it.
async fn make(
    arguments: &ImageArgs,
    variant: Variant,
    layer: &Layer,
    crane: &Path,
    archive: &Path,
) -> Result<()> {
    let name = format!("{}:{}", variant.name(), config::VERSION);
    let registry = ImageRegistry::start(crane).await?;
    registry.assemble(layer, &name, archive).await?;
    let content = contents::check(archive, &name, layer)?;
    let digest = registry.digest(archive).await?;
    if arguments.check {
        running::check(variant, &content).await.context("the image does not work")?;
        let pushed = registry.push_here(archive, &name).await?;
        ensure!(pushed == digest, "a registry knows the image as {pushed}, not as {digest}");
        let again = archive.with_added_extension("again");
        registry.assemble(layer, &name, &again).await?;
        ensure!(std::fs::read(&again)? == std::fs::read(archive)?, "made again, the image is another one");
        std::fs::remove_file(&again)?;
        println!("checked: it runs in a root of its own, and is the same when made again");
    }
    println!("image {name}: {}\ndigest: {digest}", archive.display());
    if let Some(reference) = &arguments.push {
        println!("pushed: {}", registry.push(archive, reference).await?);
    }
    Ok(())
}

/// Writes what the binary says it is made of as CycloneDX: the crates of this very target and these features, those that only
/// ran while it was built included. Scanners of images find the same list in the binary itself.
async fn write_bill(auditable2cdx: &Path, binary: &Path, bill: &Path) -> Result<()> {
    let mut print = Command::new(auditable2cdx);
    print.arg(binary);
    let printed = command::run(print).await?;
    let parsed: serde_json::Value =
        serde_json::from_str(&printed).context("auditable2cdx printed no JSON")?;
    ensure!(parsed["bomFormat"] == "CycloneDX", "auditable2cdx printed no CycloneDX");
    let components = parsed["components"].as_array().map_or(0, Vec::len);
    ensure!(components > 0, "the bill of materials is empty");
    std::fs::write(bill, printed).with_context(|| format!("cannot write {}", bill.display()))?;
    println!("bill of materials: {components} components");
    Ok(())
}
