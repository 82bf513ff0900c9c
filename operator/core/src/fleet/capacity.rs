//! What EC2 was out of a moment ago, so that the next launch does not ask for it again. Pure.

use std::collections::BTreeMap;

use fleetmesh_crds::fleet::Purchase;
use jiff::{SignedDuration, Timestamp};

use super::launch::{LaunchError, ZoneLaunch};

/// How long EC2 is taken to be out of a type in a zone. Capacity comes back within minutes, and to ask costs a request.
pub const REMEMBERED: SignedDuration = SignedDuration::from_mins(3);

/// EC2's codes for a type that a zone has none of now, or never has.
const CODES: [&str; 5] = [
    "InsufficientHostCapacity",
    "InsufficientInstanceCapacity",
    "SpotMaxPriceTooLow",
    "UnfulfillableCapacity",
    "Unsupported",
];

/// EC2's code for a subnet without an address. It says nothing of a type, nor of the other subnets of the zone, which other fleets use.
pub const NO_ADDRESS: &str = "InsufficientFreeAddressesInSubnet";

/// The types that EC2 is out of, by zone and purchase, and until when that is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exhausted(BTreeMap<(String, String, Purchase), Timestamp>);

/// Whether an error of a launch says that a zone is out of a type, rather than that the request or the account is at fault.
pub fn is_of_capacity(error: &LaunchError) -> bool {
    error.instance_type.is_some() && CODES.contains(&error.code.as_str())
}

impl Exhausted {
    /// EC2 is out of a type in a zone, as of `now`.
    pub fn add(&mut self, type_: &str, zone: &str, purchase: Purchase, now: Timestamp) {
        let until = now.saturating_add(REMEMBERED).unwrap_or(now);
        self.0.insert((type_.to_owned(), zone.to_owned(), purchase), until);
    }

    /// Notes what a launch says about capacity, and forgets what is old.
    pub fn note(&mut self, launch: &ZoneLaunch, purchase: Purchase, now: Timestamp) {
        self.0.retain(|_, until| now < *until);
        let Some(zone) = &launch.zone else { return };
        for error in launch.errors.iter().filter(|error| is_of_capacity(error)) {
            self.add(error.instance_type.as_deref().unwrap_or_default(), zone, purchase, now);
        }
    }

    /// Until when a type is taken to be out in a zone; `None` when it is not.
    pub fn until(&self, type_: &str, zone: &str, purchase: Purchase, now: Timestamp) -> Option<Timestamp> {
        let until = self.0.get(&(type_.to_owned(), zone.to_owned(), purchase))?;
        (now < *until).then_some(*until)
    }

    /// Whether a type is taken to be out in a zone.
    pub fn is_out(&self, type_: &str, zone: &str, purchase: Purchase, now: Timestamp) -> bool {
        self.until(type_, zone, purchase, now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureClass;

    fn error(code: &str, type_: Option<&str>) -> LaunchError {
        LaunchError {
            class: FailureClass::Limit,
            code: code.to_owned(),
            message: String::new(),
            instance_type: type_.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn what_a_zone_is_out_of_is_remembered_for_minutes_and_for_that_zone_and_purchase_only() {
        let mut exhausted = Exhausted::default();
        let errors = vec![
            error("InsufficientInstanceCapacity", Some("t3.small")),
            error("VcpuLimitExceeded", Some("t3.large")),
            error("InsufficientInstanceCapacity", None),
            error(NO_ADDRESS, Some("t3.medium")),
        ];
        let launch =
            ZoneLaunch { launch: 1, zone: Some("a".to_owned()), asked: 2, instances: Vec::new(), errors };
        let (begin, demand) = (Timestamp::UNIX_EPOCH, Purchase::OnDemand);
        exhausted.note(&launch, demand, begin);
        let after = |seconds| Timestamp::from_second(seconds).unwrap_or(begin);
        assert!(exhausted.is_out("t3.small", "a", demand, after(179)));
        assert!(!exhausted.is_out("t3.small", "a", demand, after(180)), "it is tried again");
        assert!(!exhausted.is_out("t3.small", "b", demand, begin));
        assert!(!exhausted.is_out("t3.small", "a", Purchase::Spot, begin));
        assert!(!exhausted.is_out("t3.large", "a", demand, begin), "a quota is the account's, in every zone");
        assert!(!exhausted.is_out("t3.medium", "a", demand, begin), "an address is of a subnet");
        let later = ZoneLaunch { zone: Some("b".to_owned()), ..launch };
        exhausted.note(&later, demand, after(500));
        assert_eq!(exhausted.0.len(), 1, "what is old is forgotten");
    }
}
