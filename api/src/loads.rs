//! The reports of a mesh's proxies on the requests that they send: `GET` [`LOADS`](crate::urls::LOADS), answered at once
//! (`docs/adr/0009-load-windows.md`).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::urls::escape;

/// The longest window that can be asked for, in seconds.
pub const MAX_WINDOW_SECONDS: u64 = 600;

/// The query of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct LoadsQuery {
    /// The length of the window, as whole seconds from 1 to [`MAX_WINDOW_SECONDS`].
    pub window: Option<String>,
    /// The account that owns the mesh; the caller's own without it.
    pub mesh_owner: Option<String>,
}

impl LoadsQuery {
    /// Asks for the last `seconds` seconds.
    pub fn of(seconds: u64) -> Self {
        Self { window: Some(seconds.to_string()), mesh_owner: None }
    }
}

/// As it is appended to the path: with its question mark, or nothing.
impl fmt::Display for LoadsQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = self.window.as_ref().map(|window| format!("window={}", escape(window)));
        let owner = self.mesh_owner.as_ref().map(|owner| format!("meshOwner={}", escape(owner)));
        let members: Vec<String> = window.into_iter().chain(owner).collect();
        if members.is_empty() { Ok(()) } else { write!(f, "?{}", members.join("&")) }
    }
}

/// The loads of a mesh in a window.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadAnswer {
    /// The mesh.
    pub mesh: String,
    /// The length of the window in seconds. It ends with the second that is under way.
    pub window_seconds: u64,
    /// For how many seconds reports have been taken; less than the window soon after a restart.
    pub observed_seconds: u64,
    /// How often a proxy reports.
    pub report_interval_millis: u64,
    /// The virtual nodes that a proxy reported on in the last [`MAX_WINDOW_SECONDS`] seconds, by name.
    pub targets: Vec<TargetLoad>,
}

/// What went to a virtual node, counted by those who call it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetLoad {
    /// Its name.
    pub virtual_node: String,
    /// Its full ARN.
    #[serde(default)]
    pub arn: String,
    /// What all its callers reported together.
    #[serde(flatten)]
    pub load: Load,
    /// The connected proxies that sent these reports. Those of one virtual node with the certificates of one holder are one.
    #[serde(default)]
    pub reporters: u64,
    /// How long ago the last report on it came.
    #[serde(default)]
    pub last_report_age_millis: u64,
    /// What each caller reported of it in the window. Control planes of earlier versions give the sum of all callers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callers: Option<Vec<CallerLoad>>,
    /// What its own proxies counted in the window of the requests that reached them; absent when none of them reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnLoad>,
}

/// What went to one virtual node in a window, counted by the proxies that call it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Requests that were sent, retries each for itself.
    pub issued: u64,
    /// Of those that ended in the window, how many were answered without an error (HTTP: no 5xx).
    pub succeeded: u64,
    /// How many failed: answered with an error, cut off, timed out, or not sent because no connection was to be had. The last
    /// are not counted as issued.
    pub failed: u64,
    /// Requests under way now, as the connected proxies last reported.
    pub in_progress: u64,
    /// Reports that came, also those without a request. None is an outage of reporting; some with nothing issued is no
    /// traffic.
    pub reports: u64,
}

/// What the proxies of one virtual node reported of another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallerLoad {
    /// The caller's name.
    pub virtual_node: String,
    /// The requests that it reported.
    #[serde(flatten)]
    pub ended: Ended,
    /// The reports that contained them.
    #[serde(default)]
    pub reports: u64,
}

/// What the proxies of a virtual node reported of the requests that reached them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct OwnLoad {
    /// The requests.
    #[serde(flatten)]
    pub ended: Ended,
    /// The reports that contained them.
    #[serde(default)]
    pub reports: u64,
}

/// Requests that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Ended {
    /// Answered without an error.
    pub succeeded: u64,
    /// Failed.
    pub failed: u64,
}

impl Ended {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            succeeded: self.succeeded.saturating_add(other.succeeded),
            failed: self.failed.saturating_add(other.failed),
        }
    }

    /// How many there were.
    pub fn requests(self) -> u64 {
        self.succeeded.saturating_add(self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples;

    #[test]
    fn the_example_is_what_both_sides_read_and_write() {
        let ended = |succeeded, failed| Ended { succeeded, failed };
        let caller = CallerLoad { virtual_node: "serviceA".to_owned(), ended: ended(20, 4), reports: 30 };
        let target = TargetLoad {
            virtual_node: "serviceBv2".to_owned(),
            arn: "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceBv2".to_owned(),
            load: Load { issued: 25, succeeded: 20, failed: 4, in_progress: 1, reports: 30 },
            reporters: 1,
            last_report_age_millis: 400,
            callers: Some(vec![caller]),
            own: Some(OwnLoad { ended: ended(21, 3), reports: 29 }),
        };
        let answer = LoadAnswer {
            mesh: "apps".to_owned(),
            window_seconds: 30,
            observed_seconds: 12,
            report_interval_millis: 1000,
            targets: vec![target],
        };
        examples::same(&answer, examples::LOADS);
    }

    #[test]
    fn former_control_planes_say_less_and_later_ones_more() {
        let least = r#"{"mesh":"m","windowSeconds":1,"observedSeconds":1,"reportIntervalMillis":1,"targets":[{"virtualNode":"n","issued":1,"succeeded":2,"failed":3,"inProgress":4,"reports":5,"later":0.5}],"later":1}"#;
        let answer: LoadAnswer = serde_json::from_str(least).expect("of a former control plane");
        let [target] = answer.targets.as_slice() else { panic!("{answer:?}") };
        let load = Load { issued: 1, succeeded: 2, failed: 3, in_progress: 4, reports: 5 };
        assert_eq!((target.load, &target.callers, target.own), (load, &None, None));
        for needed in [
            "mesh",
            "windowSeconds",
            "observedSeconds",
            "reportIntervalMillis",
            "virtualNode",
            "issued",
            "inProgress",
        ] {
            let without = least.replace(&format!("\"{needed}\""), "\"other\"");
            assert!(serde_json::from_str::<LoadAnswer>(&without).is_err(), "{needed}");
        }
    }

    #[test]
    fn a_query_is_written_for_the_path() {
        assert_eq!(
            (LoadsQuery::default().to_string(), LoadsQuery::of(30).to_string()),
            (String::new(), "?window=30".into())
        );
    }
}
