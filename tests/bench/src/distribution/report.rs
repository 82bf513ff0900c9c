//! The figures beside their targets, as a Markdown table. Pure.

use serde::Serialize;

use super::{Measured, MeshSizes};
use crate::figure::{self, Figure};

/// How much more an acknowledgement may cost in a mesh four times as large. The maps are trees, and a larger one is less in
/// the processor's caches.
const GROWTH: f64 = 1.5;

/// What was measured, from the smallest mesh to the largest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DistributionReport {
    /// Of how much.
    pub sizes: MeshSizes,
    /// One of each mesh.
    pub meshes: Vec<Measured>,
}

impl DistributionReport {
    /// The figures in order.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for Measured { objects, acknowledged_us, read_us, everything_us } in &self.meshes {
            figures.extend([
                Figure::shown(&format!("{objects} objects: an ACK, µs"), format!("{acknowledged_us:.1}")),
                Figure::shown("an ACK until a reader was told, µs", format!("{read_us:.1}")),
                Figure::shown("a new reader is told everything, µs", format!("{everything_us:.0}")),
            ]);
        }
        let [acknowledged, read] = self.growth();
        figures.extend([
            Figure::at_most("an ACK in the largest mesh, by that in the smallest", acknowledged, 2, GROWTH),
            Figure::at_most("the same until a reader was told", read, 2, GROWTH),
        ]);
        figures
    }

    /// The table of `docs/performance.md`; a target that was not reached is marked.
    pub fn table(&self) -> String {
        figure::table(&self.figures(), None)
    }

    /// An acknowledgement in the largest mesh, by one in the smallest; by itself, and with what a reader gets.
    fn growth(&self) -> [f64; 2] {
        let (Some(first), Some(last)) = (self.meshes.first(), self.meshes.last()) else { return [0.0; 2] };
        [last.acknowledged_us / first.acknowledged_us, last.read_us / first.read_us]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_that_grows_with_the_mesh_misses_its_target() {
        let measured = |objects: usize, read_us: f64| Measured {
            objects,
            acknowledged_us: 2.0,
            read_us,
            everything_us: 9.0,
        };
        let report = |last: f64| DistributionReport {
            sizes: MeshSizes { nodes: 8, acknowledgements: 1 },
            meshes: vec![measured(33, 10.0), measured(65, 12.0), measured(129, last)],
        };
        assert!(figure::missed(&report(15.0).figures()).is_empty());
        assert_eq!(figure::missed(&report(40.0).figures()).len(), 1);
        let table = report(40.0).table();
        assert!(table.contains("| the same until a reader was told | 4.00 MISSED | ≤ 1.5 |"), "{table}");
    }
}
