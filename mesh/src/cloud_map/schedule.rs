//! When to ask for a service, and whether to read its instances. Pure: randomness is passed in.

use std::time::Duration;

/// Every so many polls the instances are read although the revision is the same: their health does not change it.
pub const REREAD: u32 = 12;
/// After failures, polls are at most this many intervals apart.
const LONGEST: u32 = 12;

/// Where the polling of one service stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Schedule {
    /// The revision of the instances that were read last.
    revision: Option<i64>,
    /// Polls since then that read nothing.
    skipped: u32,
    /// Polls in a row that failed.
    failures: u32,
}

impl Schedule {
    /// Whether the instances are to be read, now that `revision` was answered.
    pub fn is_due(&mut self, revision: Option<i64>) -> bool {
        let due = revision.is_none() || revision != self.revision || self.skipped + 1 >= REREAD;
        if !due {
            self.skipped += 1;
            self.failures = 0;
        }
        due
    }

    /// Notes that instances of this revision were read.
    pub fn read(&mut self, revision: Option<i64>) {
        *self = Self { revision, skipped: 0, failures: 0 };
    }

    /// Notes that a poll failed; says whether it is the first one in a row.
    pub fn failed(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failures == 1
    }

    /// Whether the last poll failed.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// How long to wait for the next poll: about `interval`, spread by a tenth either way so that services do not fall
    /// into step; twice as long for each failure in a row, up to [`LONGEST`] intervals. `random` is from 0 to 1.
    pub fn delay(&self, interval: Duration, random: f64) -> Duration {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(LONGEST).min(LONGEST);
        (interval * factor).mul_f64(0.9 + 0.2 * random.clamp(0.0, 1.0))
    }
}
