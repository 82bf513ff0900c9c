//! `fleetmesh apply`, `get`, `describe`, `delete`, `events`, `wait` and `diff`: kubectl's commands for hosts without kubectl.

mod args;
mod selection;

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use fleetmesh_client::{Command, Error, Place, Streams};

pub use args::ClientCommand;
pub use fleetmesh_kubectl::PlaceArgs;
pub use selection::place;

/// Runs the command to its end. What it answers is on standard output, and why it was not done on standard error, in kubectl's words
/// and with its exit statuses.
pub fn run(command: ClientCommand) -> anyhow::Result<ExitCode> {
    // The one provider for the process; an error means that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let (place, command) = command.parts();
    Ok(match runtime.block_on(done(&place, command)) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output, `head` for example, has enough.
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            let text = error.shown();
            if !text.is_empty() {
                // Nothing more can be done when standard error is closed.
                let _ = writeln!(io::stderr(), "{text}");
            }
            ExitCode::from(error.code())
        }
    })
}

async fn done(place: &Place, command: Command) -> Result<(), Error> {
    let (mut input, mut out, mut err) = (io::stdin().lock(), io::stdout().lock(), io::stderr());
    let streams = Streams { input: &mut input, out: &mut out, err: &mut err };
    command.run(place, streams).await
}
