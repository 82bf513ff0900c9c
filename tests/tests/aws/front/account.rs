//! The AWS account as far as it decides on a launch, and what it is out of. Pure data.

use std::collections::BTreeMap;

use serde_json::Value;

/// What there is in EC2 and IAM.
#[derive(Clone, Debug, Default)]
pub struct DescribedAccount {
    /// The zone of each subnet, and whether it is the default one there.
    pub subnets: BTreeMap<String, (String, bool)>,
    /// The architecture of each AMI that has one.
    pub images: BTreeMap<String, String>,
    /// How many seconds ago each instance profile that has a role was made.
    pub profiles: BTreeMap<String, f64>,
    /// The AMI and the profile that each version of a launch template names, by `lt-…/1`.
    pub versions: BTreeMap<String, (Option<String>, Option<String>)>,
}

impl DescribedAccount {
    /// What `tests/testbed/moto/placed.py` says of moto's.
    pub fn read(text: &str) -> Self {
        let read: Value = serde_json::from_str(text).unwrap();
        let members = |name: &str| read[name].as_object().unwrap().clone().into_iter();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let default = |subnet: &Value| subnet["default"].as_bool().unwrap();
        Self {
            subnets: members("subnets")
                .map(|(id, one)| (id, (text(&one["zone"]).unwrap(), default(&one))))
                .collect(),
            images: members("images").filter_map(|(id, one)| Some((id, text(&one)?))).collect(),
            profiles: members("profiles").map(|(arn, age)| (arn, age.as_f64().unwrap())).collect(),
            versions: members("versions")
                .map(|(id, one)| (id, (text(&one["image"]), text(&one["profile"]))))
                .collect(),
        }
    }

    /// The zone of a subnet; of none, the first zone that has a default one.
    pub fn zone(&self, subnet: Option<&str>) -> Option<&str> {
        match subnet {
            Some(id) => self.subnets.get(id).map(|(zone, _)| zone.as_str()),
            None => {
                self.subnets.values().filter(|(_, default)| *default).map(|(zone, _)| zone.as_str()).min()
            }
        }
    }
}

/// What the account's region is out of, and how it takes what is new. Without an entry there is as much as anybody wants.
#[derive(Clone, Debug)]
pub struct AwsManners {
    /// How many instances of a type a zone still has.
    pub capacity: BTreeMap<(String, String), i32>,
    /// For how many seconds EC2 does not know a new instance profile.
    pub profile_delay: f64,
    /// The instances that are protected from termination.
    pub protected: Vec<String>,
}

impl Default for AwsManners {
    fn default() -> Self {
        Self { capacity: BTreeMap::new(), profile_delay: 1.0, protected: Vec::new() }
    }
}

/// The architecture of an instance type: those of Graviton have a `g` behind the generation, and `a1` is its first.
pub fn architecture(instance_type: &str) -> &'static str {
    let family = instance_type.split('.').next().unwrap_or_default();
    let options = family.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    let options = options.trim_start_matches(|letter: char| letter.is_ascii_digit());
    if family == "a1" || options.starts_with('g') { "arm64" } else { "x86_64" }
}

#[test]
fn types_have_the_architecture_that_their_name_says() {
    for one in ["t4g.small", "m7gd.large", "c6gn.xlarge", "a1.large", "r8g.medium"] {
        assert_eq!(architecture(one), "arm64", "{one}");
    }
    for one in ["t3.small", "t3a.small", "m7i.large", "g5.xlarge", "g4dn.xlarge", "c7a.large"] {
        assert_eq!(architecture(one), "x86_64", "{one}");
    }
}
