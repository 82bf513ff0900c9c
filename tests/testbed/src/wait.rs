//! Waiting for a condition with a deadline: the one place that polls.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The least time between two looks at a condition.
const INTERVAL: Duration = Duration::from_millis(20);
/// The most that a look that takes long adds to it.
const LONGEST: Duration = Duration::from_millis(500);

/// Awaits `Ok(Some(value))` from `check`. `Ok(None)` and `Err` both mean "not yet"; an error is remembered as the
/// reason that is shown should time run out.
///
/// # Errors
/// `within` has passed: the error names `what` and the last reason.
pub async fn until<T>(
    what: &str,
    within: Duration,
    check: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    until_every(INTERVAL, what, within, check).await
}

/// The same with another time between two looks, for looks that cost something.
///
/// # Errors
/// As [`until`].
pub async fn until_every<T>(
    interval: Duration,
    what: &str,
    within: Duration,
    mut check: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        let looked = Instant::now();
        let reason = match check().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if started.elapsed() >= within {
            match reason {
                Some(error) => bail!("gave up after {within:?} waiting until {what}: {error:#}"),
                None => bail!("gave up after {within:?} waiting until {what}"),
            }
        }
        // Who starts kubectl or the AWS CLI looks half of the time at the most: what is waited for needs the cores.
        tokio::time::sleep(interval.max(looked.elapsed().min(LONGEST))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn until_returns_the_value() -> Result<()> {
        let mut looks = 0;
        let value = until("three looks", Duration::from_secs(5), async || {
            looks += 1;
            Ok((looks == 3).then_some("seen"))
        })
        .await?;
        assert_eq!((value, looks), ("seen", 3));
        Ok(())
    }

    #[tokio::test]
    async fn until_names_the_last_reason() {
        let outcome: Result<()> =
            until("the sky falls", Duration::ZERO, async || bail!("still up there")).await;
        let message = outcome.map_or_else(|error| error.to_string(), |()| String::new());
        assert!(message.contains("the sky falls") && message.contains("still up there"), "{message}");
    }
}
