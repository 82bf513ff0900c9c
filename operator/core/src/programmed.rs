//! Whether the endpoint and the connected proxies have an object. No single proxy decides that for the others, neither by rejecting
//! it nor by saying nothing. Pure.

use std::time::Duration;

use fleetmesh_api::distribution::{ObjectStatus, Rejection};
use fleetmesh_api::unserved::is_unavailable;
use fleetmesh_crds::{ConditionType, Proxies, Reason, Status};

use crate::canary::{Owners, quorum};
use crate::condition::Finding;
use crate::observed::{Distribution, RemoteIdentity};

/// What `Programmed` says about an object that the endpoint has in the state `identity`. NACKs make it `False` only from a
/// quorum of the proxies that are to run the object (`owners` says whose they are); fewer are mentioned. Proxies that say nothing
/// keep it pending until they were `waited` for so long; then that takes a quorum as well.
pub fn finding(
    identity: &RemoteIdentity,
    distribution: &Distribution,
    owners: &Owners,
    waited: Option<Duration>,
) -> Finding {
    let version = identity.version;
    let awaited = || {
        Finding::unknown(
            Reason::Pending,
            format!("the endpoint has version {version} and has not yet reported on its proxies"),
        )
    };
    match distribution {
        Distribution::Unsupported => {
            Finding::holds(Reason::Programmed, format!("the endpoint has version {version}"))
        }
        Distribution::Pending => awaited(),
        Distribution::Reported(ObjectStatus { version: reported, .. }) if *reported < version => awaited(),
        Distribution::Reported(ObjectStatus {
            proxies,
            acknowledged,
            rejected,
            unserved,
            notes,
            callers,
            ..
        }) => {
            let refusals = i32::try_from(rejected.len()).unwrap_or(i32::MAX);
            let numbers = (refusals, *acknowledged, *proxies);
            let running = |rest| running(numbers, version, rejected, waited, rest);
            let said = |message: String| [&[message][..], notes].concat().join("; ");
            if quorum::refuse(numbers, callers, owners) {
                Finding::fails(Reason::ProxyRejected, refused(*proxies, *acknowledged, rejected))
            } else if !unserved.is_empty() {
                let closed = unserved.iter().any(|entry| is_unavailable(entry));
                let reason = if closed { Reason::AcmUnavailable } else { Reason::NotInForce };
                Finding::fails(reason, without(unserved))
            } else if silent(numbers) > 0
                && (waited.is_none() || quorum::lack((*acknowledged, *proxies), callers, owners))
            {
                Finding::fails(Reason::ProxiesPending, running("too many to go on without them"))
            } else if *proxies == 0 {
                let message = format!("the endpoint has version {version}; no connected proxy needs it");
                Finding::holds(Reason::Programmed, said(message))
            } else {
                Finding::holds(Reason::Programmed, said(running(FEW)))
            }
        }
    }
}

/// Whether a report says that the endpoint had the object as the spec said then.
pub fn was_in_step(status: &Status) -> bool {
    const IN_STEP: [Reason; 5] = [
        Reason::Programmed,
        Reason::ProxiesPending,
        Reason::ProxyRejected,
        Reason::NotInForce,
        Reason::AcmUnavailable,
    ];
    status.condition(ConditionType::Programmed).is_some_and(|programmed| {
        let awaited = programmed.status == "Unknown";
        awaited || IN_STEP.iter().any(|reason| reason.as_str() == programmed.reason)
    })
}

/// Why proxies that do not run an object do not keep it from being programmed.
const FEW: &str = "too few to hold up the others";

/// How many proxies have said nothing.
fn silent((refusals, acknowledged, proxies): (i32, i32, i32)) -> i32 {
    proxies.saturating_sub(acknowledged.saturating_add(refusals)).max(0)
}

