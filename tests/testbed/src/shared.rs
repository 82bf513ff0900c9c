//! What is dear to start, shared by the tests that run at the same time.

use std::sync::{Arc, Weak};

use tokio::sync::Mutex;

/// Something that is started when the first test wants it and ends with the last one that has it.
#[derive(Debug)]
pub struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::const_new(Weak::new()))
    }

    /// The one that others have, or else what `start` gives.
    pub async fn get(&self, start: impl AsyncFnOnce() -> T) -> Arc<T> {
        let mut shared = self.0.lock().await;
        if let Some(running) = shared.upgrade() {
            return running;
        }
        let started = Arc::new(start().await);
        *shared = Arc::downgrade(&started);
        started
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_started_once_and_anew_when_nobody_has_it() {
        let shared = Shared::new();
        let one = shared.get(async || 1).await;
        assert_eq!(*shared.get(async || 2).await, 1);
        drop(one);
        assert_eq!(*shared.get(async || 3).await, 3);
    }
}
