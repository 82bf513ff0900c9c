//! The conditions of the operator's permissions. Pure.

use fleetmesh_api::tags::{ENROLL_TAG, OWNER_CLUSTER_TAG as CLUSTER_TAG, TAG_PREFIX};
use serde_json::{Map, Value, json};

use super::Scope;

/// When an action is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Always: IAM knows no narrower condition for it.
    Always,
    /// When the thing carries our cluster's tag.
    Ours,
    /// When the request gives the thing our cluster's tag.
    BecomesOurs,
    /// The same, and gives the role the boundary.
    BecomesOursBounded,
    /// When the role is ours and has the boundary, or gets it.
    OursBounded,
    /// The same, for one of the policies that may be attached.
    PolicyAllowed,
    /// When the role is handed to EC2.
    PassedToEc2,
    /// When tags are set on what is ours, which stays ours.
    TagsOurs,
    /// The same, with tags of Fleetmesh's only.
    TagsOursInIam,
    /// The same, with tags whose keys are allowed.
    TagsOursInEc2,
    /// When what is no cluster's becomes ours.
    Adopts,
    /// The same, with tags of Fleetmesh's only.
    AdoptsInIam,
    /// The same, for an instance that has a profile below our path and that nobody tagged for enrolment.
    MarksAgain,
    /// When the tags are set by one of the requests that make something, our cluster's among them.
    WhileMade,
    /// When the instance is tagged for enrolment by our cluster, has no profile and gets one below our path.
    Enrolls,
    /// When the instance's profile is one below our path, and no other cluster's tag says that it is its.
    Dismisses,
    /// When an instance of ours is launched whose metadata service wants session tokens, which do not travel.
    Launches,
    /// When instances of ours are to be launched by a fleet. One that EC2 keeps up launches them itself, later, and nothing that
    /// is asked of a launch reaches those.
    LaunchesLater,
    /// When the AMI has one of the owners.
    OfOwner,
    /// In one of the VPCs.
    InVpc,
    /// In one of the services of Cloud Map.
    OfService,
}

impl When {
    /// Whether it is allowed only where adoption is.
    pub(super) fn adopts(self) -> bool {
        matches!(self, Self::Adopts | Self::AdoptsInIam | Self::MarksAgain)
    }
}