/// How long proxies that say nothing are still waited for, when there are such. `reported_for` is for how long the endpoint
/// has reported on the object in this version.
pub fn look(distribution: &Distribution, reported_for: Duration, patience: Duration) -> Option<Duration> {
    match distribution {
        Distribution::Reported(ObjectStatus { proxies, acknowledged, .. }) if acknowledged < proxies => {
            patience.checked_sub(reported_for).filter(|rest| !rest.is_zero())
        }
        Distribution::Reported(_) | Distribution::Unsupported | Distribution::Pending => None,
    }
}

/// The proxies for the status, when the report is about this version.
pub fn proxies(identity: &RemoteIdentity, distribution: &Distribution) -> Option<Proxies> {
    match distribution {
        Distribution::Reported(ObjectStatus { version, proxies, acknowledged, .. })
            if *version >= identity.version =>
        {
            Some(Proxies { connected: *proxies, programmed: *acknowledged })
        }
        Distribution::Reported(_) | Distribution::Unsupported | Distribution::Pending => None,
    }
}

/// What of the object is not in force, and the way out: what ACM does not give is closed, the rest waits for what its
/// reason says.
fn without(unserved: &[String]) -> String {
    let (closed, hindered): (Vec<&str>, Vec<&str>) =
        unserved.iter().map(String::as_str).partition(|entry| is_unavailable(entry));
    let mut texts = Vec::new();
    if !closed.is_empty() {
        texts.push(format!(
            "closed, because ACM does not give it to the control plane: {}",
            closed.join("; ")
        ));
    }
    if !hindered.is_empty() {
        let reasons = hindered.join("; ");
        texts.push(format!("not in force as things are: {reasons}. Mend what is said there to be Ready"));
    }
    texts.join("; ")
}

/// How many run it, how many said nothing while they were waited for and what `follows` from that, and what those say that refused
/// it and are too few to speak for all.
fn running(
    numbers: (i32, i32, i32),
    version: i64,
    rejected: &[Rejection],
    waited: Option<Duration>,
    follows: &str,
) -> String {
    let (refusals, acknowledged, proxies) = numbers;
    let mut running = format!("{acknowledged} of {proxies} connected proxies run version {version}");
    if let (silent @ 1.., Some(waited)) = (silent(numbers), waited) {
        let seconds = waited.as_secs();
        running = format!("{running}; {silent} said nothing about it in {seconds} s, {follows}");
    }
    if rejected.is_empty() {
        return running;
    }
    format!(
        "{running}; {refusals} rejected it and keep their last good configuration, {FEW}. {}",
        words(rejected)
    )
}

/// How many NACKs a message quotes.
const MAX_QUOTED: usize = 3;

fn refused(proxies: i32, acknowledged: i32, rejected: &[Rejection]) -> String {
    format!(
        "{} of {proxies} connected proxies rejected it and keep their last good configuration, {acknowledged} run it. {}",
        rejected.len(),
        words(rejected),
    )
}

