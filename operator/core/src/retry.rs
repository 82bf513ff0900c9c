//! When to look at an object again. Pure: jitter comes from the object's uid and the number of failures.

use std::time::Duration;

use crate::failure::FailureClass;
use crate::object::Object;
use crate::observed::{Observed, Remote};
use crate::outcome::Outcome;
use crate::part::Parts;
use crate::settings::Settings;

/// The first wait after a transient failure.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait after a transient failure.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest wait while the endpoint throttles.
const LONGEST_THROTTLED: Duration = Duration::from_secs(60);

/// The next look when nothing triggers the object before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextLook {
    /// Try again so long after now.
    Retry(Duration),
    /// Compare the whole App Mesh object so long after it was last compared; looks in between do not put that off.
    Compare(Duration),
}

/// When to look next. `failures` counts reconciles that failed in a row, this one included. A transient failure is tried
/// again after 0.2 s, doubling to 30 s; a permanent one, like an object at rest, is compared at the drift interval.
pub fn next_look(observed: &Observed, outcome: &Outcome, failures: u32, settings: &Settings) -> NextLook {
    let failure = outcome.failure().or(match &observed.remote {
        Remote::Unreadable(failure) => Some(failure),
        _ => None,
    });
    match failure {
        // Two that wait for each other come at different times.
        Some(failure) if failure.class.is_transient() || outcome.busy => {
            NextLook::Retry(backoff(&observed.object, failure.class, failures))
        }
        // Shorter by up to a fifth: objects that were made together are looked at apart.
        _ => {
            let spread = spread(&observed.object, failures);
            NextLook::Compare(settings.drift_interval.mul_f64(1.0 - spread / 5.0))
        }
    }
}

/// When the parts of a resource want another look before the drift interval is over; `None` when they do not.
/// `failures` counts reconciles in a row in which one of them failed.
pub fn parts_look(object: &Object, parts: &Parts, failures: u32) -> Option<Duration> {
    let again = parts
        .failure()
        .filter(|failure| failure.class.is_transient())
        .map(|failure| backoff(object, failure.class, failures));
    [again, parts.look()].into_iter().flatten().min()
}

/// When to try again after `panics` reconciles of `object` in a row that panicked, 1 or more: after 0.2 s, doubling to 30 s, as
/// after a transient failure.
pub fn after_panic(object: &Object, panics: u32) -> Duration {
    backoff(object, FailureClass::Server, panics)
}

fn backoff(object: &Object, class: FailureClass, failures: u32) -> Duration {
    let longest = if class == FailureClass::Throttled { LONGEST_THROTTLED } else { LONGEST };
    let wait = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(12)).min(longest);
    wait.mul_f64(0.5 + spread(object, failures) / 2.0)
}

/// A number in [0, 1) that differs from object to object and from try to try (FNV-1a).
fn spread(object: &Object, failures: u32) -> f64 {
    let bytes = object.uid.bytes().chain(failures.to_le_bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    f64::from(hash) / (f64::from(u32::MAX) + 1.0)
}
