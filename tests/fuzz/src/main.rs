//! The program behind `cargo xtask fuzz`: one target in one process, whose memory is bounded.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use fleetmesh_fuzz::{memory, run, targets};

/// Tries inputs of one parser.
#[derive(Parser)]
struct FuzzArguments {
    /// Print the names of the targets, a line each, and do nothing else.
    #[arg(long)]
    list: bool,
    /// How long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// What the inputs are drawn from: the same seed draws the same inputs. Another one each time when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Where an input that fails is written.
    #[arg(long, default_value = ".")]
    artifacts: PathBuf,
    /// Try this file once, and nothing else.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// The target.
    target: Option<String>,
}

fn main() -> ExitCode {
    match fuzz(&FuzzArguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn fuzz(arguments: &FuzzArguments) -> Result<()> {
    if arguments.list {
        targets::NAMES.iter().for_each(|name| println!("{name}"));
        return Ok(());
    }
    let name = arguments.target.as_deref().context("name a target; --list shows them")?;
    let target = targets::target(name)?;
    memory::bound()?;
    if let Some(file) = &arguments.replay {
        run::replay(target.as_ref(), file)?;
        println!("{name}: {} passes", file.display());
        return Ok(());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = arguments.seed.unwrap_or(now.as_secs() ^ (u64::from(now.subsec_nanos()) << 32));
    // The message of a panic is part of the outcome; a backtrace for each step of shrinking is not.
    std::panic::set_hook(Box::new(|_| {}));
    match run::run(target.as_ref(), Duration::from_secs(arguments.seconds), seed)? {
        Ok(run::FuzzTally { inputs, accepted, slowest }) => {
            println!(
                "{name}: {inputs} inputs in {} s, {accepted} taken, the slowest {slowest:?}",
                arguments.seconds
            );
            Ok(())
        }
        Err(failure) => {
            let file = run::keep(target.as_ref(), &failure, &arguments.artifacts)?;
            let again = format!("cargo xtask fuzz {name} --replay {}", file.display());
            bail!("{name} (seed {seed}): {}\n  the input is kept; again: {again}", failure.reason)
        }
    }
}
