//! What the reconciles of a fleet remember. It saves calls and bridges the seconds in which EC2 does not show yet what it
//! launched; an operator that forgot it asks again. No I/O.

use std::collections::BTreeMap;

use fleetmesh_core::Failure;
use fleetmesh_core::fleet::architecture::ImageFacts;
use fleetmesh_core::fleet::capacity::NO_ADDRESS;
use fleetmesh_core::fleet::limits::VISIBLE;
use fleetmesh_core::fleet::{Instance, ObservedFleet, Subnet, ZoneLaunch, launch};
use fleetmesh_model::tag::Tags;
use jiff::{SignedDuration, Timestamp};

/// How long subnets are taken to be as they were.
const SUBNETS: SignedDuration = SignedDuration::from_mins(2);

/// The memory of one fleet.
#[derive(Clone, Debug, Default)]
pub struct FleetMemory {
    /// What was observed last.
    pub observed: Option<ObservedFleet>,
    /// The last AMI that EC2 was asked about, and what it said.
    pub image: Option<(String, ImageFacts)>,
    /// The SSM parameter that its AMI was read from.
    pub parameter: Option<String>,
    /// Instances that a launch gave, and when.
    launched: BTreeMap<String, Timestamp>,
    /// Until when no launch is tried, and why.
    pause: Option<(Timestamp, String)>,
    /// Launches whose token was spent on another one: when that was noticed, and what EC2 says.
    spent: BTreeMap<i64, (Timestamp, String)>,
    /// The instance whose end after its launch was the last to be reported as an Event.
    pub died: Option<String>,
    /// How many launches in a row EC2 limited.
    limited: u32,
    /// The subnets as they were last asked for: which, when, and what they are.
    subnets: Option<(Vec<String>, Timestamp, Vec<Subnet>)>,
    /// When each instance's proxy was seen last.
    seen: BTreeMap<String, Timestamp>,
    /// The marks of each instance, as they were seen first.
    marks: BTreeMap<String, Tags>,
}

impl FleetMemory {
    /// Notes what launches gave.
    pub fn launched(&mut self, launches: &[ZoneLaunch], now: Timestamp) {
        if launches.is_empty() {
            return;
        }
        let given = launches.iter().flat_map(|launch| &launch.instances);
        self.launched.extend(given.map(|id| (id.clone(), now)));
        let mut errors = launches.iter().flat_map(|launch| &launch.errors);
        if errors.any(|error| error.code == NO_ADDRESS) {
            self.subnets = None;
        }
        let short: Vec<&ZoneLaunch> = launches.iter().filter(|launch| launch.is_short()).collect();
        self.limited = if launch::is_limited(launches) { self.limited.saturating_add(1) } else { 0 };
        if short.is_empty() {
            self.pause = None;
            return;
        }
        let until = now.saturating_add(launch::pause(launches, self.limited)).unwrap_or(now);
        let words: Vec<String> = short.into_iter().map(words).collect();
        self.pause = Some((until, words.join("; ")));
    }

    /// Notes that the token of the launch of this number was spent on one of another size, whose reply was lost: what that one
    /// gave will show, and until then nobody knows how much it was.
    pub fn spent(&mut self, launch: i64, failure: &Failure, now: Timestamp) {
        self.spent.insert(launch, (now, failure.message.clone()));
    }

    /// No instance is missing: what EC2 said about earlier launches is of no interest any more.
    pub fn complete(&mut self) {
        self.pause = None;
        self.limited = 0;
    }

    /// The subnets `asked`, as they were a moment ago.
    pub fn subnets(&self, asked: &[String], now: Timestamp) -> Option<Vec<Subnet>> {
        let (known, at, subnets) = self.subnets.as_ref()?;
        (known == asked && now.duration_since(*at) < SUBNETS).then(|| subnets.clone())
    }

    /// Notes the subnets `asked`.
    pub fn saw_subnets(&mut self, asked: &[String], subnets: &[Subnet], now: Timestamp) {
        self.subnets = Some((asked.to_vec(), now, subnets.to_vec()));
    }

    /// The instances that were there at the last look, and those that were launched since.
    pub fn instances(&self) -> impl Iterator<Item = &String> {
        self.marks.keys().chain(self.launched.keys())
    }

    /// Fills in the marks of each instance as they were seen first, and notes those of new ones.
    pub fn mark(&mut self, instances: &mut [Instance]) {
        let mut marks = BTreeMap::new();
        for instance in instances {
            if let Some(first) = self.marks.remove(&instance.id) {
                instance.marks = first;
            }
            marks.insert(instance.id.clone(), instance.marks.clone());
        }
        self.marks = marks;
    }

