//! The distribution benchmark: what an acknowledgement costs the control plane, in a mesh, in one twice as large and in one four
//! times as large. The distribution alone, in this process: no proxy and no network stands between, and none hides what grows.

mod mesh;
mod report;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::Serialize;

use mesh::Mesh;
pub use report::DistributionReport;

/// How often each mesh is measured, in turn with the others.
const PASSES: usize = 15;

/// How much of everything.
#[derive(Args, Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeshSizes {
    /// Virtual nodes of the smallest mesh, each with a proxy, a service, a router, a route and two backends; the others have
    /// twice and four times as many
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(8..=100_000))]
    pub nodes: u32,
    /// Acknowledgements in each of the 15 passes
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub acknowledgements: u32,
}

/// What was measured of one mesh. Times are those of one acknowledgement, the median of the passes.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// Objects of the mesh.
    pub objects: usize,
    /// Until a proxy's stream goes on, in microseconds.
    pub acknowledged_us: f64,
    /// Until a reader has what it changed, in microseconds.
    pub read_us: f64,
    /// Until a reader that was never there before has everything, in microseconds.
    pub everything_us: f64,
}

/// Measures the three meshes.
///
/// # Errors
/// The distribution does not report what it should.
pub async fn run(sizes: MeshSizes) -> Result<DistributionReport> {
    let mut meshes = Vec::new();
    for factor in [1, 2, 4] {
        eprintln!("bench distribution: a mesh of {} virtual nodes", sizes.nodes * factor);
        meshes.push((Mesh::new(sizes.nodes * factor).context("a mesh")?, Passes::default()));
    }
    for _ in 0..PASSES {
        for (mesh, passes) in &mut meshes {
            passes.measure(mesh, sizes.acknowledgements).await?;
        }
    }
    let meshes = meshes.iter().map(|(mesh, passes)| passes.measured(mesh.objects())).collect();
    Ok(DistributionReport { sizes, meshes })
}

#[derive(Default)]
struct Passes {
    acknowledged: Vec<Duration>,
    read: Vec<Duration>,
    everything: Vec<Duration>,
}

impl Passes {
    async fn measure(&mut self, mesh: &mut Mesh, acknowledgements: u32) -> Result<()> {
        let everything = Instant::now();
        mesh.everything().await?;
        self.everything.push(everything.elapsed());
        let (mut acknowledged, mut read) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..acknowledgements {
            let begun = Instant::now();
            mesh.acknowledge();
            acknowledged += begun.elapsed();
            let changed = mesh.news().await?;
            read += begun.elapsed();
            if !(1..=8).contains(&changed) {
                bail!("an acknowledgement changed {changed} objects");
            }
        }
        self.acknowledged.push(acknowledged / acknowledgements);
        self.read.push(read / acknowledgements);
        Ok(())
    }

    fn measured(&self, objects: usize) -> Measured {
        Measured {
            objects,
            acknowledged_us: median_us(&self.acknowledged),
            read_us: median_us(&self.read),
            everything_us: median_us(&self.everything),
        }
    }
}

fn median_us(passes: &[Duration]) -> f64 {
    let mut sorted = passes.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).map_or(0.0, |median| median.as_secs_f64() * 1e6)
}
