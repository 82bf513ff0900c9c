//! The engine finds what is planted, shrinks it, keeps it and finds it again in the file; and the targets that there are
//! take their own seeds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fleetmesh_fuzz::memory;
use fleetmesh_fuzz::run::{self, FuzzFailure};
use fleetmesh_fuzz::targets::{self, NAMES, Target};

/// Long enough on any machine: a failure ends a run at once.
const LONG: Duration = Duration::from_secs(120);

/// A parser with one fault.
struct Faulty(fn(&[u8]) -> Result<bool, String>);

impl Target for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        vec![b"a well-formed input, and a long one".to_vec()]
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[b"<!--", b"-->"]
    }

    fn try_input(&self, input: &[u8]) -> Result<bool, String> {
        self.0(input)
    }
}

/// The memory of the process is everybody's.
static ALONE: Mutex<()> = Mutex::new(());

fn failure(fault: fn(&[u8]) -> Result<bool, String>) -> FuzzFailure {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    run::run(&Faulty(fault), LONG, 1).unwrap().expect_err("the fault is found")
}

fn opens_twice(input: &[u8]) -> bool {
    input.windows(4).filter(|window| window == b"<!--").count() >= 2
}

#[test]
fn a_panic_is_found_shrunk_kept_and_found_again() {
    let fault: fn(&[u8]) -> _ = |input| {
        assert!(!opens_twice(input), "opened twice");
        Ok(true)
    };
    let failure = failure(fault);
    assert!(failure.reason.contains("opened twice"), "{}", failure.reason);
    assert!(opens_twice(&failure.input) && failure.input.len() <= 64, "{:?}", failure.input);
    let folder = tempfile::tempdir().unwrap();
    let file = run::keep(&Faulty(fault), &failure, folder.path()).unwrap();
    let again = run::replay(&Faulty(fault), &file).unwrap_err().to_string();
    assert!(again.contains("opened twice") && again.contains(&file.display().to_string()), "{again}");
    assert!(run::replay(&Faulty(|_| Ok(true)), &file).is_ok());
    assert_ne!(run::keep(&Faulty(fault), &failure, folder.path()).unwrap(), file, "none is overwritten");
}

#[test]
fn what_does_not_hold_what_takes_long_and_what_takes_memory_is_found() {
    let wrong = failure(|input| if opens_twice(input) { Err("not the same".to_owned()) } else { Ok(true) });
    assert_eq!(wrong.reason, "not the same");
    let slow = failure(|input| {
        let spins = if opens_twice(input) { u64::MAX } else { 0 };
        let begun = memory::thread_time();
        for spin in 0..spins {
            std::hint::black_box(spin);
            if spin % 4096 == 0 && memory::thread_time() - begun > Duration::from_millis(1500) {
                break;
            }
        }
        Ok(true)
    });
    assert!(slow.reason.contains("processor time"), "{}", slow.reason);
    let hungry = failure(|input| {
        let size = if opens_twice(input) { 200 << 20 } else { 0 };
        std::hint::black_box(vec![1u8; size]);
        Ok(true)
    });
    assert!(hungry.reason.contains("of memory"), "{}", hungry.reason);
}

#[test]
fn targets_take_their_own_seeds() {
    for name in NAMES {
        let target = targets::target(name).unwrap();
        assert_eq!(target.name(), name);
        let seeds = target.seeds();
        let taken = seeds.iter().filter(|seed| target.try_input(seed).unwrap()).count();
        assert!(taken > 0 && taken + 1 >= seeds.len(), "{name} takes {taken} of {} seeds", seeds.len());
    }
    assert!(targets::target("nothing").is_err());
}

#[test]
fn the_same_seed_draws_the_same_inputs() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let draw = || {
        run::run(&Faulty(|input| if input.len() == 40 { Err("40".to_owned()) } else { Ok(true) }), LONG, 7)
    };
    let inputs = [draw(), draw()].map(|run| run.unwrap().expect_err("found").input);
    assert_eq!(inputs[0], inputs[1]);
}

#[test]
fn what_was_found_once_is_not_found_again() {
    let corpus = Path::new("corpus");
    let mut tried = 0;
    for name in NAMES {
        let target = targets::target(name).unwrap();
        for entry in fs::read_dir(corpus.join(name)).into_iter().flatten() {
            run::replay(target.as_ref(), &entry.unwrap().path()).unwrap();
            tried += 1;
        }
    }
    assert!(tried > 0, "no input in {}", corpus.display());
}
