//! Plans for IAM as text, compared with `golden/identities.txt`, and the property of the node's policy. After a wanted
//! change: `FLEETMESH_BLESS=1 cargo test -p fleetmesh-core --test identities`, and read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use fleetmesh_core::iam::{
    Account, Desired, Found, IamOutcome, IamStep, InstanceProfile, ObservedIdentity, Place, Policy, Role,
    Rules, Then, decide, document, part, remove,
};
use fleetmesh_core::{Failure, FailureClass};
use fleetmesh_crds::IamStatus;
use fleetmesh_model::tag::Tags;
use proptest::prelude::*;
use serde_json::Value;

const NODE: &str = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB";
const EXTRA: &str = "arn:aws:iam::111122223333:policy/extra";
const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/boundary";

fn owner(uid: &str) -> Tags {
    [("kind", "VirtualNode"), ("name", "serviceB"), ("namespace", "shop"), ("uid", uid), ("cluster", "c")]
        .into_iter()
        .map(|(key, value)| (format!("fleetmesh.dev/owner-{key}"), value.to_owned()))
        .collect()
}

fn desired() -> Desired {
    Desired {
        place: Place { path: "/fleetmesh/".to_owned(), name: "mesh-apps-serviceB".to_owned() },
        unproven: false,
        trust: document::trust("aws"),
        policy: document::policy(NODE),
        managed: [document::image_pull_policy("aws")].into(),
        refused: BTreeSet::new(),
        withheld: None,
        permissions_boundary: BOUNDARY.to_owned(),
        tags: owner("uid-1"),
        cluster: "c".to_owned(),
        adopt: false,
        was_in_step: false,
        was_bounded: false,
        unread: String::new(),
    }
}

/// IAM in memory, as far as a plan changes it.
struct SimulatedIam(ObservedIdentity);

impl SimulatedIam {
    fn empty() -> Self {
        Self(ObservedIdentity { role: Found::Absent, policy: Found::Absent, instance_profile: Found::Absent })
    }

    fn role(&mut self) -> &mut Role {
        let Found::Present(role) = &mut self.0.role else { panic!("no role") };
        role
    }

    /// Nothing is attached to a role, and none gets into an instance profile, before it has the boundary.
    fn is_bounded_before(&self, step: &IamStep) {
        let gives = matches!(
            step,
            IamStep::AttachRolePolicy { .. }
                | IamStep::UpdateAssumeRolePolicy { .. }
                | IamStep::AddRoleToInstanceProfile { .. }
        );
        let bounded = self.0.role.present().and_then(|role| role.permissions_boundary.as_deref());
        assert!(!gives || bounded == Some(BOUNDARY), "{step} before the boundary");
    }

    fn policy(&mut self) -> &mut Policy {
        let Found::Present(policy) = &mut self.0.policy else { panic!("no policy") };
        policy
    }

    fn profile(&mut self) -> &mut InstanceProfile {
        let Found::Present(profile) = &mut self.0.instance_profile else { panic!("no instance profile") };
        profile
    }

