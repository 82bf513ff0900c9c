//! `fleetmesh doctor`: what is wrong, and the command that mends it. `observe` sees, with a limit of time on everything; `api`, `app_mesh`
//! and `host` judge what it saw and are pure, as `check` is, which prints it.

mod api;
mod app_mesh;
mod args;
mod check;
mod host;
mod observe;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;

pub use args::DoctorArgs;
use args::DoctorForm;

/// Looks at everything and prints what it found.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    // The one provider for the process; an error means that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let checks = runtime.block_on(async {
        let api = observe::api(args).await;
        let app_mesh = observe::app_mesh(args).await;
        let host = observe::host(args).await;
        [api::checks(&api), app_mesh::checks(&app_mesh, SystemTime::now()), host::checks(&host)].concat()
    });
    // What is late, a disk that hangs for example, is not waited for.
    runtime.shutdown_background();
    let text = match args.output {
        DoctorForm::Table => check::table(&checks),
        DoctorForm::Json => format!("{:#}\n", check::document(&checks)),
    };
    io::stdout().lock().write_all(text.as_bytes()).context("cannot write to standard output")?;
    Ok(if check::is_well(&checks) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
