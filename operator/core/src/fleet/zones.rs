//! Where instances are launched: one subnet of each availability zone, and as many instances in each zone as keep the zones
//! level. EC2 refuses a launch that names two subnets of one zone, and one that may choose between zones takes a single one when
//! prices are equal; so each zone is asked for by itself. Pure.

use std::collections::BTreeMap;

use fleetmesh_crds::fleet::Purchase;
use jiff::Timestamp;

use super::capacity::Exhausted;
use super::scale::FleetMember;
use crate::failure::{Failure, FailureClass};

/// A subnet that instances may be launched in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Its id.
    pub id: String,
    /// Its availability zone.
    pub zone: String,
    /// How many addresses it has left.
    pub free: i32,
}

/// An availability zone as a launch sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name; `None` when EC2 is to choose, because nobody knows a subnet.
    pub name: Option<String>,
    /// The subnet of the zone that has most addresses left.
    pub subnet: Option<String>,
    /// The instance types that EC2 is not known to lack there. Without any, or without an address, nothing is launched there.
    pub types: Vec<String>,
    /// How many instances it has that are to stay.
    pub staying: i32,
    /// How many instances it has, those that are to be replaced among them.
    pub all: i32,
}

/// What is launched in one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The zone.
    pub zone: Zone,
    /// How many instances, 1 or more.
    pub count: i32,
}

/// What a launch may be made of: instance types, and how they are paid for.
#[derive(Clone, Copy, Debug)]
pub struct Pools<'a> {
    /// The types.
    pub types: &'a [String],
    /// How they are paid for.
    pub purchase: Purchase,
    /// What EC2 was out of a moment ago.
    pub exhausted: &'a Exhausted,
    /// The time.
    pub now: Timestamp,
}

/// The subnets `found` of those that a fleet names, which may be none.
///
/// # Errors
/// It names some and none of them is there: `NotFound`. A launch without a subnet would land in the default VPC.
pub fn usable(named: &[String], found: Vec<Subnet>) -> Result<Vec<Subnet>, Failure> {
    if named.is_empty() || !found.is_empty() {
        return Ok(found);
    }
    let message = format!(
        "none of the subnets that the fleet names, or gets from its FleetClass (network.subnetIds), exists and is available: {}",
        named.join(", ")
    );
    Err(Failure { class: FailureClass::NotFound, operation: "DescribeSubnets".to_owned(), message })
}

/// The zones of `subnets`, by name; one that EC2 chooses when there is no subnet. A type or a subnet that is there twice counts
/// once.
pub fn zones(subnets: &[Subnet], members: &[FleetMember<'_>], pools: Pools<'_>) -> Vec<Zone> {
    let mut types: Vec<String> = Vec::new();
    for one in pools.types {
        if !types.contains(one) {
            types.push(one.clone());
        }
    }
    if subnets.is_empty() {
        return vec![Zone { name: None, subnet: None, types, staying: 0, all: 0 }];
    }
    let mut best: BTreeMap<&str, &Subnet> = BTreeMap::new();
    for subnet in subnets {
        let kept = best.entry(&subnet.zone).or_insert(subnet);
        // Of equal ones always the same, so that a launch that is repeated says the same.
        if (subnet.free, &kept.id) > (kept.free, &subnet.id) {
            *kept = subnet;
        }
    }
    let zone = |(name, subnet): (&str, &Subnet)| {
        let here = || members.iter().filter(|member| member.instance.az.as_deref() == Some(name));
        let open = |type_: &&String| {
            subnet.free > 0 && !pools.exhausted.is_out(type_, name, pools.purchase, pools.now)
        };
        Zone {
            name: Some(name.to_owned()),
            subnet: Some(subnet.id.clone()),
            types: types.iter().filter(open).cloned().collect(),
            staying: count(here().filter(|member| member.fits())),
            all: count(here()),
        }
    };
    best.into_iter().map(zone).collect()
}

fn count<T>(items: impl Iterator<Item = T>) -> i32 {
    i32::try_from(items.count()).unwrap_or(i32::MAX)
}

/// Divides `launch` new instances among the zones, each to the one that has the fewest: of those that stay, then of all. Zones
/// that have nothing to launch get none. What is launched in each zone, in the zones' order; empty when no zone has anything.
///
/// Where the staying instances of two open zones differed by no more than 1 before, they do not afterwards, and where they
/// differed by more, the one with more gets nothing before they are level.
pub fn spread(zones: Vec<Zone>, launch: i32) -> Vec<Share> {
    let mut shares: Vec<Share> = zones.into_iter().map(|zone| Share { zone, count: 0 }).collect();
    for _ in 0..launch {
        let open = shares.iter_mut().filter(|share| !share.zone.types.is_empty());
        let emptiest = open.min_by_key(|Share { zone, count }| (zone.staying + *count, zone.all + *count));
        if let Some(share) = emptiest {
            share.count += 1;
        }
    }
    shares.retain(|share| share.count > 0);
    shares
}

/// Why no zone has anything to launch, for a person.
pub fn nothing_left(zones: &[Zone], pools: Pools<'_>) -> String {
    let words = zones.iter().map(|zone| {
        let (name, subnet) =
            (zone.name.as_deref().unwrap_or_default(), zone.subnet.as_deref().unwrap_or_default());
        let until = pools.types.iter().filter_map(|type_| {
            let until = pools.exhausted.until(type_, name, pools.purchase, pools.now)?;
            Some(format!("{type_} until {until:.0}"))
        });
        let until: Vec<String> = until.collect();
        match until.is_empty() {
            true => format!("{name}: {subnet} has no address left"),
            false => format!("{name}: no capacity for {}", until.join(", ")),
        }
    });
    format!(
        "a zone with capacity ({}). Allow more types or subnets in the FleetClass (instanceTypes, network.subnetIds), or wait",
        words.collect::<Vec<_>>().join("; ")
    )
}

#[cfg(test)]
mod tests;
