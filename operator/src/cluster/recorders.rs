//! Recorders of Events. kube's recorder makes one series of all Events with the same reason about an object within six minutes, and
//! keeps the first message; here only Events with the same message become a series. No I/O of its own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use kube::Client;
use kube::runtime::events::{Recorder, Reporter};

/// More objects and reasons than this are not remembered: the next Event of each begins a series of its own.
const REMEMBERED: usize = 4096;

/// The recorder of each object and reason, and the words that it was last used for.
pub(super) struct Recorders {
    client: Client,
    reporter: Reporter,
    last: Mutex<HashMap<(String, String), (String, Recorder)>>,
}

impl Recorders {
    pub(super) fn new(client: Client, reporter: Reporter) -> Self {
        Self { client, reporter, last: Mutex::default() }
    }

    /// The recorder for an Event about the object `uid`.
    pub(super) fn recorder(&self, uid: &str, reason: &str, note: &str) -> Recorder {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (uid.to_owned(), reason.to_owned());
        if let Some((said, recorder)) = last.get(&key)
            && said == note
        {
            return recorder.clone();
        }
        if last.len() >= REMEMBERED {
            last.clear();
        }
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        last.insert(key, (note.to_owned(), recorder.clone()));
        recorder
    }
}
