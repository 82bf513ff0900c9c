//! Pearson's chi-square test of counts against the weights they should follow.

use anyhow::{Context as _, Result, ensure};
use statrs::distribution::{ChiSquared, ContinuousCDF as _};

/// The probability that counts drawn by `weights` differ from them at least as much as `counts` do.
///
/// A weight of 0 forbids its target: one request there makes the probability 0. With a single positive weight the
/// answer is otherwise 1.
///
/// # Errors
/// The lengths differ, no weight is positive, or nothing was counted.
pub fn p_value(counts: &[u64], weights: &[u32]) -> Result<f64> {
    ensure!(counts.len() == weights.len(), "{} counts for {} weights", counts.len(), weights.len());
    let total: u64 = counts.iter().sum();
    let whole: u64 = weights.iter().copied().map(u64::from).sum();
    ensure!(total > 0, "nothing was counted");
    ensure!(whole > 0, "no weight is positive");
    let pairs = || counts.iter().zip(weights);
    if pairs().any(|(&count, &weight)| weight == 0 && count > 0) {
        return Ok(0.0);
    }
    let positive = pairs().filter(|(_, weight)| **weight > 0);
    let statistic: f64 = positive
        .clone()
        .map(|(&count, &weight)| {
            let expected = to_f64(total) * f64::from(weight) / to_f64(whole);
            (to_f64(count) - expected).powi(2) / expected
        })
        .sum();
    let freedom = positive.count() - 1;
    if freedom == 0 {
        return Ok(1.0);
    }
    let distribution = ChiSquared::new(to_f64(freedom as u64)).context("degrees of freedom are positive")?;
    Ok(distribution.sf(statistic))
}

/// Counts of requests stay far below 2^53, so nothing is lost.
#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-4
    }

    #[test]
    fn p_value_agrees_with_published_tables() -> Result<()> {
        // Critical values of one degree of freedom: 3.841 at 0.05. 5098:4902 against 1:1 is 3.8416.
        assert!(close(p_value(&[5098, 4902], &[1, 1])?, 0.05));
        // And 10.828 at 0.001. 50520:49480 against 1:1 is 10.816.
        assert!(close(p_value(&[50_520, 49_480], &[1, 1])?, 0.001));
        // Mendel's peas, 315:108:101:32 against 9:3:3:1: statistic 0.470, p 0.9254.
        assert!(close(p_value(&[315, 108, 101, 32], &[9, 3, 3, 1])?, 0.9254));
        Ok(())
    }

    #[test]
    fn p_value_accepts_the_split_and_rejects_another() -> Result<()> {
        assert!(p_value(&[3000, 1000], &[75, 25])? > 0.999);
        assert!(p_value(&[2800, 1200], &[75, 25])? < 0.001);
        Ok(())
    }

    #[test]
    fn p_value_of_weight_zero_allows_nothing() -> Result<()> {
        assert!(close(p_value(&[4000, 0], &[100, 0])?, 1.0));
        assert!(close(p_value(&[4000, 1], &[100, 0])?, 0.0));
        Ok(())
    }

    #[test]
    fn p_value_rejects_input_without_meaning() {
        assert!(p_value(&[1], &[1, 1]).is_err());
        assert!(p_value(&[0, 0], &[1, 1]).is_err());
        assert!(p_value(&[1, 1], &[0, 0]).is_err());
    }
}
