//! The requests of the scenario: those of serviceA's application, and those of clients outside of the mesh.

use anyhow::Result;

use super::{LIMIT, OUTSIDE_URL, Observer, STAGES, ScenarioWorld, URL};
use crate::app::tally::Tally;
use crate::app::{AppLoad, LoadOptions, Protocol};
use crate::run_dir::RunDir;

/// Requests a second through the gateway: enough for each stage to have some of both versions.
const OUTSIDE_RATE: u32 = 50;

/// Both loads, always in the same phase.
#[derive(Debug)]
pub(super) struct Loads {
    /// serviceA's, which the splits are judged by.
    pub(super) inside: AppLoad,
    outside: AppLoad,
}

impl Loads {
    /// Starts both in the first stage's phase, serviceA's at `rate` requests a second.
    ///
    /// # Errors
    /// A client cannot be started.
    pub(super) async fn start(
        world: &ScenarioWorld,
        rate: u32,
        run: &RunDir,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let first = STAGES[0].name;
        observer.step(&format!("serviceA sends {rate} requests a second to {URL}"));
        let options = LoadOptions { rate, ..LoadOptions::new(URL) };
        let inside = AppLoad::start(&options, first, &world.hosts[0].instance, run).await?;
        observer
            .step(&format!("a client outside of the mesh sends {OUTSIDE_RATE} a second to {OUTSIDE_URL}"));
        let options =
            LoadOptions { rate: OUTSIDE_RATE, protocol: Protocol::Http, ..LoadOptions::new(OUTSIDE_URL) };
        let outside = AppLoad::start(&options, first, &world.edge.outside, run).await?;
        Ok(Self { inside, outside })
    }

    /// Opens the phase `name` of both.
    ///
    /// # Errors
    /// A client has ended.
    pub(super) async fn phase(&mut self, name: &str) -> Result<()> {
        self.inside.phase(name).await?;
        self.outside.phase(name).await
    }

    /// Awaits that clients outside of the mesh got an answer in the phase `name`.
    ///
    /// # Errors
    /// A client has ended, or there is none in time.
    pub(super) async fn outside_is_answered(&mut self, name: &str) -> Result<()> {
        let what = format!("a client outside of the mesh is answered during {name}");
        self.outside.until(&what, LIMIT, |tally| tally.phase(name).answered() > 0).await.map(drop)
    }

    /// Ends both and returns what they counted: serviceA's, then the others'.
    ///
    /// # Errors
    /// A client failed.
    pub(super) async fn finish(self) -> Result<(Tally, Tally)> {
        Ok((self.inside.finish().await?, self.outside.finish().await?))
    }
}