    fn take(&mut self, step: &IamStep) {
        self.is_bounded_before(step);
        let account = Account::of("arn:aws:iam::111122223333:root").unwrap();
        match step.clone() {
            IamStep::CreateRole { place, trust, permissions_boundary, tags } => {
                let arn = format!("arn:aws:iam::111122223333:role{place}");
                let permissions_boundary = Some(permissions_boundary);
                self.0.role =
                    Found::Present(Role { arn, trust, tags, permissions_boundary, ..Role::default() });
            }
            IamStep::TagRole { tags, .. } => self.role().tags.extend(tags),
            IamStep::UpdateAssumeRolePolicy { trust, .. } => self.role().trust = trust,
            IamStep::PutRolePermissionsBoundary { arn, .. } => self.role().permissions_boundary = Some(arn),
            IamStep::AttachRolePolicy { arn, .. } => assert!(self.role().attached.insert(arn)),
            IamStep::DetachRolePolicy { arn, .. } => assert!(self.role().attached.remove(&arn)),
            IamStep::DeleteRole { .. } => {
                assert!(self.role().attached.is_empty() && self.role().inline.is_empty());
                self.0.role = Found::Absent;
            }
            IamStep::CreatePolicy { place, document, tags } => {
                let (arn, v1) = (account.policy(&place), "v1".to_owned());
                let versions = vec![v1.clone()];
                self.0.policy = Found::Present(Policy { arn, document, default_version: v1, versions, tags });
            }
            IamStep::TagPolicy { tags, .. } => self.policy().tags.extend(tags),
            IamStep::CreatePolicyVersion { document, .. } => {
                let policy = self.policy();
                assert!(policy.versions.len() < 5);
                policy.document = document;
                policy.default_version = "v9".to_owned();
                policy.versions.push("v9".to_owned());
            }
            IamStep::DeletePolicyVersion { version, .. } => {
                assert_ne!(version, self.policy().default_version);
                self.policy().versions.retain(|one| *one != version);
            }
            IamStep::DeletePolicy { .. } => {
                assert_eq!(self.policy().versions.len(), 1);
                self.0.policy = Found::Absent;
            }
            IamStep::CreateInstanceProfile { place, tags } => {
                let arn = account.instance_profile(&place);
                self.0.instance_profile = Found::Present(InstanceProfile { arn, roles: Vec::new(), tags });
            }
            IamStep::TagInstanceProfile { tags, .. } => self.profile().tags.extend(tags),
            IamStep::AddRoleToInstanceProfile { role, .. } => {
                assert!(self.profile().roles.is_empty());
                self.profile().roles.push(role);
            }
            IamStep::RemoveRoleFromInstanceProfile { role, .. } => {
                self.profile().roles.retain(|one| *one != role)
            }
            IamStep::DeleteInstanceProfile { .. } => {
                assert!(self.profile().roles.is_empty());
                self.0.instance_profile = Found::Absent;
            }
        }
    }
}

struct IamScript {
    iam: SimulatedIam,
    text: String,
}

impl IamScript {
    fn new(title: &str) -> Self {
        Self { iam: SimulatedIam::empty(), text: format!("# {title}\n") }
    }

    /// The same, with an identity in step.
    fn settled(title: &str) -> Self {
        let mut script = Self::new(title);
        for _ in 0..2 {
            let plan = decide(&desired(), &script.iam.0);
            plan.steps.iter().for_each(|planned| script.iam.take(&planned.step));
        }
        script
    }

    fn keep(&mut self, desired: &Desired) -> &mut Self {
        let plan = decide(desired, &self.iam.0);
        writeln!(self.text, "keep: {plan}").unwrap();
        for planned in &plan.steps {
            planned.mends.iter().for_each(|mends| writeln!(self.text, "  mends: {mends}").unwrap());
            self.iam.take(&planned.step);
        }
        plan.foreign.iter().for_each(|foreign| writeln!(self.text, "  foreign: {foreign}").unwrap());
        self
    }

    fn remove(&mut self, uid: &str) -> &mut Self {
        let plan = remove(&desired().place, uid, Some(BOUNDARY), &self.iam.0);
        writeln!(self.text, "remove: {plan}").unwrap();
        plan.steps.iter().for_each(|planned| self.iam.take(&planned.step));
        self
    }

    fn outside(&mut self, words: &str, change: impl FnOnce(&mut SimulatedIam)) -> &mut Self {
        writeln!(self.text, "outside: {words}").unwrap();
        change(&mut self.iam);
        self
    }

    fn end(&mut self) -> String {
        format!("{}\n", self.text)
    }
}

