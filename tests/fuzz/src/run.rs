//! Runs a target: input after input until the time is over, or until one fails, which is shrunk and kept.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use fleetmesh_tasks::Panicked;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::memory;
use crate::mutation::{MutationPlan, plans};
use crate::targets::Target;

/// The most processor time that an input of at most [`crate::mutation::LONGEST`] bytes may take, in a debug build.
const LONGEST_TIME: Duration = Duration::from_millis(1000);
/// The most memory that an input may make resident.
const MOST_MEMORY: u64 = 64 << 20;
/// Inputs between two looks at the memory.
const BATCH: usize = 128;
/// Steps of shrinking at the most, and how long they may take.
const SHRINKS: usize = 2000;
const SHRINKING: Duration = Duration::from_secs(5);

/// What a run came to.
#[derive(Debug)]
pub struct FuzzTally {
    /// Inputs that were tried.
    pub inputs: u64,
    /// Those that the parser took, which says that the mutations do not all die at the door.
    pub accepted: u64,
    /// The longest processor time of one.
    pub slowest: Duration,
}

/// An input that must not be.
#[derive(Debug)]
pub struct FuzzFailure {
    /// The input, as short as shrinking made it.
    pub input: Vec<u8>,
    /// What did not hold.
    pub reason: String,
}

/// Tries inputs of `target` for `length`, drawn from `seed`; the seeds themselves first, mutated ones after them.
///
/// # Errors
/// `/proc` cannot be read.
pub fn run(target: &dyn Target, length: Duration, seed: u64) -> Result<Result<FuzzTally, FuzzFailure>> {
    let (seeds, words) = (target.seeds(), target.words());
    let mut tally = FuzzTally { inputs: 0, accepted: 0, slowest: Duration::ZERO };
    for input in &seeds {
        if let Err(reason) = tally.take(try_input(target, input)) {
            return Ok(Err(FuzzFailure { input: input.clone(), reason }));
        }
    }
    let mut runner = TestRunner::new_with_rng(Config::default(), random(seed));
    let (strategy, begun) = (plans(), Instant::now());
    while begun.elapsed() < length {
        memory::forget_peak()?;
        let before = memory::peak()?;
        let mut batch = Vec::with_capacity(BATCH);
        for _ in 0..BATCH {
            let mut tree = strategy.new_tree(&mut runner).map_err(|reason| anyhow::anyhow!("{reason}"))?;
            let input = tree.current().input(&seeds, words);
            if let Err(reason) = tally.take(try_input(target, &input)) {
                return Ok(Err(shrunk(target, &mut tree, &seeds, FuzzFailure { input, reason })));
            }
            batch.push(input);
        }
        if memory::peak()?.saturating_sub(before) > MOST_MEMORY
            && let Some(failure) = hungry(target, batch)?
        {
            return Ok(Err(failure));
        }
    }
    Ok(Ok(tally))
}

fn random(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

impl FuzzTally {
    fn take(&mut self, outcome: Result<(bool, Duration), String>) -> Result<(), String> {
        let (accepted, took) = outcome?;
        self.inputs += 1;
        self.accepted += u64::from(accepted);
        self.slowest = self.slowest.max(took);
        Ok(())
    }
}

/// Whether the parser took the input, and how long it had the processor.
///
/// # Errors
/// In words: what did not hold.
fn try_input(target: &dyn Target, input: &[u8]) -> Result<(bool, Duration), String> {
    let begun = memory::thread_time();
    let outcome = catch_unwind(AssertUnwindSafe(|| target.try_input(input)));
    let took = memory::thread_time().saturating_sub(begun);
    let accepted = outcome.map_err(|panic| Panicked::from(panic).to_string())??;
    if took > LONGEST_TIME {
        return Err(format!("{} bytes took {took:?} of processor time", input.len()));
    }
    Ok((accepted, took))
}

/// The input of `batch` that takes more memory than any may, if it does so again.
fn hungry(target: &dyn Target, batch: Vec<Vec<u8>>) -> Result<Option<FuzzFailure>> {
    for input in batch {
        memory::forget_peak()?;
        let before = memory::peak()?;
        // Its outcome is known.
        let _ = try_input(target, &input);
        let grown = memory::peak()?.saturating_sub(before);
        if grown > MOST_MEMORY {
            let reason = format!("{} bytes took {grown} bytes of memory", input.len());
            return Ok(Some(FuzzFailure { input, reason }));
        }
    }
    Ok(None)
}

/// The failure with as few and as small mutations as proptest finds.
fn shrunk(
    target: &dyn Target,
    tree: &mut impl ValueTree<Value = MutationPlan>,
    seeds: &[Vec<u8>],
    mut least: FuzzFailure,
) -> FuzzFailure {
    let (mut more, begun) = (tree.simplify(), Instant::now());
    for _ in 0..SHRINKS {
        if !more || begun.elapsed() > SHRINKING {
            break;
        }
        let input = tree.current().input(seeds, target.words());
        more = match try_input(target, &input) {
            Err(reason) => {
                least = FuzzFailure { input, reason };
                tree.simplify()
            }
            Ok(_) => tree.complicate(),
        };
    }
    least
}

/// Writes the input of a failure into `folder` and gives the file.
///
/// # Errors
/// It cannot be written.
pub fn keep(target: &dyn Target, failure: &FuzzFailure, folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let name = (0..u32::MAX).map(|number| folder.join(format!("{}-{number}", target.name())));
    let file = name.into_iter().find(|file| !file.exists()).context("too many files")?;
    fs::write(&file, &failure.input).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// Tries what is in `file` once more.
///
/// # Errors
/// It cannot be read, or it fails.
pub fn replay(target: &dyn Target, file: &Path) -> Result<()> {
    let input = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    if let Err(reason) = try_input(target, &input) {
        bail!("{}: {reason}", file.display());
    }
    Ok(())
}