/// The condition as it stands in a statement; `None` for none.
pub(super) fn condition(when: When, scope: &Scope) -> Option<Value> {
    let mut all = Conditions::default();
    let ours = scope.cluster.as_str();
    let (carries, asks) = (format!("aws:ResourceTag/{CLUSTER_TAG}"), format!("aws:RequestTag/{CLUSTER_TAG}"));
    let enroll = format!("aws:ResourceTag/{ENROLL_TAG}");
    match when {
        When::Always => {}
        When::Ours => all.one("StringEquals", &carries, ours),
        When::BecomesOurs => all.one("StringEquals", &asks, ours),
        When::BecomesOursBounded => {
            all.one("StringEquals", &asks, ours);
            all.bounded(scope);
        }
        When::OursBounded | When::PolicyAllowed => {
            all.one("StringEquals", &carries, ours);
            all.bounded(scope);
            if when == When::PolicyAllowed {
                all.list("ArnLike", "iam:PolicyARN", policies(scope));
            }
        }
        When::PassedToEc2 => {
            let domain = if scope.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
            all.one("StringEquals", "iam:PassedToService", &format!("ec2.{domain}"));
        }
        When::TagsOurs | When::TagsOursInIam | When::TagsOursInEc2 => {
            all.one("StringEquals", &carries, ours);
            all.one("StringEqualsIfExists", &asks, ours);
        }
        When::Adopts | When::AdoptsInIam | When::MarksAgain => {
            all.one("StringEquals", &asks, ours);
            all.one("Null", &carries, "true");
            if when == When::MarksAgain {
                // Those that were enrolled have a profile of ours, too, and are somebody else's.
                all.one("Null", &enroll, "true");
                all.list("ArnLike", "ec2:InstanceProfile", profiles(scope));
            }
        }
        When::WhileMade => {
            all.one("StringEquals", &asks, ours);
            let makers = ["CreateFleet", "CreateLaunchTemplate", "RunInstances"];
            all.list("StringEquals", "ec2:CreateAction", makers.map(str::to_owned));
        }
        When::Enrolls => {
            all.one("StringEquals", &enroll, ours);
            all.list("ArnLike", "ec2:NewInstanceProfile", profiles(scope));
            all.one("Null", "ec2:InstanceProfile", "true");
        }
        When::Dismisses => {
            all.list("ArnLike", "ec2:InstanceProfile", profiles(scope));
            all.one("StringEqualsIfExists", &enroll, ours);
            all.one("StringEqualsIfExists", &carries, ours);
        }
        When::Launches => {
            all.one("StringEquals", &asks, ours);
            all.one("StringEquals", "ec2:MetadataHttpTokens", "required");
            all.one("NumericEquals", "ec2:MetadataHttpPutResponseHopLimit", "1");
            all.list("StringLike", "ec2:InstanceType", scope.limits.instance_types.clone());
        }
        When::LaunchesLater => {
            all.one("StringEquals", &asks, ours);
            all.list("StringLike", "ec2:InstanceType", scope.limits.instance_types.clone());
        }
        When::OfOwner => all.list("StringEquals", "ec2:Owner", scope.limits.ami_owners.clone()),
        When::InVpc => {
            let vpc = |id: &String| scope.filled(&format!("arn:{{P}}:ec2:{{R}}:{{A}}:vpc/{id}"));
            let arns: Vec<String> = scope.limits.vpcs.iter().flat_map(vpc).collect();
            // A region or an account that is every one is a pattern.
            all.list("ArnLike", "ec2:Vpc", arns);
        }
        When::OfService => {
            let service =
                |id: &String| scope.filled(&format!("arn:{{P}}:servicediscovery:{{R}}:{{A}}:service/{id}"));
            let arns: Vec<String> = scope.limits.cloud_map_services.iter().flat_map(service).collect();
            all.list("ArnLike", "servicediscovery:ServiceArn", arns);
        }
    }
    all.keys(when, scope);
    all.text()
}

/// The managed policies that may be attached.
fn policies(scope: &Scope) -> Vec<String> {
    let own = scope.filled("arn:{P}:iam::{A}:policy{PATH}*");
    own.into_iter().chain(scope.managed_policies.iter().cloned()).collect()
}

fn profiles(scope: &Scope) -> Vec<String> {
    scope.filled("arn:{P}:iam::{A}:instance-profile{PATH}{NAMES}")
}

/// Operators, each with its keys and their values.
#[derive(Default)]
struct Conditions(Map<String, Value>);

impl Conditions {
    fn one(&mut self, operator: &str, key: &str, value: &str) {
        self.set(operator, key, json!(value));
    }

    /// One of `values`; no condition when there are none.
    fn list(&mut self, operator: &str, key: &str, values: impl IntoIterator<Item = String>) {
        let values: Vec<String> = values.into_iter().collect();
        if !values.is_empty() {
            self.set(operator, key, json!(values));
        }
    }

    fn set(&mut self, operator: &str, key: &str, value: Value) {
        let keys = self.0.entry(operator).or_insert_with(|| json!({}));
        keys[key] = value;
    }

    fn bounded(&mut self, scope: &Scope) {
        let boundary = scope.permissions_boundary.iter().cloned();
        self.list("StringEquals", "iam:PermissionsBoundary", boundary);
    }

    /// The keys of tags that may be set.
    fn keys(&mut self, when: When, scope: &Scope) {
        let own = format!("{TAG_PREFIX}*");
        let extra = &scope.limits.tag_keys;
        let keys: Vec<String> = match when {
            When::TagsOursInIam | When::AdoptsInIam => vec![own],
            When::WhileMade | When::TagsOursInEc2 | When::MarksAgain if !extra.is_empty() => {
                [own, "Name".to_owned()].into_iter().chain(extra.iter().cloned()).collect()
            }
            _ => Vec::new(),
        };
        self.list("ForAllValues:StringLike", "aws:TagKeys", keys);
    }

    fn text(self) -> Option<Value> {
        (!self.0.is_empty()).then_some(Value::Object(self.0))
    }
}
