//! The blow: at the N-th write of an operator's life something happens.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleetmesh_operator::write_hook::{ReplyLost, Write, WriteHook};
use fleetmesh_testbed::long;
use tokio::sync::watch;

/// What happens to the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The operator dies before the request is sent.
    DiesBefore,
    /// The operator dies after the request was carried out, before it sees the reply.
    DiesAfter,
    /// The request is carried out, its reply is lost, the operator lives on.
    ReplyLost,
    /// The operator panics before the request is sent, and lives on.
    Panics,
}

impl Mode {
    pub const ALL: [Self; 4] = [Self::DiesBefore, Self::DiesAfter, Self::ReplyLost, Self::Panics];

    /// Whether the operator is no more after it.
    pub fn is_deadly(self) -> bool {
        matches!(self, Self::DiesBefore | Self::DiesAfter)
    }
}

/// Which write, counted from 1, and what happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blow {
    pub at: usize,
    pub mode: Mode,
}

/// How often each write is struck: once, in the four modes by turns, or in the long form of the tests in each of them.
pub fn turns_each() -> usize {
    long::choose(1, Mode::ALL.len())
}

impl Blow {
    /// The blow at write `at` of the phase or story with this index, in this one of the [`turns_each`]: neighbouring writes,
    /// and the same write of the next phase, are struck in other modes.
    pub fn in_turn(at: usize, phase: usize, turn: usize) -> Self {
        Self { at, mode: Mode::ALL[(at + phase + turn) % Mode::ALL.len()] }
    }

    /// Each of the first `most` writes in each of the [`turns_each`], as write and turn.
    pub fn turns(most: usize) -> Vec<(usize, usize)> {
        (1..=most).flat_map(|at| (0..turns_each()).map(move |turn| (at, turn))).collect()
    }
}

/// Counts the writes and strikes one.
#[derive(Debug)]
pub struct Striker {
    blow: Mutex<Option<Blow>>,
    writes: AtomicUsize,
    struck: Mutex<Option<Write>>,
    fallen: watch::Sender<bool>,
}

impl Striker {
    pub fn new(blow: Option<Blow>) -> Self {
        Self {
            blow: Mutex::new(blow),
            writes: AtomicUsize::new(0),
            struck: Mutex::default(),
            fallen: watch::Sender::new(false),
        }
    }

    /// Begins to count anew, for `blow`.
    pub fn arm(&self, blow: Option<Blow>) {
        *self.blow.lock().unwrap() = blow;
        self.writes.store(0, Ordering::SeqCst);
        self.fallen.send_replace(false);
    }

    /// Strikes no more, whatever comes; the mode of the blow if it has fallen.
    pub fn disarm(&self) -> Option<Mode> {
        let blow = self.blow.lock().unwrap().take();
        blow.filter(|_| *self.fallen.borrow()).map(|blow| blow.mode)
    }

    fn blow(&self) -> Option<Blow> {
        *self.blow.lock().unwrap()
    }

    /// The writes so far.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// Completes when the blow has fallen.
    pub fn fallen(&self) -> watch::Receiver<bool> {
        self.fallen.subscribe()
    }

    async fn die(&self) -> ! {
        self.fallen.send_replace(true);
        std::future::pending().await
    }
}

#[async_trait::async_trait]
impl WriteHook for Striker {
    async fn before(&self, write: &Write) {
        let count = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        let Some(blow) = self.blow().filter(|blow| blow.at == count) else { return };
        match blow.mode {
            Mode::DiesBefore => self.die().await,
            Mode::Panics => {
                self.fallen.send_replace(true);
                panic!("struck at write {count}");
            }
            Mode::DiesAfter | Mode::ReplyLost => {}
        }
        *self.struck.lock().unwrap() = Some(write.clone());
    }

    async fn after(&self, write: &Write) -> Result<(), ReplyLost> {
        let struck = {
            let mut struck = self.struck.lock().unwrap();
            struck.take_if(|struck| struck == write).is_some()
        };
        match self.blow() {
            Some(Blow { mode: Mode::DiesAfter, .. }) if struck => self.die().await,
            Some(Blow { mode: Mode::ReplyLost, .. }) if struck => {
                self.fallen.send_replace(true);
                Err(ReplyLost)
            }
            _ => Ok(()),
        }
    }
}
