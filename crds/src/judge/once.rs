//! Lists whose entries are each there once: EC2 refuses a launch that names a pool twice. Pure.

use fleetmesh_model::rule::{Rule, Violations};

use crate::fleet::{self, Capacity, Network};

/// What a fleet is launched on and where, at `spec.fleet`.
pub(super) fn launched(capacity: Option<&Capacity>, network: Option<&Network>, found: &mut Violations) {
    if let Some(capacity) = capacity {
        each("spec.fleet.capacity.instanceTypes", &capacity.instance_types, &fleet::TYPES_ONCE, found);
    }
    networked("spec.fleet.network", network, found);
}

/// Subnets and security groups.
pub(super) fn networked(at: &str, network: Option<&Network>, found: &mut Violations) {
    if let Some(network) = network {
        let groups = format!("{at}.securityGroupIds");
        each(&groups, &network.security_group_ids, &fleet::GROUPS_ONCE, found);
        each(&format!("{at}.subnetIds"), &network.subnet_ids, &fleet::SUBNETS_ONCE, found);
    }
}

pub(super) fn each(at: &str, entries: &[String], rule: &Rule, found: &mut Violations) {
    let again = |(index, entry): &(usize, &String)| entries.iter().take(*index).any(|other| other == *entry);
    if let Some((_, entry)) = entries.iter().enumerate().find(again) {
        found.broken(at, rule, entry);
    }
}
