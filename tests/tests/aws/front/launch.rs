//! What AWS makes of a CreateFleet of type `instant`, as `design/8-aws-manners.md` describes it: a pure function of the request,
//! the account and what the region is out of.

use std::collections::{BTreeMap, BTreeSet};

use super::account::{AwsManners, DescribedAccount, architecture};

/// A CreateFleet.
#[derive(Clone, Debug, Default)]
pub struct LaunchRequest {
    /// How many instances.
    pub count: i32,
    /// The version of the launch template, as `lt-…/1`.
    pub version: String,
    /// The type and the subnet of each override, in order.
    pub overrides: Vec<(String, Option<String>)>,
}

/// An entry of `Errors[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolError {
    pub code: String,
    pub message: String,
    /// The place of the override that it is about.
    pub pool: usize,
}

/// What comes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaunchVerdict {
    /// It is refused with this code and these words.
    Refused(&'static str, String),
    /// So many instances are launched by each override, and these errors are reported.
    Placed(BTreeMap<usize, i32>, Vec<PoolError>),
}

impl LaunchRequest {
    /// Reads the parameters of EC2's Query protocol.
    pub fn read(parameters: &BTreeMap<String, String>) -> Self {
        let mut overrides: BTreeMap<usize, (String, Option<String>)> = BTreeMap::new();
        let (mut template, mut version, mut count) = (String::new(), String::new(), 0);
        for (name, value) in parameters {
            let place = name.split_once("Overrides.").and_then(|(_, rest)| rest.split_once('.'));
            match (place, name.rsplit('.').next()) {
                (Some((index, "InstanceType")), _) => {
                    overrides.entry(index.parse().unwrap()).or_default().0.clone_from(value);
                }
                (Some((index, "SubnetId")), _) => {
                    overrides.entry(index.parse().unwrap()).or_default().1 = Some(value.clone());
                }
                (None, Some("LaunchTemplateId")) => template.clone_from(value),
                (None, Some("Version")) if name.contains("LaunchTemplateSpecification") => {
                    version.clone_from(value)
                }
                (None, Some("TotalTargetCapacity")) => count = value.parse().unwrap(),
                _ => {}
            }
        }
        Self { count, version: format!("{template}/{version}"), overrides: overrides.into_values().collect() }
    }
}

/// Judges a request.
pub fn judge(request: &LaunchRequest, account: &DescribedAccount, manners: &AwsManners) -> LaunchVerdict {
    let pools: Vec<(&str, Option<&str>)> = request
        .overrides
        .iter()
        .map(|(type_, subnet)| (type_.as_str(), account.zone(subnet.as_deref())))
        .collect();
    if pools.iter().collect::<BTreeSet<_>>().len() < pools.len() {
        let words = "The fleet configuration contains duplicate instance pools.";
        return LaunchVerdict::Refused("InvalidFleetConfig", words.to_owned());
    }
    let (mut left, mut placed, mut errors) = (request.count, BTreeMap::new(), Vec::new());
    for (pool, (type_, zone)) in pools.iter().enumerate() {
        if left == 0 {
            // Prices are equal: the first pool that has all takes all, and EC2 tries no other.
            break;
        }
        let mut fails =
            |code: &str, message: String| errors.push(PoolError { code: code.to_owned(), message, pool });
        let Some(zone) = zone else {
            let subnet = request.overrides[pool].1.clone().unwrap_or_default();
            fails("InvalidSubnetID.NotFound", format!("The subnet ID '{subnet}' does not exist"));
            continue;
        };
        if let Some((code, message)) =
            refusal(type_, account.versions.get(&request.version), account, manners)
        {
            fails(code, message);
            continue;
        }
        let has =
            manners.capacity.get(&((*type_).to_owned(), (*zone).to_owned())).copied().unwrap_or(i32::MAX);
        let given = has.min(left);
        if given < left {
            let words = format!(
                "We currently do not have sufficient {type_} capacity in the Availability Zone you requested ({zone})."
            );
            fails("InsufficientInstanceCapacity", words);
        }
        if given > 0 {
            placed.insert(pool, given);
            left -= given;
        }
    }
    LaunchVerdict::Placed(placed, errors)
}

