//! What the long-running subcommands share: the runtime, the crypto provider, and a graceful stop on signals.

use std::future::Future;
use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Runs `serve` until it ends by itself, or gracefully after SIGTERM or SIGINT; a second signal ends the process at
/// once.
pub fn run<F, E>(serve: impl FnOnce(CancellationToken) -> F) -> anyhow::Result<ExitCode>
where
    F: Future<Output = Result<(), E>>,
    E: Into<anyhow::Error>,
{
    // The clients of Kubernetes and of AWS are both built on rustls; with one provider for the process neither has to
    // guess. An error means that there is one already.
    #[cfg(any(feature = "operator", feature = "control-plane"))]
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
        tokio::spawn(stop_on_signal(terminate, interrupt, shutdown.clone()));
        serve(shutdown).await.map_err(Into::into)?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn stop_on_signal(mut terminate: Signal, mut interrupt: Signal, shutdown: CancellationToken) {
    let mut next = async || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    let name = next().await;
    tracing::info!(signal = name, "stopping; a second signal stops at once");
    shutdown.cancel();
    let name = next().await;
    tracing::warn!(signal = name, "stopped before the work was finished");
    std::process::exit(1);
}
