//! What is found by the kind alone, before there is a resource of it. Pure data.

use crate::resource::MeshResource;
use crate::status::{KindStatus, Status};
use crate::{Kind, with_kind};

impl KindStatus {
    /// What an object of the kind reports of which nothing is known yet.
    pub fn empty(kind: Kind) -> Self {
        with_kind!(kind, K => <K as MeshResource>::Own::default().into())
    }
}

impl Status {
    /// The status of an object of the kind before the first report.
    pub fn empty(kind: Kind) -> Self {
        Self { of_kind: KindStatus::empty(kind), ..Self::default() }
    }
}