/// Why no instance of a type can be launched from a version, wherever.
fn refusal(
    type_: &str,
    version: Option<&(Option<String>, Option<String>)>,
    account: &DescribedAccount,
    manners: &AwsManners,
) -> Option<(&'static str, String)> {
    let (image, profile) = version?;
    if let Some(arn) = profile
        && account.profiles.get(arn).is_none_or(|age| *age < manners.profile_delay)
    {
        let words = format!(
            "Value ({arn}) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN"
        );
        return Some(("InvalidParameterValue", words));
    }
    let of_image = image.as_ref().and_then(|image| account.images.get(image))?;
    let of_type = architecture(type_);
    let words = || {
        format!(
            "The architecture '{of_type}' of the specified instance type does not match the architecture '{of_image}' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again."
        )
    };
    (of_image != of_type).then(|| ("InvalidFleetConfiguration", words()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> DescribedAccount {
        DescribedAccount::read(
            r#"{"subnets": {"subnet-a": {"zone": "a", "default": true}, "subnet-a2": {"zone": "a", "default": false},
                "subnet-b": {"zone": "b", "default": true}},
                "images": {"ami-1": "x86_64"}, "profiles": {"old": 90.5, "young": 0.5},
                "versions": {"lt-1/1": {"image": "ami-1", "profile": "old"}, "lt-1/2": {"image": "ami-1", "profile": "young"},
                "lt-1/3": {"image": "ami-1", "profile": "missing"}}}"#,
        )
    }

    fn request(count: i32, version: u8, overrides: &[(&str, &str)]) -> LaunchRequest {
        let one = |(type_, subnet): &(&str, &str)| {
            ((*type_).to_owned(), (!subnet.is_empty()).then(|| (*subnet).to_owned()))
        };
        let overrides = overrides.iter().map(one).collect();
        LaunchRequest { count, version: format!("lt-1/{version}"), overrides }
    }

    type Outcome = (Vec<(usize, i32)>, Vec<(String, usize)>);

    /// How many come of each pool, and the codes of errors by pool.
    fn outcome(request: &LaunchRequest, out: &[(&str, &str, i32)]) -> Outcome {
        let capacity =
            out.iter().map(|(type_, zone, has)| (((*type_).to_owned(), (*zone).to_owned()), *has)).collect();
        match judge(request, &account(), &AwsManners { capacity, ..AwsManners::default() }) {
            LaunchVerdict::Refused(code, _) => (Vec::new(), vec![(code.to_owned(), 99)]),
            LaunchVerdict::Placed(placed, errors) => (
                placed.into_iter().collect(),
                errors.into_iter().map(|error| (error.code, error.pool)).collect(),
            ),
        }
    }

    fn code(code: &str, pool: usize) -> (String, usize) {
        (code.to_owned(), pool)
    }

    #[test]
    fn two_pools_of_one_type_and_zone_are_refused() {
        let refused = (Vec::new(), vec![code("InvalidFleetConfig", 99)]);
        for second in [("t3.small", "subnet-a2"), ("t3.small", "subnet-a"), ("t3.small", "")] {
            assert_eq!(
                outcome(&request(1, 1, &[("t3.small", "subnet-a"), second]), &[]),
                refused,
                "{second:?}"
            );
        }
        let fine =
            request(3, 1, &[("t3.small", "subnet-a"), ("t3.small", "subnet-b"), ("t3a.small", "subnet-a")]);
        assert_eq!(outcome(&fine, &[]), (vec![(0, 3)], vec![]), "and one zone takes all");
    }

    #[test]
    fn a_pool_without_capacity_is_an_error_whether_or_not_another_has_enough() {
        let both = [("t3.small", "subnet-a"), ("t3a.small", "subnet-a")];
        let out = code("InsufficientInstanceCapacity", 0);
        assert_eq!(
            outcome(&request(2, 1, &both), &[("t3.small", "a", 0)]),
            (vec![(1, 2)], vec![out.clone()])
        );
        assert_eq!(
            outcome(&request(2, 1, &both), &[("t3.small", "a", 1)]),
            (vec![(0, 1), (1, 1)], vec![out.clone()])
        );
        let none = [("t3.small", "a", 0), ("t3a.small", "a", 0)];
        let more = code("InsufficientInstanceCapacity", 1);
        assert_eq!(outcome(&request(2, 1, &both), &none), (vec![], vec![out, more]));
    }

    #[test]
    fn architectures_profiles_and_subnets_are_looked_at() {
        let arm = [("t4g.small", "subnet-a"), ("t3.small", "subnet-a")];
        assert_eq!(
            outcome(&request(1, 1, &arm), &[]),
            (vec![(1, 1)], vec![code("InvalidFleetConfiguration", 0)])
        );
        for version in [2, 3] {
            let expected = (vec![], vec![code("InvalidParameterValue", 0)]);
            assert_eq!(outcome(&request(1, version, &[("t3.small", "subnet-b")]), &[]), expected);
        }
        let nowhere = (vec![], vec![code("InvalidSubnetID.NotFound", 0)]);
        assert_eq!(outcome(&request(1, 1, &[("t3.small", "subnet-x")]), &[]), nowhere);
    }
}
