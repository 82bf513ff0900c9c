//! The table: one row for each state, and what must hold of all rows.

use std::fmt::Write as _;

use fleetmesh_crds::Status;
use serde_json::{Value, json};

use crate::kstatus::KstatusVerdict;
use crate::{argocd, kinds, kstatus, phases};

/// An object in a state.
pub struct Row {
    pub kind: &'static str,
    pub state: String,
    pub object: Value,
}

impl Row {
    /// A row of an object at `generation` with the status that was reported last.
    pub fn new(kind: &'static str, state: &str, generation: i64, status: &Status) -> Self {
        let object = json!({"metadata": {"generation": generation}, "status": status});
        Self { kind, state: state.to_owned(), object }
    }

    /// The same, being deleted.
    pub fn deleting(mut self) -> Self {
        self.object["metadata"]["deletionTimestamp"] = json!("2026-12-01T10:00:00Z");
        self
    }

    fn ready(&self) -> (&str, &str) {
        let mut conditions = self.object["status"]["conditions"].as_array().into_iter().flatten();
        let ready = conditions.find(|condition| condition["type"] == "Ready");
        ready.map_or(("-", "-"), |ready| {
            (ready["status"].as_str().unwrap(), ready["reason"].as_str().unwrap())
        })
    }
}

#[test]
fn verdicts_are_as_written_down() {
    let rows: Vec<Row> = kinds::rows().into_iter().chain(phases::rows()).collect();
    let mut found = format!(
        "{:<15}{:<46}{:<8}{:<22}{:<13}{}\n",
        "kind", "state", "Ready", "reason", "kstatus", "Argo CD"
    );
    let objects: Vec<(&str, &Value)> = rows.iter().map(|row| (row.kind, &row.object)).collect();
    for (row, health) in rows.iter().zip(argocd::healths(&objects)) {
        let (ready, reason) = row.ready();
        let verdict = kstatus::verdict(&row.object);
        writeln!(
            found,
            "{:<15}{:<46}{ready:<8}{reason:<22}{:<13}{health}",
            row.kind,
            row.state,
            format!("{verdict:?}")
        )
        .unwrap();
        // Whoever sees that it is done may rely on it.
        if verdict == KstatusVerdict::Current {
            assert_eq!(ready, "True", "{} {}", row.kind, row.state);
            assert_ne!(health, "Degraded", "{} {}", row.kind, row.state);
        }
        if health == "Healthy" {
            assert_eq!(verdict, KstatusVerdict::Current, "{} {}", row.kind, row.state);
        }
    }
    let path = "tests/verdicts/verdicts.txt";
    if std::env::var_os("FLEETMESH_BLESS").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == golden, "verdicts differ from {path}:\n{found}");
}
