//! Instances that end by themselves soon after their launch: a volume whose key EC2 may not use, an AMI whose snapshot is gone,
//! user data that shuts the machine down. Each of them costs money and the next one ends like it, so launches become rarer. Pure.

use jiff::{SignedDuration, Timestamp};

use super::observed::{Instance, ObservedFleet};
use super::scale::{FleetMember, Stage};

/// How long nothing is launched after one launch that ended so, from that launch on; it doubles with each.
const FIRST: SignedDuration = SignedDuration::from_secs(30);
/// The longest of these. EC2 shows what is terminated for about an hour: so far back launches are counted.
const LONGEST: SignedDuration = SignedDuration::from_mins(20);

/// How long ago an instance was launched at least that EC2 shows as ended and that lived for longer than [`LONGEST`]: it shows what
/// ended for about an hour.
const OLD: SignedDuration = SignedDuration::from_mins(80);

/// EC2's codes for the end of an instance that somebody wanted, or that has nothing to do with how it was launched.
const WANTED: [&str; 6] = [
    "Client.UserInitiatedHibernate",
    "Client.UserInitiatedShutdown",
    "Server.ScheduledStop",
    "Server.SpotInstanceShutdown",
    "Server.SpotInstanceStop",
    "Server.SpotInstanceTermination",
];

/// Why EC2 ended an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateReason {
    /// EC2's code, for example `Client.InternalError`.
    pub code: String,
    /// EC2's words.
    pub message: String,
}

/// Launches in a row whose instances ended by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deaths {
    /// The instance that was launched last of them.
    pub last: String,
    /// Why the last one ended.
    pub reason: StateReason,
    /// How many launches.
    pub launches: u32,
    /// Until when nothing is launched.
    pub until: Timestamp,
}

/// The deaths since the newest of `members` that serves was launched, among instances that came from what has the hash `hash`;
/// `None` without any.
pub fn deaths(
    observed: &ObservedFleet,
    members: &[FleetMember<'_>],
    hash: Option<&String>,
    now: Timestamp,
) -> Option<Deaths> {
    let serves = |member: &&FleetMember<'_>| member.updated && member.serves == Stage::Ready;
    let served = members.iter().filter(serves).map(|member| member.instance.launched).max();
    let mut dead: Vec<(&Instance, &StateReason)> = observed
        .instances
        .iter()
        .filter(|instance| !instance.state.is_live() && instance.holds(hash))
        .filter(|instance| now.duration_since(instance.launched) <= OLD)
        .filter(|instance| served.is_none_or(|served| served < instance.launched))
        .filter_map(|instance| Some((instance, instance.ended.as_ref()?)))
        .filter(|(_, reason)| !WANTED.contains(&reason.code.as_str()))
        .collect();
    dead.sort_by_key(|(instance, _)| (std::cmp::Reverse(instance.launched), &instance.id));
    let (last, reason) = dead.first()?;
    let launches = rows(dead.iter().map(|(instance, _)| instance.launched));
    let pause = FIRST.saturating_mul(1 << launches.saturating_sub(1).min(10)).min(LONGEST);
    Some(Deaths {
        last: last.id.clone(),
        reason: (*reason).clone(),
        launches,
        until: last.launched.saturating_add(pause).unwrap_or(last.launched),
    })
}

/// How many times something was launched, by the times of the instances, newest first: one plan launches in each zone by itself,
/// seconds apart, and a launch that waited is [`FIRST`] later.
fn rows(newest_first: impl Iterator<Item = Timestamp>) -> u32 {
    let (mut count, mut counted) = (0, None::<Timestamp>);
    for launched in newest_first {
        if counted.is_none_or(|counted| counted.duration_since(launched) >= FIRST) {
            (count, counted) = (count + 1, Some(launched));
        }
    }
    count
}

impl Deaths {
    /// What happened, for a person.
    pub fn words(&self) -> String {
        let Self { last, reason: StateReason { code, message }, launches, until } = self;
        format!(
            "{last} ended after its launch, EC2 says {code}: {message}. {launches} launches in a row ended so, and the next one is not before {until:.0}; what is launched is at fault (AMI, the key of the volume, user data), and a change of it is launched at once"
        )
    }
}

#[cfg(test)]
mod tests {
    use fleetmesh_api::tags::TEMPLATE_HASH_TAG;
    use fleetmesh_model::tag::Tags;

    use super::*;
    use crate::fleet::observed::InstanceState;

    fn instance(id: &str, launched: i64, code: Option<&str>) -> Instance {
        let launched = Timestamp::from_second(launched).unwrap();
        let reason = |code: &str| StateReason { code: code.to_owned(), message: "why".to_owned() };
        Instance {
            state: if code.is_some() { InstanceState::Terminated } else { InstanceState::Running },
            ended: code.map(reason),
            marks: Tags::from([(TEMPLATE_HASH_TAG.to_owned(), "h".to_owned())]),
            ..Instance::running(id, launched)
        }
    }

    fn found(instances: &[Instance], hash: &str) -> Option<(u32, i64)> {
        let observed = ObservedFleet { instances: instances.to_vec(), ..ObservedFleet::default() };
        let live = observed.instances.iter().filter(|instance| instance.state.is_live());
        let members: Vec<FleetMember<'_>> = live
            .map(|instance| FleetMember {
                instance,
                serves: Stage::Ready,
                stage: Stage::Ready,
                updated: true,
            })
            .collect();
        let now = Timestamp::from_second(4900).unwrap();
        let deaths = deaths(&observed, &members, Some(&hash.to_owned()), now)?;
        Some((deaths.launches, deaths.until.as_second()))
    }

    #[test]
    fn each_launch_in_a_row_that_ends_by_itself_doubles_the_pause() {
        let key = Some("Client.InvalidKMSKey.InvalidState");
        let mut dead = vec![instance("i-1", 100, key), instance("i-2", 100, key)];
        assert_eq!(found(&dead, "h"), Some((1, 130)), "two of one launch count once");
        let zones = [instance("i-1", 100, key), instance("i-2", 103, key), instance("i-3", 106, key)];
        assert_eq!(found(&zones, "h"), Some((1, 136)), "those of one plan in several zones count once");
        assert_eq!(found(&[instance("i-1", 99, key)], "h"), None, "it lived for 20 minutes or more");
        dead.push(instance("i-3", 200, Some("Client.InternalError")));
        assert_eq!(found(&dead, "h"), Some((2, 260)));
        for later in 3..20 {
            dead.push(instance("i-9", later * 100, key));
        }
        assert_eq!(found(&dead, "h"), Some((19, 1900 + 1200)), "no longer than 20 minutes");
        assert_eq!(found(&dead, "other"), None, "what is launched is another now");
        dead.push(instance("i-0", 1950, None));
        assert_eq!(found(&dead, "h"), None, "one of a later launch serves");
    }

    #[test]
    fn what_somebody_wanted_and_what_spot_took_back_is_no_death() {
        for code in WANTED {
            assert_eq!(found(&[instance("i-1", 100, Some(code))], "h"), None, "{code}");
        }
        assert!(found(&[instance("i-1", 100, Some("Client.InstanceInitiatedShutdown"))], "h").is_some());
    }
}