#[test]
fn a_place_that_a_status_alone_allows_is_one_where_iam_shows_the_resources_own() {
    let kept = |iam: &SimulatedIam, change: fn(&mut Desired)| {
        let mut desired = Desired { unproven: true, adopt: true, ..desired() };
        change(&mut desired);
        decide(&desired, &iam.0)
    };
    // The attack: a status names a role that is nobody's, or somebody else's, and nothing is made or taken over.
    let nothing = kept(&SimulatedIam::empty(), |_| {});
    assert!(nothing.steps.is_empty(), "{nothing}");
    assert_eq!(nothing.then, Then::Gone, "the status forgets it");
    let settled = IamScript::settled("").iam;
    let theirs = kept(&settled, |desired| desired.tags = owner("uid-2"));
    assert_eq!((theirs.steps.len(), theirs.then), (0, Then::Gone));
    let elsewhere = kept(&settled, |desired| desired.place.path = "/forged/".to_owned());
    assert_eq!((elsewhere.steps.len(), elsewhere.then), (0, Then::Gone));
    // An earlier release's, or one of other rules, goes on, whatever of it is left.
    assert_eq!(kept(&settled, |_| {}).then, Then::InStep);
    let mut half = IamScript::settled("").iam;
    half.0.role = Found::Absent;
    assert!(matches!(kept(&half, |_| {}).steps[0].step, IamStep::CreateRole { .. }));
    half.0.role = Found::Settling;
    assert!(matches!(kept(&half, |_| {}).then, Then::Settling(_)));
}

/// A policy of another class than `EXTRA`.
const OTHER: &str = "arn:aws:iam::111122223333:policy/other";

#[test]
fn no_instance_gets_a_profile_while_its_role_has_what_is_wanted_no_more() {
    let of = |arn: &str| Desired { managed: [arn.to_owned()].into(), ..desired() };
    let settled = || {
        let mut script = IamScript::settled("");
        script.keep(&of(EXTRA));
        assert!(script.iam.role().attached.contains(EXTRA));
        script.iam
    };
    let wanted = of(OTHER);
    let steps = decide(&wanted, &settled().0).steps;
    let place = |meant: fn(&IamStep) -> bool| steps.iter().position(|planned| meant(&planned.step));
    let detached = place(|step| matches!(step, IamStep::DetachRolePolicy { .. })).unwrap();
    let attached = place(|step| matches!(step, IamStep::AttachRolePolicy { .. })).unwrap();
    assert!(detached < attached, "a failure to attach leaves what was attached");
    // The attack: whichever step fails, and whether or not it was done all the same, no launch gets both.
    let rules = Rules { permissions_boundary: Some(BOUNDARY.to_owned()), ..Rules::default() };
    let status = IamStatus {
        instance_profile_arn: Some("profile".to_owned()),
        permissions_boundary: Some(BOUNDARY.to_owned()),
        ..IamStatus::default()
    };
    let (mut handed, mut held) = (0, 0);
    for failed in 0..=steps.len() {
        let mut iam = settled();
        let observed = iam.0.clone();
        steps.iter().take(failed).for_each(|planned| iam.take(&planned.step));
        let failure = || Failure {
            class: FailureClass::Throttled,
            operation: "any".to_owned(),
            message: "Rate exceeded".to_owned(),
        };
        let outcome = IamOutcome {
            done: steps.iter().take(failed).cloned().collect(),
            failed: steps.get(failed).map(|planned| (planned.step.clone(), failure())),
            ..IamOutcome::default()
        };
        let known = part::attached(&desired().place, &observed, &outcome);
        let gets = |wanted: Option<&Desired>| rules.handed(Some(&status), &known, wanted).is_some();
        if gets(Some(&wanted)) {
            assert!(!iam.role().attached.contains(EXTRA), "a launch gets {EXTRA} after {failed} steps");
            handed += 1;
        } else {
            assert!(iam.role().attached.contains(EXTRA), "nothing is in the way after {failed} steps");
            held += 1;
        }
        if failed == steps.len() {
            // The way back is no other.
            assert!(!gets(Some(&of(EXTRA))) && !gets(None), "{known:?}");
        }
    }
    assert!(handed > 1 && held > 0, "{handed} {held}");
}

