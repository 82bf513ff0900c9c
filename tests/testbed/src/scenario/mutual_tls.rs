//! TLS between all proxies of the mesh, with the certificates that they got by joining: `samples/mtls` under requests.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::world::apply;
use super::{LIMIT, Loads, MESH, Observer, ScenarioOptions, ScenarioWorld};
use crate::app::{self, Protocol};
use crate::envoy;
use crate::wait;

/// The phase that requests are counted in from then on.
pub const PHASE: &str = "mutual TLS";
/// The last step of the operator.
const LAST: &str = "Strict";
/// Handshakes of the listener that takes what callers send.
const HANDSHAKES: &str = "listener.0.0.0.0_15000.ssl.handshake";
/// How long a request without TLS may take to be refused.
const REFUSED: Duration = Duration::from_secs(10);

/// How mutual TLS went.
#[derive(Debug, Clone)]
pub struct MutualTls {
    /// Handshakes in which serviceBv2's proxy verified a caller's certificate.
    pub handshakes: u64,
    /// Whether a client without a certificate, which goes past the gateway, gets no answer.
    pub others_refused: bool,
}

impl MutualTls {
    /// Whether callers are known by their certificates, and nobody else is let in.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.handshakes > 0 && self.others_refused
    }
}

/// Turns it on and awaits that every listener demands it, while requests go on.
pub(super) async fn run(
    world: &ScenarioWorld,
    load: &mut Loads,
    options: &ScenarioOptions,
    observer: &mut dyn Observer,
) -> Result<MutualTls> {
    load.phase("shift to mutual TLS").await?;
    apply(&world.installation, &options.samples, "mtls", observer).await?;
    let mut printed = String::new();
    wait::until("every listener demands TLS", LIMIT, async || {
        let mesh = world.installation.objects.get("Mesh", MESH, MESH).await?;
        let tls = &mesh["status"]["tls"];
        let stage = tls["stage"].as_str().unwrap_or_default().to_owned();
        if stage != printed {
            observer.step(&format!("  {stage}"));
            printed.clone_from(&stage);
        }
        ensure!(stage == LAST && tls["waiting"].is_null(), "its status: {tls}");
        Ok(Some(()))
    })
    .await?;
    load.phase(PHASE).await?;
    load.outside_is_answered(PHASE).await?;
    let (server, outside) = (&world.hosts[2].instance, &world.edge.outside);
    let handshakes = wait::until("a caller shows its certificate", LIMIT, async || {
        let shaken = envoy::stat(server, HANDSHAKES).await?.unwrap_or_default();
        Ok((shaken > 0).then_some(shaken))
    })
    .await?;
    let url = format!("http://{}:80/", server.ipv4());
    observer.step(&format!("a client without a certificate asks serviceBv2 itself: {url}"));
    let asked = tokio::time::timeout(REFUSED, app::get(outside, Protocol::Http2, &url, &[])).await;
    let others_refused = !matches!(asked, Ok(Ok(answer)) if answer.status == 200);
    Ok(MutualTls { handshakes, others_refused })
}
