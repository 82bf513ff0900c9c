//! What a process used so far, as the kernel counts it (`/proc`). Reads files, changes nothing.

use std::time::Duration;

use anyhow::{Context, Result};

/// Kernel clock ticks a second: `USER_HZ`, 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time of all threads and the resident size.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Resident set, in bytes.
    pub rss: u64,
    /// Peak resident set, in bytes.
    pub peak_rss: u64,
}

/// The usage of process `pid`.
///
/// # Errors
/// When the process is gone.
pub fn of(pid: u32) -> Result<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("read the process's stat")?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum();
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).context("read the process's status")?;
    let bytes = |member: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(member));
        let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        Ok(kib.with_context(|| format!("read {member}"))? * 1024)
    };
    Ok(Usage {
        cpu: Duration::from_secs_f64(ticks / TICKS_PER_SECOND),
        rss: bytes("VmRSS:")?,
        peak_rss: bytes("VmHWM:")?,
    })
}
