//! What a listing says about the state of interception.

use fleetmesh_instance::interception::nft::rules;
use serde_json::json;

use super::*;
use crate::intercept::test::{guarded, scenario};

#[test]
fn the_rules_of_enable_are_enabled() {
    let both = Interception { ipv6: true, ..scenario() };
    for made in [scenario(), both, guarded(), Interception { ingress: None, ..scenario() }] {
        assert_eq!(state(&rules(&made)), State::Enabled(made));
    }
}

#[test]
fn says_which_rule_is_missing_or_strange() {
    let mut missing = rules(&scenario());
    missing.retain(|rule| !rule.text.starts_with("fib daddr"));
    assert_eq!(state(&missing), State::Altered("missing: egress: fib daddr type local return".to_owned()));
    let mut strange = rules(&scenario());
    strange.push(NftRule { chain: "egress".to_owned(), text: "counter".to_owned() });
    assert_eq!(state(&strange), State::Altered("unexpected: counter in chain egress".to_owned()));
    assert_eq!(state(&[]), State::Altered("rules are missing".to_owned()));
}

#[test]
fn a_listed_rule_of_another_shape_keeps_its_json() {
    let listing =
        json!({"nftables": [{"rule": {"chain": "egress", "expr": [{"counter": null}]}}]}).to_string();
    let found = listing::rules(&listing).expect("a listing");
    assert_eq!(found.iter().map(|rule| rule.text.as_str()).collect::<Vec<_>>(), [r#"[{"counter":null}]"#]);
}

#[test]
fn both_forms_of_a_fib_flag_are_one_rule() {
    for flags in [json!("daddr"), json!(["daddr"])] {
        let matched =
            json!({"op": "==", "left": {"fib": {"result": "type", "flags": flags}}, "right": "local"});
        let expr = json!([{"match": matched}, {"return": null}]);
        let listing = json!({"nftables": [{"rule": {"chain": "egress", "expr": expr}}]}).to_string();
        let found = listing::rules(&listing).expect("a listing");
        assert_eq!(
            found.iter().map(|rule| rule.text.as_str()).collect::<Vec<_>>(),
            ["fib daddr type local return"]
        );
    }
}

#[test]
fn other_tables_are_not_ours() {
    let listing =
        |family: &str| json!({"nftables": [{"table": {"family": family, "name": "fleetmesh"}}]}).to_string();
    assert_eq!(listing::has_table(&listing("inet")), Ok(true));
    assert_eq!(listing::has_table(&listing("ip")), Ok(false));
    assert!(listing::has_table("nonsense").is_err());
}
