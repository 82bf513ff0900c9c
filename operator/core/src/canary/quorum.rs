//! Which proxies may hold up a rollout by rejecting its weights, or by saying nothing: more than one proxy, and more than one
//! namespace's (`docs/adr/0020-providers-and-witnesses.md`). Pure.

use std::collections::{BTreeMap, BTreeSet};

use fleetmesh_api::distribution::CallingProxies;

use super::observations::{Owners, TargetOwner};

/// The fewest proxies that hold up others.
const PROXIES: i32 = 2;
/// The smallest part of all proxies that does, in percent.
const PERCENT: i32 = 5;

/// Whether the proxies that do not run the weights hold up the rollout. They do when
/// - none runs them, or
/// - they are at least [`PROXIES`] and [`PERCENT`] percent of the connected ones, and are of at least two owners, or of the
///   Route's own, or of the only one that there is.
pub(crate) fn hold_up(callers: &BTreeMap<String, CallingProxies>, owners: &Owners) -> bool {
    let behind = |caller: &CallingProxies| caller.proxies - caller.acknowledged;
    let all: i32 = callers.values().map(|caller| caller.proxies).sum();
    let missing: i32 = callers.values().map(behind).sum();
    if missing <= 0 || missing == all {
        return missing > 0;
    }
    let of = |pick: &dyn Fn(&CallingProxies) -> i32| -> BTreeSet<TargetOwner<'_>> {
        let some = callers.iter().filter(|(_, caller)| pick(caller) > 0);
        some.map(|(node, _)| owners.of(node)).collect()
    };
    let (concerned, holding) = (of(&|caller| caller.proxies), of(&behind));
    let agreed =
        holding.len() > 1 || concerned.len() == 1 || holding.contains(&TargetOwner::Namespace(&owners.own));
    are_many(missing, all) && agreed
}

/// Whether `some` of `all` proxies are [`PROXIES`] and [`PERCENT`] percent at least.
fn are_many(some: i32, all: i32) -> bool {
    some >= PROXIES && i64::from(some) * 100 >= i64::from(all) * i64::from(PERCENT)
}

/// Whether `rejected` of the `proxies`, of which others `acknowledged`, may say for all that a configuration is refused: those of
/// a route as they hold up its rollout ([`hold_up`]). Where it is not known whose proxies they are, they do when none runs it, or
/// when they are at least [`PROXIES`] and [`PERCENT`] percent.
pub(crate) fn refuse(
    (rejected, acknowledged, proxies): (i32, i32, i32),
    callers: &BTreeMap<String, CallingProxies>,
    owners: &Owners,
) -> bool {
    if rejected == 0 || !callers.is_empty() {
        return rejected > 0 && hold_up(callers, owners);
    }
    acknowledged == 0 || are_many(rejected, proxies)
}

/// Whether the proxies that do not run an object keep it from being programmed for all, after those that say nothing were waited
/// for: as they hold up a rollout ([`hold_up`]), or by their number where it is not known whose they are, as in [`refuse`].
pub(crate) fn lack(
    (acknowledged, proxies): (i32, i32),
    callers: &BTreeMap<String, CallingProxies>,
    owners: &Owners,
) -> bool {
    if !callers.is_empty() {
        return hold_up(callers, owners);
    }
    let missing = proxies.saturating_sub(acknowledged);
    missing > 0 && (acknowledged == 0 || are_many(missing, proxies))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Callers from `NODE:NAMESPACE:ACKNOWLEDGED/PROXIES`; without a namespace no resource stands for the node. The Route is
    /// in `own`.
    fn held_up(text: &str) -> bool {
        let mut owners = Owners { own: "own".to_owned(), namespaces: BTreeMap::new() };
        let mut callers = BTreeMap::new();
        for word in text.split_whitespace() {
            let parts: Vec<&str> = word.split(':').collect();
            let (acknowledged, proxies) = parts[2].split_once('/').expect("a fraction");
            let number = |text: &str| text.parse().expect("a number");
            let caller = CallingProxies { proxies: number(proxies), acknowledged: number(acknowledged) };
            callers.insert(parts[0].to_owned(), caller);
            if !parts[1].is_empty() {
                owners.namespaces.insert(parts[0].to_owned(), parts[1].to_owned());
            }
        }
        hold_up(&callers, &owners)
    }

    #[test]
    fn no_single_proxy_or_namespace_holds_up_others() {
        for (callers, held) in [
            ("a:x:3/3 b:y:2/2", false),
            // One proxy, whoever's it is.
            ("a:x:2/3 b:y:2/2", false),
            ("a:own:2/3", false),
            ("a:x:0/1 b:y:1/1", false),
            ("a:x:0/1 b:own:1/1", false),
            // The only one that is concerned.
            ("a:x:0/1", true),
            ("a:x:0/1 b:y:0/1", true),
            ("a:x:1/3", true),
            // One namespace of several, however many proxies and nodes it has.
            ("a:x:0/50 b:y:1/1", false),
            ("a:x:0/50 c:x:0/50 b:y:1/1", false),
            // Nobody's nodes are one owner's, however many there are.
            ("a::0/1 c::0/1 b:y:1/1", false),
            ("a::0/2 b:y:1/1", false),
            ("a::0/1 c::0/1 b:y:0/1 d:z:1/1", true),
            ("a::0/1 c::1/1", false),
            ("a::0/1 b::0/1 c::1/1", true),
            // Two namespaces, or the Route's own.
            ("a:x:2/3 b:y:2/3 c:z:4/4", true),
            ("a:own:1/3 b:y:9/9", true),
            // Less than a twentieth.
            ("a:x:98/99 b:y:99/100", false),
            ("a:x:9/10 b:y:29/30", true),
            ("a:x:9/10 b:y:30/31", false),
        ] {
            assert_eq!(held_up(callers), held, "{callers}");
        }
    }
}