/// The proxies' own words, marked as such.
fn words(rejected: &[Rejection]) -> String {
    let words: Vec<String> = rejected.iter().take(MAX_QUOTED).map(ToString::to_string).collect();
    let more = match rejected.len().saturating_sub(MAX_QUOTED) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!("{}{more}", words.join("; "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fleetmesh_api::distribution::CallingProxies;

    use super::*;

    /// What is said of proxies `NODE:NAMESPACE:ACKNOWLEDGED/REFUSED/PROXIES` of a route in the namespace `own`; with
    /// `unsupported` it is not known whose they are.
    fn said(text: &str, unsupported: bool) -> Finding {
        said_after(text, unsupported, None)
    }

    /// The same after those that say nothing were waited for.
    fn said_after(text: &str, unsupported: bool, waited: Option<Duration>) -> Finding {
        let mut owners = Owners { own: "own".to_owned(), namespaces: BTreeMap::new() };
        let (mut callers, mut rejected, mut sums) = (BTreeMap::new(), Vec::new(), [0, 0]);
        for word in text.split_whitespace() {
            let parts: Vec<&str> = word.split(':').collect();
            let numbers: Vec<i32> =
                parts[2].split('/').map(|number| number.parse().expect("a number")).collect();
            owners.namespaces.insert(parts[0].to_owned(), parts[1].to_owned());
            let caller = CallingProxies { acknowledged: numbers[0], proxies: numbers[2] };
            callers.insert(parts[0].to_owned(), caller);
            sums = [sums[0] + numbers[0], sums[1] + numbers[2]];
            for proxy in 0..numbers[1] {
                rejected.push(Rejection { proxy: format!("{}#{proxy}", parts[0]), message: "no".to_owned() });
            }
        }
        let identity = RemoteIdentity { arn: "arn".to_owned(), uid: "u".to_owned(), version: 3 };
        let distribution = Distribution::Reported(ObjectStatus {
            version: 3,
            proxies: sums[1],
            acknowledged: sums[0],
            rejected,
            callers: if unsupported { BTreeMap::new() } else { callers },
            ..ObjectStatus::default()
        });
        finding(&identity, &distribution, &owners, waited)
    }

    #[test]
    fn one_proxy_of_another_team_does_not_keep_an_object_from_being_programmed() {
        for (proxies, reason) in [
            // The attack: one of another team's proxies refuses, or one team's many.
            ("theirs:x:0/1/1 ours:own:5/0/5", Reason::Programmed),
            ("theirs:x:0/9/9 ours:own:1/0/1", Reason::Programmed),
            // It is the only one, or all refuse.
            ("ours:own:0/1/1", Reason::ProxyRejected),
            ("theirs:x:0/1/1 ours:own:0/1/1", Reason::ProxyRejected),
            // Several owners, or the Route's own.
            ("a:x:0/1/1 b:y:0/1/1 ours:own:4/0/4", Reason::ProxyRejected),
            ("ours:own:3/2/5 a:x:1/0/1", Reason::ProxyRejected),
            // Who has said nothing is waited for.
            ("theirs:x:0/1/1 ours:own:4/0/5 a:x:9/0/9", Reason::ProxyRejected),
            ("theirs:x:0/1/2 a:y:9/0/9", Reason::ProxiesPending),
        ] {
            let found = said(proxies, false);
            assert_eq!(found.reason, reason, "{proxies}: {}", found.message);
            assert!(found.message.contains("#0 says: \"no\""), "the NACK is quoted: {}", found.message);
        }
        let message = said("theirs:x:0/1/1 ours:own:5/0/5", false).message;
        let words = "5 of 6 connected proxies run version 3; 1 rejected it and keep their last good configuration, too few to hold up the others. theirs#0 says: \"no\"";
        assert_eq!(message, words);
    }

    #[test]
    fn where_it_is_unknown_whose_the_proxies_are_their_number_counts() {
        for (proxies, reason) in [
            ("a:x:5/1/6", Reason::Programmed),
            ("a:x:0/1/1", Reason::ProxyRejected),
            ("a:x:4/2/6", Reason::ProxyRejected),
            ("a:x:98/2/100", Reason::Programmed),
            ("a:x:4/1/6", Reason::ProxiesPending),
        ] {
            assert_eq!(said(proxies, true).reason, reason, "{proxies}");
        }
    }

    #[test]
    fn one_silent_proxy_does_not_keep_an_object_pending_for_ever() {
        let minute = Some(Duration::from_secs(60));
        for (proxies, unsupported, reason) in [
            // The attack: it is connected and says nothing, or all of one other team's do.
            ("theirs:x:0/0/1 ours:own:5/0/5", false, Reason::Programmed),
            ("theirs:x:0/0/9 ours:own:1/0/1", false, Reason::Programmed),
            ("a:x:5/0/6", true, Reason::Programmed),
            // One says nothing, another refuses: each is one team's word.
            ("theirs:x:0/1/2 ours:own:5/0/5", false, Reason::Programmed),
            // Nobody runs it, or too many do not.
            ("ours:own:0/0/1", false, Reason::ProxiesPending),
            ("ours:own:3/0/5 a:x:1/0/1", false, Reason::ProxiesPending),
            ("a:x:0/0/1 b:y:0/0/1 ours:own:4/0/4", false, Reason::ProxiesPending),
            ("a:x:4/0/6", true, Reason::ProxiesPending),
        ] {
            let before = said(proxies, unsupported);
            assert_eq!(before.reason, Reason::ProxiesPending, "{proxies} is waited for: {}", before.message);
            let after = said_after(proxies, unsupported, minute);
            assert_eq!(after.reason, reason, "{proxies}: {}", after.message);
            assert!(after.message.contains(" said nothing about it in 60 s, too "), "{}", after.message);
        }
        let message = said_after("theirs:x:0/0/1 ours:own:5/0/5", false, minute).message;
        let words = "5 of 6 connected proxies run version 3; 1 said nothing about it in 60 s, too few to hold up the others";
        assert_eq!(message, words);
        let message = said_after("ours:own:5/0/5", false, minute).message;
        assert_eq!(message, "5 of 5 connected proxies run version 3", "nobody is silent");
    }

    #[test]
    fn silent_proxies_are_looked_at_again_when_they_were_waited_for() {
        let patience = Duration::from_secs(60);
        let reported = |acknowledged| {
            Distribution::Reported(ObjectStatus {
                version: 3,
                proxies: 2,
                acknowledged,
                ..ObjectStatus::default()
            })
        };
        assert_eq!(look(&reported(1), Duration::from_secs(20), patience), Some(Duration::from_secs(40)));
        for (distribution, reported_for) in [
            (reported(1), patience),
            (reported(1), Duration::MAX),
            (reported(2), Duration::ZERO),
            (Distribution::Unsupported, Duration::ZERO),
        ] {
            assert_eq!(look(&distribution, reported_for, patience), None);
        }
    }

    #[test]
    fn what_could_be_served_is_to_be_mended_and_what_cannot_is_said_to_be_closed() {
        let acm = "spec.listeners[0].tls.certificate.acm: use a file".to_owned();
        let check =
            "spec.listeners[0].healthCheck: a grpc check needs a grpc or http2 listener, not http".to_owned();
        let said = without(&[acm.clone(), check.clone()]);
        assert_eq!(
            said,
            format!(
                "closed, because ACM does not give it to the control plane: {acm}; not in force as things are: {check}. Mend what is said there to be Ready"
            )
        );
        let reason = |unserved: &[&String]| {
            let unserved = unserved.iter().map(ToString::to_string).collect();
            let status = ObjectStatus { version: 3, unserved, ..ObjectStatus::default() };
            let identity = RemoteIdentity { arn: "arn".to_owned(), uid: "u".to_owned(), version: 3 };
            let owners = Owners { own: "own".to_owned(), namespaces: BTreeMap::new() };
            finding(&identity, &Distribution::Reported(status), &owners, None).reason
        };
        assert_eq!(reason(&[&acm, &check]), Reason::AcmUnavailable);
        assert_eq!(reason(&[&check]), Reason::NotInForce);
        assert_eq!(reason(&[]), Reason::Programmed);
    }

    #[test]
    fn what_is_to_be_known_of_how_it_is_served_is_said_where_it_is_programmed() {
        let note = "spec.backends[0].virtualService.virtualServiceName: takes all of port 3306".to_owned();
        let said = |proxies, acknowledged| {
            let notes = vec![note.clone()];
            let status = ObjectStatus { version: 3, proxies, acknowledged, notes, ..ObjectStatus::default() };
            let identity = RemoteIdentity { arn: "arn".to_owned(), uid: "u".to_owned(), version: 3 };
            let owners = Owners { own: "own".to_owned(), namespaces: BTreeMap::new() };
            finding(&identity, &Distribution::Reported(status), &owners, None)
        };
        let (one, none, silent) = (said(1, 1), said(0, 0), said(1, 0));
        assert_eq!((one.reason, none.reason), (Reason::Programmed, Reason::Programmed));
        assert_eq!(one.message, format!("1 of 1 connected proxies run version 3; {note}"));
        assert_eq!(none.message, format!("the endpoint has version 3; no connected proxy needs it; {note}"));
        assert_eq!(silent.reason, Reason::ProxiesPending);
    }
}
