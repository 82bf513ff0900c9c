//! What came of a launch, as EC2 answers it: instances, errors, or both. Pure data.

use jiff::SignedDuration;

use super::capacity::is_of_capacity;
use crate::failure::FailureClass;

/// The pause after a launch that gave too little, when the account or the request is at fault.
const PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// The same when the reason passes by itself, as with an instance profile that EC2 does not know yet.
const PASSING: SignedDuration = SignedDuration::from_secs(3);
/// The first pause while EC2 limits the rate of launches or their number; it doubles.
const FIRST_LIMITED: SignedDuration = SignedDuration::from_secs(5);
/// The longest of these.
const LONGEST_LIMITED: SignedDuration = SignedDuration::from_mins(5);

/// Why EC2 did not launch in one of the pools that it tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaunchError {
    /// Its class.
    pub class: FailureClass,
    /// EC2's code.
    pub code: String,
    /// EC2's words.
    pub message: String,
    /// The instance type that it is about; `None` when it is about none.
    pub instance_type: Option<String>,
}

/// What came of one launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneLaunch {
    /// Its number.
    pub launch: i64,
    /// The zone; `None` when EC2 chose it.
    pub zone: Option<String>,
    /// How many instances were asked for.
    pub asked: i32,
    /// The instances that there are.
    pub instances: Vec<String>,
    /// What EC2 could not do meanwhile, each pool and reason once. There may be some although all instances are there.
    pub errors: Vec<LaunchError>,
}

impl ZoneLaunch {
    /// Whether there are fewer instances than were asked for.
    pub fn is_short(&self) -> bool {
        i32::try_from(self.instances.len()).unwrap_or(i32::MAX) < self.asked
    }

    /// What EC2 says, in its own words, with the zone and the types; empty when it says nothing.
    pub fn words(&self) -> String {
        let mut said: Vec<(String, Vec<&str>)> = Vec::new();
        for LaunchError { class: _, code, message, instance_type } in &self.errors {
            let words = format!("{code}: {message}");
            let types = instance_type.as_deref();
            match said.iter_mut().find(|(known, _)| *known == words) {
                Some((_, known)) => known.extend(types),
                None => said.push((words, types.into_iter().collect())),
            }
        }
        let of = |(words, types): (String, Vec<&str>)| match types.is_empty() {
            true => words,
            false => format!("{words} ({})", types.join(", ")),
        };
        let said: Vec<String> = said.into_iter().map(of).collect();
        match (&self.zone, said.is_empty()) {
            (_, true) => String::new(),
            (Some(zone), false) => format!("{zone}: {}", said.join("; ")),
            (None, false) => said.join("; "),
        }
    }
}

/// How long to launch nothing after launches of which some gave too little. `limited` counts launches in a row, this one included,
/// that EC2 limited. None where only the capacity of a zone is lacking: the next launch asks elsewhere.
pub fn pause(launches: &[ZoneLaunch], limited: u32) -> SignedDuration {
    let errors = || launches.iter().filter(|launch| launch.is_short()).flat_map(|launch| &launch.errors);
    let silent = launches.iter().any(|launch| launch.is_short() && launch.errors.is_empty());
    if is_limited(launches) {
        let doubled = FIRST_LIMITED.saturating_mul(1 << limited.saturating_sub(1).min(10));
        return doubled.min(LONGEST_LIMITED);
    }
    // Where EC2 chooses the zone, there is no other one to ask.
    let elsewhere = launches.iter().all(|launch| !launch.is_short() || launch.zone.is_some());
    match errors().find(|error| !is_of_capacity(error)) {
        Some(error) if error.class.is_transient() => PASSING,
        Some(_) => PAUSE,
        None if silent || !elsewhere => PAUSE,
        None => SignedDuration::ZERO,
    }
}

/// Whether EC2 limits the rate of launches, or how many of them there may be.
pub fn is_limited(launches: &[ZoneLaunch]) -> bool {
    let short = launches.iter().filter(|launch| launch.is_short());
    short
        .flat_map(|launch| &launch.errors)
        .any(|error| error.class == FailureClass::Throttled || error.code == "MaxFleetCountExceeded")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(count: usize, errors: &[(FailureClass, &str, Option<&str>)]) -> ZoneLaunch {
        let error = |(class, code, type_): &(FailureClass, &str, Option<&str>)| LaunchError {
            class: *class,
            code: (*code).to_owned(),
            message: "no".to_owned(),
            instance_type: type_.map(ToOwned::to_owned),
        };
        ZoneLaunch {
            launch: 1,
            zone: Some("a".to_owned()),
            asked: 2,
            instances: vec!["i-1".to_owned(); count],
            errors: errors.iter().map(error).collect(),
        }
    }

    const OUT: (FailureClass, &str, Option<&str>) =
        (FailureClass::Limit, "InsufficientInstanceCapacity", Some("t3.small"));

    #[test]
    fn the_pause_is_of_the_reason_and_a_full_launch_has_none() {
        let seconds = |launches: &[ZoneLaunch], limited| pause(launches, limited).as_secs();
        let limit = (FailureClass::Throttled, "RequestLimitExceeded", None);
        let fleets = (FailureClass::Limit, "MaxFleetCountExceeded", None);
        let profile = (FailureClass::Unsettled, "InvalidParameterValue", Some("t3.small"));
        let quota = (FailureClass::Limit, "VcpuLimitExceeded", Some("t3.small"));
        assert_eq!(seconds(&[launch(2, &[OUT, limit, quota])], 1), 0, "all instances are there");
        assert_eq!(seconds(&[launch(1, &[OUT])], 1), 0, "another zone is asked at once");
        let anywhere = ZoneLaunch { zone: None, ..launch(1, &[OUT]) };
        assert_eq!(seconds(&[anywhere], 1), 30, "there is no other zone");
        let addresses = (FailureClass::Limit, "InsufficientFreeAddressesInSubnet", Some("t3.small"));
        assert_eq!(seconds(&[launch(1, &[addresses])], 1), 30, "of a subnet, not of a type");
        assert_eq!(seconds(&[launch(1, &[])], 1), 30, "and if EC2 does not say why");
        assert_eq!(seconds(&[launch(1, &[profile])], 1), 3);
        assert_eq!(seconds(&[launch(1, &[OUT, quota])], 1), 30);
        let grows: Vec<i64> =
            [1, 2, 3, 7, 40].iter().map(|times| seconds(&[launch(0, &[limit])], *times)).collect();
        assert_eq!(grows, [5, 10, 20, 300, 300]);
        assert_eq!(seconds(&[launch(0, &[OUT, fleets])], 2), 10);
    }

    #[test]
    fn the_words_name_the_zone_and_the_types() {
        let other = (OUT.0, OUT.1, Some("t3a.small"));
        let words = launch(0, &[OUT, other, (FailureClass::Invalid, "Odd", None)]).words();
        assert_eq!(words, "a: InsufficientInstanceCapacity: no (t3.small, t3a.small); Odd: no");
        assert_eq!(launch(0, &[]).words(), "");
    }
}
