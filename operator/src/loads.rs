//! Asks the control plane for the loads of a mesh: the proxies' reports on the requests that they send to each virtual node
//! (`docs/adr/0009-load-windows.md`). Reads only.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fleetmesh_api::loads::{LoadAnswer, LoadsQuery, TargetLoad};
use fleetmesh_api::urls::LOADS;
use fleetmesh_aws::transport::Http;
use fleetmesh_core::{Loads, Witnesses};

use crate::control_plane::{ControlPlane, refusal};

/// How long to wait for an answer, which the control plane gives at once.
const LIMIT: Duration = Duration::from_secs(5);
/// A report that covers up to this much more than its interval counts in one second of the window.
const LATE: Duration = Duration::from_millis(500);

/// Why there are no loads to judge by. None of these says anything about the traffic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadsError {
    /// The endpoint could not be asked.
    #[error("the loads of mesh {mesh} cannot be read: {reason}")]
    Unreachable {
        /// The mesh.
        mesh: String,
        /// What happened.
        reason: String,
    },
    /// The control plane refused.
    #[error("the control plane reports no loads of mesh {mesh}: {reason}")]
    Refused {
        /// The mesh.
        mesh: String,
        /// Its own words.
        reason: String,
    },
    /// The endpoint is something else, AWS's for example.
    #[error(
        "the endpoint reports no loads (status {status}): only a Fleetmesh control plane does, so judge by Prometheus here"
    )]
    NotServed {
        /// The HTTP status.
        status: u16,
    },
    /// The answer is not what was asked for.
    #[error("the loads of mesh {mesh} are malformed: {reason}")]
    Malformed {
        /// The mesh.
        mesh: String,
        /// What is wrong.
        reason: String,
    },
}

/// Asks a control plane.
#[derive(Clone, Debug)]
pub struct LoadsClient {
    control_plane: ControlPlane,
}

impl LoadsClient {
    /// A client of the control plane that the operator uses.
    pub fn new(control_plane: ControlPlane) -> Self {
        Self { control_plane }
    }

    /// A client of a control plane that asks for no proof, as on loopback.
    pub fn anonymous(endpoint: impl Into<String>) -> Self {
        Self::new(ControlPlane::new(endpoint, Http::new(), None))
    }

    /// The loads of `mesh` in the last `window`, which is taken in whole seconds, rounded up; the control plane knows its
    /// bounds.
    ///
    /// # Errors
    /// See [`LoadsError`]. A failure is never an empty or a zero load.
    pub async fn fetch(&self, mesh: &str, window: Duration) -> Result<Loads, LoadsError> {
        let seconds = window.as_secs() + u64::from(window.subsec_nanos() > 0);
        let asked = Instant::now();
        let query = LoadsQuery::of(seconds).to_string();
        let answer = self.control_plane.get(mesh, LOADS, &query, LIMIT).await;
        let (status, body) =
            answer.map_err(|reason| LoadsError::Unreachable { mesh: mesh.to_owned(), reason })?;
        let mut loads = read(mesh, seconds, status, &body)?;
        // The window ended when the question came, which may have been as long ago as this.
        loads.lag += asked.elapsed();
        Ok(loads)
    }
}

/// The loads in an answer to a question for `seconds` of `mesh`.
fn read(mesh: &str, seconds: u64, status: u16, body: &[u8]) -> Result<Loads, LoadsError> {
    let mesh = mesh.to_owned();
    match (status, refusal(body)) {
        (200, _) => {}
        (400..=499, Some(reason)) => return Err(LoadsError::Refused { mesh, reason }),
        (400..=499, None) => return Err(LoadsError::NotServed { status }),
        (_, reason) => {
            let reason = reason.unwrap_or_else(|| format!("status {status}"));
            return Err(LoadsError::Unreachable { mesh, reason });
        }
    }
    let answer: LoadAnswer = serde_json::from_slice(body)
        .map_err(|error| LoadsError::Malformed { mesh: mesh.clone(), reason: error.to_string() })?;
    let LoadAnswer { mesh: of, window_seconds, observed_seconds, report_interval_millis, targets } = answer;
    if (&of, window_seconds) != (&mesh, seconds) {
        let reason = format!("they are of mesh {of} in {window_seconds} s, not in {seconds} s");
        return Err(LoadsError::Malformed { mesh, reason });
    }
    let (mut loads, mut witnesses) = (BTreeMap::new(), BTreeMap::new());
    for TargetLoad { virtual_node, load, callers, own, .. } in targets {
        if let Some(callers) = callers {
            let callers = callers.into_iter().map(|caller| (caller.virtual_node, caller.ended)).collect();
            let own = own.map(|own| own.ended);
            witnesses.insert(virtual_node.clone(), Witnesses { callers, own });
        }
        loads.insert(virtual_node, load);
    }
    Ok(Loads {
        window: Duration::from_secs(window_seconds),
        observed: Duration::from_secs(observed_seconds),
        lag: Duration::from_millis(report_interval_millis) + LATE,
        targets: loads,
        witnesses,
    })
}

#[cfg(test)]
mod tests {
    use fleetmesh_api::examples;
    use fleetmesh_api::loads::{Ended, Load};

    use super::*;

    const ANSWER: &[u8] = examples::LOADS.as_bytes();

    #[test]
    fn the_contract_s_example_is_read() {
        let loads = read("apps", 30, 200, ANSWER).expect("loads");
        let load = Load { issued: 25, succeeded: 20, failed: 4, in_progress: 1, reports: 30 };
        let witnesses = Witnesses {
            callers: BTreeMap::from([("serviceA".to_owned(), Ended { succeeded: 20, failed: 4 })]),
            own: Some(Ended { succeeded: 21, failed: 3 }),
        };
        let expected = Loads {
            window: Duration::from_secs(30),
            observed: Duration::from_secs(12),
            lag: Duration::from_millis(1500),
            targets: BTreeMap::from([("serviceBv2".to_owned(), load)]),
            witnesses: BTreeMap::from([("serviceBv2".to_owned(), witnesses)]),
        };
        assert_eq!(loads, expected);
    }

    #[test]
    fn whatever_is_no_answer_is_an_error_that_says_why() {
        let refusal = br#"{"message":"the mesh \"apps\" does not exist"}"#;
        let cases: [(u16, &[u8], &str); 7] = [
            (
                404,
                refusal,
                "the control plane reports no loads of mesh apps: the mesh \"apps\" does not exist",
            ),
            (
                404,
                b"<html>",
                "the endpoint reports no loads (status 404): only a Fleetmesh control plane does",
            ),
            (403, b"", "the endpoint reports no loads (status 403)"),
            (503, b"", "the loads of mesh apps cannot be read: status 503"),
            (200, b"{}", "the loads of mesh apps are malformed: missing field"),
            (200, b"", "the loads of mesh apps are malformed"),
            (200, ANSWER, "they are of mesh apps in 30 s, not in 60 s"),
        ];
        for (status, body, expected) in cases {
            let error = read("apps", 60, status, body).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(read("other", 30, 200, ANSWER).is_err(), "of another mesh");
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let client = LoadsClient::anonymous("http://127.0.0.1:9");
        let error = client.fetch("apps", Duration::from_secs(1)).await;
        assert!(matches!(error, Err(LoadsError::Unreachable { .. })), "{error:?}");
    }
}
