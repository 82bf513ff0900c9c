//! Loads: how many requests the proxies sent to each virtual node in the last seconds, and what came of them, as they
//! report it to the load reporting service ([`crate::ads::load_reports`]). Counted where requests are made, so that a
//! virtual node that is dead shows errors and not silence. Each caller's counts are told apart, and so is what the virtual
//! node's own proxies say of the same requests: whoever judges by them need not believe any one.
//!
//! `report → book (pure) → window of seconds per virtual node and caller → GET …/loads`
//!
//! Nothing here is persisted. After a restart the windows begin empty, and every answer says since when there is anything
//! in them; proxies that connect again tell what they counted meanwhile.

mod book;
mod budget;
pub mod http;
mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmesh_model::ResourceId;
use serde::Serialize;
use tokio::time::Instant;

use crate::tls::Holder;
use crate::view::MeshView;
use book::LoadBook;
pub use book::{Full, Report, ReportedLoad};
use window::Counts;
pub use window::LONGEST;

/// The loads of all meshes.
pub struct ReportedLoads {
    interval: Duration,
    began: Instant,
    book: Mutex<LoadBook>,
}

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

impl ReportedLoads {
    /// Nothing was reported; proxies are to report at this interval.
    pub fn new(interval: Duration) -> Self {
        Self { interval, began: Instant::now(), book: Mutex::default() }
    }

    /// How often proxies are to report, in milliseconds.
    pub fn interval_millis(&self) -> u64 {
        millis(self.interval)
    }

    /// The loads of the mesh that `view` shows in the last `seconds` seconds, 1 to [`LONGEST`].
    pub fn answer(&self, mesh: &str, view: &MeshView, seconds: u64) -> LoadAnswer {
        let observed = self.began.elapsed();
        let told = self.book().told(mesh, observed, seconds);
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
            observed_seconds: observed.as_secs(),
            report_interval_millis: self.interval_millis(),
            targets: targets.collect(),
        }
    }

    fn book(&self) -> MutexGuard<'_, LoadBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A proxy that reports. Dropping it says that it is gone.
pub struct Reporting {
    loads: Arc<ReportedLoads>,
    id: u64,
}

impl Reporting {
    /// Enters a proxy of `node`, which has the certificate of `holder` if it needed one.
    ///
    /// # Errors
    /// `limit` proxies of the node report already, or as many as this process serves.
    pub fn start(
        loads: &Arc<ReportedLoads>,
        node: &ResourceId,
        holder: Option<Holder>,
        limit: Option<usize>,
    ) -> Result<Self, Full> {
        let id = loads.book().enter(node, holder, loads.began.elapsed(), limit)?;
        Ok(Self { loads: Arc::clone(loads), id })
    }

    /// Takes in a report that has just come.
    pub fn report(&self, report: Report) {
        self.loads.book().report(self.id, self.loads.began.elapsed(), report);
    }
}

impl Drop for Reporting {
    fn drop(&mut self) {
        self.loads.book().leave(self.id);
    }
}
