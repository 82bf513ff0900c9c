//! What this process and this thread have used, as the kernel counts it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// The most memory that the process may map, in bytes: a parser that asks for more ends the process, not the machine.
const MOST: u64 = 4 << 30;

/// Bounds the memory of this process from now on.
///
/// # Errors
/// The kernel does not let it.
pub fn bound() -> Result<()> {
    let maximum = getrlimit(Resource::As).maximum;
    let current = Some(maximum.map_or(MOST, |maximum| maximum.min(MOST)));
    setrlimit(Resource::As, Rlimit { current, maximum }).context("cannot bound the memory")
}

/// The processor time of this thread.
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Forgets the peak of this process's memory: it counts anew from what is resident now.
///
/// # Errors
/// `/proc` does not let it.
pub fn forget_peak() -> Result<()> {
    std::fs::write("/proc/self/clear_refs", "5").context("cannot reset the peak of the memory")
}

/// The peak of this process's resident memory, in bytes.
///
/// # Errors
/// `/proc` does not show it.
pub fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().context("VmHWM is no number")?;
    Ok(kibibytes * 1024)
}