#[test]
fn what_another_namespace_had_in_iam_is_not_adopted() {
    let mut thief = Desired { adopt: true, tags: owner("uid-2"), ..desired() };
    assert_eq!(decide(&thief, &IamScript::settled("").iam.0).then, Then::InStep, "of one's own namespace");
    thief.tags.insert("fleetmesh.dev/owner-namespace".to_owned(), "evil".to_owned());
    let found = IamScript::settled("").iam;
    let refused = decide(&thief, &found.0);
    assert!(refused.steps.is_empty(), "{refused}");
    assert!(matches!(&refused.then, Then::NotOwned(what) if what.contains("another namespace")), "{refused}");
    // One of the three is enough.
    let mut alone = IamScript::settled("").iam;
    alone.role().tags.clear();
    alone.policy().tags.clear();
    assert!(matches!(decide(&thief, &alone.0).then, Then::NotOwned(_)));
    alone.profile().tags.clear();
    assert_eq!(decide(&thief, &alone.0).then, Then::InStep, "nobody's");
}

#[test]
fn where_others_keep_a_role_is_shown_to_nobody() {
    let mut found = IamScript::settled("").iam;
    found.role().arn = "arn:aws:iam::111122223333:role/secret-project/mesh-apps-serviceB".to_owned();
    let Then::NotOwned(what) = decide(&desired(), &found.0).then else { panic!("it is had") };
    assert!(!what.contains("secret-project") && !what.contains("111122223333"), "{what}");
    assert!(
        what.contains("at another path than /fleetmesh/") && what.contains("spec.iam.roleName"),
        "{what}"
    );
}

fn life() -> String {
    let managed = BTreeSet::from([EXTRA.to_owned()]);
    let changed = Desired { managed, ..desired() };
    let bare = Desired { managed: BTreeSet::new(), ..desired() };
    IamScript::new("a life")
        .keep(&desired())
        .keep(&desired())
        .keep(&desired())
        .keep(&changed)
        .keep(&changed)
        .keep(&bare)
        .keep(&bare)
        .remove("uid-1")
        .remove("uid-1")
        .end()
}

fn drift() -> String {
    let was = Desired { was_in_step: true, was_bounded: true, ..desired() };
    IamScript::settled("what somebody changed comes back")
        .outside("widens the policy", |iam| iam.policy().document = "{}".to_owned())
        .keep(&was)
        .outside("makes five versions", |iam| {
            iam.policy().versions = ["v1", "v2", "v3", "v4", "v9"].map(str::to_owned).into();
            iam.policy().document = "{}".to_owned();
        })
        .keep(&was)
        .outside("changes the trust", |iam| iam.role().trust = "{}".to_owned())
        .keep(&was)
        .outside("detaches everything", |iam| iam.role().attached.clear())
        .keep(&was)
        .outside("takes tags", |iam| {
            iam.role().tags.remove("fleetmesh.dev/owner-name");
            iam.policy().tags.remove("fleetmesh.dev/owner-name");
            iam.profile().tags.remove("fleetmesh.dev/owner-name");
        })
        .keep(&was)
        .outside("puts another role into the profile", |iam| iam.profile().roles = vec!["other".to_owned()])
        .keep(&was)
        .outside("takes the boundary", |iam| iam.role().permissions_boundary = None)
        .keep(&was)
        .outside("bounds otherwise", |iam| {
            iam.role().permissions_boundary = Some("arn:aws:iam::aws:policy/AdministratorAccess".to_owned());
        })
        .keep(&was)
        .outside("attaches", |iam| {
            iam.role().attached.insert(EXTRA.to_owned());
            iam.role().inline.insert("theirs".to_owned());
        })
        .keep(&was)
        .outside("deletes policy and profile", |iam| {
            let own = iam.policy().arn.clone();
            iam.role().attached.remove(&own);
            (iam.0.policy, iam.0.instance_profile) = (Found::Absent, Found::Absent);
        })
        .keep(&was)
        .remove("uid-1")
        .end()
}

