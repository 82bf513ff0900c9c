//! The load client: requests at a steady rate, counted by phase, reported as JSON lines while they run.
//!
//! A line `phase NAME` on standard input opens a phase; a request belongs to the phase in which it started. When
//! standard input closes, requests under way are awaited and the last report is printed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::client::{AppCall, Client};
use super::tally::{LoadPhase, Tally};

/// Requests start in small bursts at this interval.
const BURST: Duration = Duration::from_millis(5);
/// Time between two reports.
const REPORT: Duration = Duration::from_millis(100);

/// The commands of the load client.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// The request.
    pub call: AppCall,
    /// Requests started in a second.
    pub rate: u32,
    /// Clients with their own connections, used in turn; at least 1.
    pub connections: usize,
    /// The most requests under way.
    pub concurrency: usize,
    /// The name of the first phase.
    pub phase: String,
}

type SharedTally = Arc<Mutex<Tally>>;

/// Sends until standard input closes.
///
/// # Errors
/// Standard input cannot be read or a report cannot be written.
pub async fn run(plan: LoadPlan) -> Result<()> {
    let tally: SharedTally = Arc::default();
    open(&tally, &plan.phase);
    report(&tally)?;
    let plan = Arc::new(plan);
    let clients: Vec<Client> =
        (0..plan.connections.max(1)).map(|_| Client::new(plan.call.protocol)).collect();
    let slots = Arc::new(Semaphore::new(plan.concurrency));
    let mut under_way = JoinSet::new();
    let mut commands: Lines<BufReader<Stdin>> = BufReader::new(tokio::io::stdin()).lines();
    let (mut bursts, mut reports) = (steady(BURST), steady(REPORT));
    let mut pace = LoadPace::new(plan.rate);
    let mut next_client = 0;
    loop {
        tokio::select! {
            line = commands.next_line() => match line? {
                Some(line) => { if let Some(name) = line.strip_prefix("phase ") { open(&tally, name); } }
                None => break,
            },
            _ = bursts.tick() => {
                for _ in 0..pace.due() {
                    // No free slot: the request is late, not lost; the next burst starts it.
                    let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { break };
                    pace.started();
                    let client = clients[next_client % clients.len()].clone();
                    next_client += 1;
                    let (tally, plan) = (Arc::clone(&tally), Arc::clone(&plan));
                    let phase = begin(&tally);
                    under_way.spawn(async move {
                        let outcome = match client.send(&plan.call).await {
                            Ok(answer) => answer.outcome(),
                            Err(error) => Err(format!("{error:#}")),
                        };
                        end(&tally, phase, outcome);
                        drop(slot);
                    });
                }
            }
            _ = reports.tick() => {
                while under_way.try_join_next().is_some() {}
                report(&tally)?;
            }
        }
    }
    under_way.join_all().await;
    report(&tally)
}

/// Turns a rate into requests per burst without drift; requests held back are made up for at most one second.
struct LoadPace {
    rate: f64,
    since: tokio::time::Instant,
    owed: f64,
}

impl LoadPace {
    fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate), since: tokio::time::Instant::now(), owed: 0.0 }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "owed is between 0 and the rate"
    )]
    fn due(&mut self) -> u32 {
        let now = tokio::time::Instant::now();
        self.owed = (self.owed + (now - self.since).as_secs_f64() * self.rate).min(self.rate);
        self.since = now;
        self.owed as u32
    }

    fn started(&mut self) {
        self.owed -= 1.0;
    }
}

fn steady(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    interval
}

/// A panic while counting cannot leave the counts half changed, so a poisoned lock is as good as another.
fn with<T>(tally: &SharedTally, act: impl FnOnce(&mut Tally) -> T) -> T {
    act(&mut tally.lock().unwrap_or_else(PoisonError::into_inner))
}

fn open(tally: &SharedTally, name: &str) {
    with(tally, |tally| tally.phases.push(LoadPhase { name: name.to_owned(), ..LoadPhase::default() }));
}

/// Counts a start and returns the index of its phase.
fn begin(tally: &SharedTally) -> usize {
    with(tally, |tally| {
        if let Some(phase) = tally.phases.last_mut() {
            phase.started += 1;
        }
        tally.phases.len().saturating_sub(1)
    })
}

fn end(tally: &SharedTally, phase: usize, outcome: Result<String, String>) {
    with(tally, |tally| {
        if let Some(phase) = tally.phases.get_mut(phase) {
            phase.count(outcome);
        }
    });
}

fn report(tally: &SharedTally) -> Result<()> {
    let line = with(tally, |tally| serde_json::to_string(tally))?;
    println!("{line}");
    Ok(())
}
