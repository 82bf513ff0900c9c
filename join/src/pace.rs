//! When to join again. Pure.

use std::time::Duration;

/// The first pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after failures.
const LONGEST: Duration = Duration::from_secs(60);

/// The pauses between joins. Each `spread`, 0 to 1, takes up to a tenth off, so that a fleet that was started at once does
/// not ask at once.
#[derive(Debug)]
pub struct JoinPace {
    after_failure: Duration,
    /// No pause after a failure is longer.
    longest: Duration,
}

impl Default for JoinPace {
    fn default() -> Self {
        Self { after_failure: PAUSE, longest: LONGEST }
    }
}

impl JoinPace {
    /// A certificate that is valid for `life` from now on is renewed at half of it. Failures from then on are paused for
    /// ever longer, but no longer than a tenth of its life, so that one that passes leaves the proxy connected.
    pub fn joined(&mut self, life: Duration, spread: f64) -> Duration {
        *self = Self { after_failure: PAUSE, longest: (life / 10).clamp(PAUSE, LONGEST) };
        less(life / 2, spread)
    }

    /// After a failure: a second, and twice that after each further one, to a minute at the most.
    pub fn failed(&mut self, spread: f64) -> Duration {
        let pause = self.after_failure.min(self.longest);
        self.after_failure = (pause * 2).min(self.longest);
        less(pause, spread)
    }
}

fn less(time: Duration, spread: f64) -> Duration {
    time.mul_f64(1.0 - spread.clamp(0.0, 1.0) / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_certificate_is_renewed_at_half_of_its_life_and_never_later() {
        let mut pace = JoinPace::default();
        assert_eq!(pace.joined(HOUR, 0.0), HOUR / 2);
        assert_eq!(pace.joined(HOUR, 1.0), HOUR / 2 - HOUR / 20);
        assert_eq!(pace.joined(Duration::from_secs(10), 0.5), Duration::from_millis(4750));
        for (wrong, right) in [(-1.0, HOUR / 2), (2.0, HOUR * 9 / 20)] {
            assert_eq!(pace.joined(HOUR, wrong), right, "{wrong}");
        }
    }

    #[test]
    fn failures_are_paused_ever_longer_and_start_anew_after_a_certificate() {
        let mut pace = JoinPace::default();
        let seconds = |pace: &mut JoinPace| pace.failed(0.0).as_secs();
        let first: Vec<u64> = (0..8).map(|_| seconds(&mut pace)).collect();
        assert_eq!(first, [1, 2, 4, 8, 16, 32, 60, 60]);
        pace.joined(HOUR, 0.0);
        assert_eq!(seconds(&mut pace), 1);
        pace.joined(Duration::from_secs(60), 0.0);
        let short: Vec<u64> = (0..5).map(|_| seconds(&mut pace)).collect();
        assert_eq!(short, [1, 2, 4, 6, 6], "several tries are left before it ends");
    }
}