fn ownership() -> String {
    let theirs = Desired { tags: owner("uid-2"), ..desired() };
    let adopts = Desired { adopt: true, ..theirs.clone() };
    IamScript::settled("somebody else's is left alone until it is adopted")
        .keep(&theirs)
        .remove("uid-2")
        .keep(&adopts)
        .keep(&theirs)
        .remove("uid-1")
        .remove("uid-2")
        .end()
}

/// What another cluster has is not adopted, what is at another path neither; nobody's is, and bounded first.
fn adoption() -> String {
    let theirs = Desired { tags: owner("uid-2"), adopt: true, ..desired() };
    let other = |iam: &mut SimulatedIam| {
        iam.role().tags.insert("fleetmesh.dev/owner-cluster".to_owned(), "other".to_owned());
    };
    let nobodys = |iam: &mut SimulatedIam| {
        (iam.role().tags, iam.policy().tags, iam.profile().tags) = Default::default();
        iam.role().permissions_boundary = None;
        iam.role().attached = ["arn:aws:iam::aws:policy/AdministratorAccess".to_owned()].into();
        iam.role().trust = "{}".to_owned();
        iam.profile().roles = vec!["admin".to_owned()];
    };
    let moved = |iam: &mut SimulatedIam| {
        iam.role().arn = "arn:aws:iam::111122223333:role/mesh-apps-serviceB".to_owned()
    };
    let tale = |title: &str, words: &str, change: &dyn Fn(&mut SimulatedIam)| {
        IamScript::settled(title).outside(words, change).keep(&theirs).keep(&theirs).end()
    };
    [
        tale("another cluster's is not adopted", "another cluster takes the role", &other),
        tale("nobody's is adopted, and bounded first", "all tags go, rights come", &nobodys),
        tale("what has the name at another path is not adopted", "it is at /", &moved),
    ]
    .concat()
}

/// What an earlier release left behind: no boundary, and policies that are not allowed any more.
fn upgrade() -> String {
    let old = |iam: &mut SimulatedIam| {
        iam.role().permissions_boundary = None;
        iam.role().attached.insert(EXTRA.to_owned());
        let value = iam.role().tags["fleetmesh.dev/attached"].clone();
        // Of EXTRA.
        iam.role().tags.insert("fleetmesh.dev/attached".to_owned(), format!("{value} 0dcbd71c5834"));
    };
    let still = Desired { refused: [EXTRA.to_owned()].into(), was_in_step: true, ..desired() };
    IamScript::settled("what an earlier release left behind")
        .outside("an earlier release made it", old)
        .keep(&still)
        .keep(&still)
        .keep(&Desired { was_bounded: true, ..desired() })
        .outside("an earlier release made it", |iam| iam.role().permissions_boundary = None)
        .remove("uid-1")
        .end()
}

fn settling() -> String {
    let mut script = IamScript::settled("what was just made is waited for");
    let policy = script.iam.0.policy.clone();
    script.iam.0.policy = Found::Settling;
    script.keep(&desired()).remove("uid-1");
    script.iam.0.policy = policy;
    script.iam.0.role = Found::Settling;
    script.keep(&desired()).remove("uid-1").end()
}

#[test]
fn plans_are_as_written_down() {
    let found = [life(), drift(), ownership(), adoption(), upgrade(), settling()].concat();
    let path = "tests/golden/identities.txt";
    if std::env::var_os("FLEETMESH_BLESS").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(path).unwrap_or_default());
}

