//! The loads of a mesh, as a reader gets them. Pure.

use std::time::Duration;

use fleetmesh_api::loads::{CallerLoad, LoadAnswer, OwnLoad, TargetLoad};
use fleetmesh_model::{MeshName, ResourceId};

use super::book::LoadBook;
use super::window::Counts;
use crate::view::MeshView;

impl LoadBook {
    /// The loads of the mesh that `view` shows in the last `seconds` seconds, 1 to [`LONGEST`](super::LONGEST), at `now`; proxies
    /// report at this interval.
    pub fn answer(
        &mut self,
        mesh: &MeshName,
        view: &MeshView,
        now: Duration,
        seconds: u64,
        interval: Duration,
    ) -> LoadAnswer {
        let loads = self.loads(mesh, now, seconds);
        let targets = loads.into_iter().filter_map(|(id, load)| {
            // Of a virtual node that was deleted there is nothing to decide.
            let record = view.get(&id)?;
            Some(TargetLoad {
                virtual_node: id.name().to_owned(),
                arn: record.arn.clone(),
                load: load.counts.load(load.in_progress),
                reporters: load.reporters as u64,
                last_report_age_millis: millis(load.age),
                callers: Some(load.callers.iter().map(caller).collect()),
                own: load.own.map(|own| OwnLoad { ended: own.ended(), reports: own.reports }),
            })
        });
        LoadAnswer {
            mesh: mesh.name().to_owned(),
            window_seconds: seconds,
            observed_seconds: now.as_secs(),
            report_interval_millis: millis(interval),
            targets: targets.collect(),
        }
    }
}

fn caller((node, counts): (&ResourceId, &Counts)) -> CallerLoad {
    CallerLoad { virtual_node: node.name().to_owned(), ended: counts.ended(), reports: counts.reports }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
