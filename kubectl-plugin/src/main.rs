//! The binary `kubectl-fleetmesh`, which kubectl runs for `kubectl fleetmesh …`. Everything is in the library.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use fleetmesh_kubectl::CanaryCommand;

/// Fleetmesh for kubectl.
#[derive(Debug, Parser)]
#[command(name = "kubectl-fleetmesh", bin_name = "kubectl fleetmesh", version)]
struct Plugin {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PluginCommand {
    // The help is that of the arguments.
    #[command(subcommand)]
    Canary(CanaryCommand),
}

fn main() -> ExitCode {
    let Plugin { command: PluginCommand::Canary(command) } = Plugin::parse();
    match fleetmesh_kubectl::run_on_stdout(command) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output, `head` for example, has enough.
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing more can be done when standard error is closed.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