/// Whether IAM's resource pattern matches a text: `*` any characters, `?` one, `${*}`, `${?}` and `${$}` themselves.
/// Another variable matches nothing here, because what it stands for is not known.
fn matches(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['$', '{', escaped @ ('*' | '?' | '$'), '}', rest @ ..] => {
            text.first() == Some(escaped) && matches(rest, &text[1..])
        }
        ['$', '{', ..] => false,
        ['*', rest @ ..] => (0..=text.len()).any(|skipped| matches(rest, &text[skipped..])),
        ['?', rest @ ..] => !text.is_empty() && matches(rest, &text[1..]),
        [letter, rest @ ..] => text.first() == Some(letter) && matches(rest, &text[1..]),
    }
}

/// Whether a policy document allows an action on a resource.
fn allows(document: &Value, action: &str, resource: &str) -> bool {
    let statements = document["Statement"].as_array().unwrap();
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    statements.iter().any(|statement| {
        let members: BTreeSet<&str> = statement.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, BTreeSet::from(["Action", "Effect", "Resource"]), "the matcher knows no others");
        let (allowed, on) = (statement["Action"].as_str().unwrap(), statement["Resource"].as_str().unwrap());
        statement["Effect"] == "Allow"
            && matches(&chars(&allowed.to_lowercase()), &chars(&action.to_lowercase()))
            && matches(&chars(on), &chars(resource))
    })
}

/// Names made of what could be taken for a wildcard or a variable, among others.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9_-]{1,20}", "[a-b*?$\\{\\}]{1,12}", "[ -~]{1,20}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_node_policy_allows_one_action_on_one_arn(
        (mesh, node, other) in (name(), name(), name()),
        region in "[a-z]{2}-[a-z]{4,9}-[1-9]",
        account in "[0-9]{12}",
        partition in prop_oneof![Just("aws"), Just("aws-cn"), Just("aws-us-gov")],
        cut in 0_usize..200,
    ) {
        let arn = |mesh: &str, node: &str| {
            format!("arn:{partition}:appmesh:{region}:{account}:mesh/{mesh}/virtualNode/{node}")
        };
        let own = arn(&mesh, &node);
        let document = document::policy(&own);
        prop_assert!(allows(&document, document::STREAM, &own));
        prop_assert!(!allows(&document, "appmesh:DescribeVirtualNode", &own));
        prop_assert!(!allows(&document, "iam:CreateRole", &own));
        let chars: Vec<char> = own.chars().collect();
        let at = cut % chars.len();
        let mut longer = chars.clone();
        longer.insert(at, 'x');
        let mut shorter = chars.clone();
        shorter.remove(at);
        let mut changed = chars;
        changed[at] = if changed[at] == 'x' { 'y' } else { 'x' };
        let near = [longer, shorter, changed].map(|chars| chars.into_iter().collect::<String>());
        let far = [arn(&mesh, &other), arn(&other, &node), format!("arn:{partition}:appmesh:{region}:{account}:mesh/{mesh}")];
        for resource in near.into_iter().chain(far).filter(|resource| *resource != own) {
            prop_assert!(!allows(&document, document::STREAM, &resource), "{} allows {}", document, resource);
        }
    }
}

#[test]
fn managed_policies_that_are_withheld_are_not_attached_and_what_is_attached_stays() {
    let extra = || Desired { managed: [EXTRA.to_owned()].into(), ..desired() };
    let withheld = Desired { withheld: Some("others run".to_owned()), ..extra() };
    let mut script = IamScript::settled("withheld");
    script.keep(&withheld).keep(&withheld);
    assert!(script.text.contains("withheld: others run"), "{}", script.text);
    assert!(!script.iam.role().attached.contains(EXTRA));
    script.keep(&extra()).keep(&withheld);
    assert!(script.iam.role().attached.contains(EXTRA), "what is attached stays");
    assert!(script.text.ends_with("keep: in step\n"), "{}", script.text);
}
