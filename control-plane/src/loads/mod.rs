//! Loads: how many requests the proxies sent to each virtual node in the last seconds, and how they ended, as reported to the load
//! reporting service ([`crate::ads::load_reports`]). This adds the clock, the lock and the endpoint to the book of
//! [`fleetmesh_mesh::loads`].
//!
//! Nothing here is persisted. After a restart the windows begin empty, and every answer says for how long reports have come in;
//! proxies that connect again report what they counted meanwhile.

pub mod http;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmesh_api::loads::LoadAnswer;
use fleetmesh_mesh::holder::Holder;
use fleetmesh_mesh::loads::{Full, LoadBook, Report};
use fleetmesh_mesh::view::MeshView;
use fleetmesh_model::{MeshName, ResourceId};
use tokio::time::Instant;

/// The loads of all meshes.
pub struct ReportedLoads {
    interval: Duration,
    began: Instant,
    book: Mutex<LoadBook>,
}

impl ReportedLoads {
    /// Nothing was reported; proxies are to report at this interval.
    pub fn new(interval: Duration) -> Self {
        Self { interval, began: Instant::now(), book: Mutex::default() }
    }

    /// How often proxies are to report.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// The loads of the mesh that `view` shows in the last `seconds` seconds, 1 to [`LONGEST`](fleetmesh_mesh::loads::LONGEST).
    pub fn answer(&self, mesh: &MeshName, view: &MeshView, seconds: u64) -> LoadAnswer {
        self.book().answer(mesh, view, self.began.elapsed(), seconds, self.interval)
    }

    fn book(&self) -> MutexGuard<'_, LoadBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
