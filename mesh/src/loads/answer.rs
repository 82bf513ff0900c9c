//! What a reader is told of the loads of a mesh. Pure.

use std::time::Duration;

use serde::Serialize;

use super::book::LoadBook;
use super::window::Counts;
use crate::view::MeshView;

/// The loads of a mesh in a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    /// The virtual nodes that a proxy told of in the last [`LONGEST`] seconds, by name.
    pub targets: Vec<TargetLoad>,
}

/// What went to a virtual node, counted by those who call it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetLoad {
    /// Its name.
    pub virtual_node: String,
    /// Its full ARN.
    pub arn: String,
    /// Requests that were sent in the window, retries each for itself.
    pub issued: u64,
    /// Of those that ended in the window, how many were answered without an error (HTTP: no 5xx).
    pub succeeded: u64,
    /// How many failed: answered with an error, cut off, timed out, or not sent because no connection was to be had.
    pub failed: u64,
    /// Requests under way, as the connected proxies last told.
    pub in_progress: u64,
    /// Reports on it that came in the window, also those without a request. None: nobody watches it.
    pub reports: u64,
    /// The connected proxies that sent these. Those of one virtual node with the certificates of one holder are one.
    pub reporters: usize,
    /// How long ago the last report on it came.
    pub last_report_age_millis: u64,
    /// What each caller told of it in the window.
    pub callers: Vec<CallerLoad>,
    /// What its own proxies counted in the window of the requests that reached them; absent when none of them told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<EndedCounts>,
}

/// What the proxies of one virtual node told of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallerLoad {
    /// The caller's name.
    pub virtual_node: String,
    /// What it told.
    #[serde(flatten)]
    pub ended: EndedCounts,
}

/// Requests that ended, and the reports that told of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EndedCounts {
    /// Answered without an error.
    pub succeeded: u64,
    /// Failed.
    pub failed: u64,
    /// Reports.
    pub reports: u64,
}

impl From<Counts> for EndedCounts {
    fn from(Counts { succeeded, failed, reports, .. }: Counts) -> Self {
        Self { succeeded, failed, reports }
    }
}

impl LoadBook {
    /// The loads of the mesh that `view` shows in the last `seconds` seconds, 1 to [`LONGEST`](super::LONGEST), at `now`; proxies
    /// report at this interval.
    pub fn answer(
        &mut self,
        mesh: &str,
        view: &MeshView,
        now: Duration,
        seconds: u64,
        interval: Duration,
    ) -> LoadAnswer {
        let told = self.told(mesh, now, seconds);
        let targets = told.into_iter().filter_map(|(id, told)| {
            // Of a virtual node that was deleted there is nothing to decide.
            let record = view.get(&id)?;
            Some(TargetLoad {
                virtual_node: id.name().to_owned(),
                arn: record.arn.clone(),
                issued: told.counts.issued,
                succeeded: told.counts.succeeded,
                failed: told.counts.failed,
                in_progress: told.in_progress,
                reports: told.counts.reports,
                reporters: told.reporters,
                last_report_age_millis: millis(told.age),
                callers: told
                    .callers
                    .into_iter()
                    .map(|(caller, counts)| CallerLoad {
                        virtual_node: caller.name().to_owned(),
                        ended: counts.into(),
                    })
                    .collect(),
                own: told.own.map(EndedCounts::from),
            })
        });
        LoadAnswer {
            mesh: mesh.to_owned(),
            window_seconds: seconds,
            observed_seconds: now.as_secs(),
            report_interval_millis: millis(interval),
            targets: targets.collect(),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