    /// Fills in since when each instance's proxy is missed, and notes the proxies that are there now. Nobody can be missed from
    /// before `since`, when this operator began to watch.
    pub fn miss(&mut self, observed: &mut ObservedFleet, since: Timestamp, now: Timestamp) {
        for instance in &mut observed.instances {
            if observed.proxies.of(instance).is_some() {
                self.seen.insert(instance.id.clone(), now);
            }
            let seen = self.seen.get(&instance.id).copied().unwrap_or(Timestamp::MIN);
            instance.missed_since = instance.launched.max(since).max(seen);
        }
        let known = |id: &String| observed.instances.iter().any(|instance| instance.id == *id);
        self.seen.retain(|id, _| known(id));
    }

    /// Whether a launch has to wait: what an earlier one gave is not shown yet, or it gave too little just now.
    pub fn settling(&mut self, instances: &[Instance], now: Timestamp) -> bool {
        let shown = |id: &String| instances.iter().any(|instance| instance.id == *id);
        self.launched.retain(|id, at| !shown(id) && now.duration_since(*at) < VISIBLE);
        let gave = |number: i64| instances.iter().any(|instance| instance.launch() == Some(number));
        self.spent.retain(|number, (at, _)| !gave(*number) && now.duration_since(*at) < VISIBLE);
        !self.launched.is_empty()
            || !self.spent.is_empty()
            || self.pause.as_ref().is_some_and(|(until, _)| now < *until)
    }

    /// Why the last launch gave too little, in EC2's words; `None` when it did not.
    pub fn short(&self) -> Option<String> {
        let spent = self.spent.values().next_back();
        self.pause.as_ref().or(spent).map(|(_, words)| words.clone())
    }
}

/// Why a launch gave too little.
fn words(launch: &ZoneLaunch) -> String {
    let said = launch.words();
    if said.is_empty() {
        return format!(
            "{} of {} instances were launched, and nothing says why",
            launch.instances.len(),
            launch.asked
        );
    }
    said
}

#[cfg(test)]
mod tests {
    use fleetmesh_core::FailureClass;
    use fleetmesh_core::fleet::LaunchError;

    use super::*;

    fn launch(given: usize, code: &str) -> ZoneLaunch {
        let error = LaunchError {
            class: FailureClass::Throttled,
            code: code.to_owned(),
            message: "slowly".to_owned(),
            instance_type: None,
        };
        let instances = vec!["i-1".to_owned(); given];
        ZoneLaunch { launch: 1, zone: Some("a".to_owned()), asked: 1, instances, errors: vec![error] }
    }

    #[test]
    fn launches_that_ec2_limits_are_further_and_further_apart_and_reconciles_between_them_change_nothing() {
        let (mut memory, mut now, mut waits) = (FleetMemory::default(), Timestamp::UNIX_EPOCH, Vec::new());
        for _ in 0..4 {
            memory.launched(&[launch(0, "RequestLimitExceeded")], now);
            let begun = now;
            while memory.settling(&[], now) {
                memory.launched(&[], now);
                now = now.saturating_add(SignedDuration::from_secs(1)).unwrap();
            }
            waits.push(now.duration_since(begun).as_secs());
            assert_eq!(memory.short().unwrap(), "a: RequestLimitExceeded: slowly");
        }
        assert_eq!(waits, [5, 10, 20, 40]);
        memory.launched(&[launch(1, "InsufficientInstanceCapacity")], now);
        assert_eq!(memory.short(), None, "all instances are there, whatever EC2 says beside");
        memory.launched(&[launch(0, "RequestLimitExceeded")], now);
        memory.complete();
        assert_eq!(memory.short(), None, "none is missing any more");
    }

    #[test]
    fn nothing_is_launched_before_what_a_spent_token_gave_is_shown() {
        let failure = Failure {
            class: FailureClass::Conflict,
            operation: "CreateFleet".to_owned(),
            message: "other parameters".to_owned(),
        };
        let (mut memory, begin) = (FleetMemory::default(), Timestamp::UNIX_EPOCH);
        memory.spent(7, &failure, begin);
        // Those of other zones in the same plan.
        memory.launched(&[launch(1, "InsufficientInstanceCapacity")], begin);
        let after = |seconds| Timestamp::from_second(seconds).unwrap();
        memory.launched.clear();
        assert!(memory.clone().settling(&[], after(59)));
        assert_eq!(memory.short().as_deref(), Some("other parameters"));
        assert!(!memory.clone().settling(&[], after(60)), "as long as EC2 may take to show one");
        assert!(memory.settling(&[], after(1)));
    }

    #[test]
    fn a_subnet_without_an_address_has_the_addresses_read_again() {
        let (mut memory, now) = (FleetMemory::default(), Timestamp::UNIX_EPOCH);
        memory.saw_subnets(&[], &[], now);
        memory.launched(&[launch(0, "InsufficientInstanceCapacity")], now);
        assert!(memory.subnets(&[], now).is_some());
        memory.launched(&[launch(0, NO_ADDRESS)], now);
        assert_eq!(memory.subnets(&[], now), None);
    }
}
