//! One operator life after another.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use fleetmesh_operator::write_hook::WriteHooks;
use fleetmesh_testbed::wait;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::bed::{CrashLane, OperatorMaking};
use crate::faults::{Blow, Mode, Striker};

/// After this a plan hangs. Ten times the design's bound for a recovery, because dozens of lanes, and other programs, want the processors
/// too: what is slow only because they have them is no failure.
const RECOVERY: Duration = Duration::from_secs(300);
/// Between two looks whether a plan has ended.
const LOOK: Duration = Duration::from_millis(100);

/// How a plan ended.
pub struct EndedLife {
    /// The writes of the first life.
    pub writes: usize,
    /// Whether the blow fell before the end.
    pub struck: bool,
    /// What there is in the end.
    pub state: Value,
}

/// One operator life after another with the same configuration.
pub struct Lives {
    making: OperatorMaking,
    /// Of the operator that lives, so that it can die with all its tasks at once.
    runtime: Option<Runtime>,
    striker: Arc<Striker>,
}

impl Lives {
    /// Begins the first, which `blow` strikes.
    pub fn begin(making: &OperatorMaking, blow: Option<Blow>) -> Result<Self> {
        let mut lives = Self { making: making.clone(), runtime: None, striker: Arc::new(Striker::new(blow)) };
        lives.live()?;
        Ok(lives)
    }

    /// Begins a life that the striker watches.
    fn live(&mut self) -> Result<()> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (making, striker) = (self.making.clone(), Arc::clone(&self.striker));
        runtime.spawn(async move {
            let hooks = WriteHooks::default().and(striker);
            let operator = making.operator(hooks).await.expect("a cluster");
            operator.run(CancellationToken::new()).await.expect("it shares no lease");
        });
        self.runtime = Some(runtime);
        Ok(())
    }

    /// Ends the life that is.
    fn die(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Lets `blow` strike the life that is, whose writes count anew.
    pub fn arm(&self, blow: Option<Blow>) {
        self.striker.arm(blow);
    }

    /// Awaits the `end` of a plan; a life that dies of the blow is followed by another. The number of writes differs a
    /// little from run to run (a status may or may not catch an object waiting), so a late blow may not fall.
    pub async fn until(&mut self, end: impl AsyncFn() -> Result<Value>) -> Result<EndedLife> {
        let striker = Arc::clone(&self.striker);
        let mut fallen = striker.fallen();
        let end = async || ended(&end).await;
        let mut undisturbed = None;
        tokio::select! {
            fallen = fallen.wait_for(|fallen| *fallen) => drop(fallen?),
            end = end() => undisturbed = Some(end?),
        }
        // One that has not fallen by the end must not fall in the next plan, and one that fell on a write after the end
        // has left an operator that hangs.
        if striker.disarm().is_some_and(Mode::is_deadly) {
            self.die();
            self.striker = Arc::new(Striker::new(None));
            self.live()?;
        }
        let struck = undisturbed.is_none();
        let state = match undisturbed {
            Some(state) => state,
            None => end().await?,
        };
        Ok(EndedLife { writes: striker.writes(), struck, state })
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        self.die();
    }
}

impl CrashLane {
    /// Lets an operator live while `act` happens, until there is an `end`, struck by `blow`.
    pub async fn play(
        &self,
        blow: Option<Blow>,
        act: impl Future<Output = Result<()>>,
        end: impl AsyncFn() -> Result<Value>,
    ) -> Result<EndedLife> {
        let mut lives = Lives::begin(&self.making, blow)?;
        act.await?;
        let ended = lives.until(end).await?;
        Ok(EndedLife { state: self.anonymous(&ended.state)?, ..ended })
    }
}

/// Awaits the end of a plan.
pub async fn ended(end: impl AsyncFn() -> Result<Value>) -> Result<Value> {
    wait::until_every(LOOK, "it is as wanted", RECOVERY, async || end().await.map(Some)).await
}
