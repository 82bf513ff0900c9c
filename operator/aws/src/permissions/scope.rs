//! The scope of the permissions: the values in resources and conditions. Pure data.

/// Whose permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The partition, for example `aws`.
    pub partition: String,
    /// The region of App Mesh, EC2, Systems Manager and Cloud Map; `*` for every one.
    pub region: String,
    /// The account; `*` for every one.
    pub account: String,
    /// The cluster's name in the tags of ownership; never a pattern.
    pub cluster: String,
    /// The path of everything that Fleetmesh makes in IAM; it begins and ends with a slash.
    pub path: String,
    /// What the names of roles match, with IAM's wildcards.
    pub role_names: String,
    /// The ARN of the managed policy that bounds every role.
    pub permissions_boundary: Option<String>,
    /// The ARNs of the managed policies that may be attached, beside those below the path.
    pub managed_policies: Vec<String>,
    /// Whether what carries no tag of any cluster may be taken over.
    pub adopt: bool,
    /// What instances may be launched from and into.
    pub limits: PolicyLimits,
}

/// What instances may be launched from and into, and where they may be registered. An empty list limits nothing, except where
/// a member says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyLimits {
    /// The ids of the VPCs.
    pub vpcs: Vec<String>,
    /// Who may own AMIs: accounts, `amazon`, `aws-marketplace`.
    pub ami_owners: Vec<String>,
    /// The instance types, with IAM's wildcards.
    pub instance_types: Vec<String>,
    /// What the names of parameters begin with, beside `/aws/service/`; with none, no others may be read.
    pub ssm_prefixes: Vec<String>,
    /// The ids of the services in Cloud Map, with IAM's wildcards; with none, none may be registered in.
    pub cloud_map_services: Vec<String>,
    /// The ARNs of the KMS keys that volumes may be encrypted with, beside the account's default key for EBS; with none, no
    /// others.
    pub kms_keys: Vec<String>,
    /// The keys of tags in EC2 beside those of Fleetmesh and `Name`, with IAM's wildcards.
    pub tag_keys: Vec<String>,
}

impl Scope {
    /// A resource with its words in braces filled in: one text, or one for each prefix of parameters.
    pub(super) fn filled(&self, resource: &str) -> Vec<String> {
        let Self { partition, region, account, path, role_names, .. } = self;
        let filled = resource.replace("{P}", partition).replace("{R}", region).replace("{A}", account);
        let filled = filled.replace("{PATH}", path).replace("{NAMES}", role_names);
        if filled.contains("{PREFIX}") {
            let prefixes = self.limits.ssm_prefixes.iter();
            return prefixes.map(|prefix| filled.replace("{PREFIX}", prefix)).collect();
        }
        vec![filled]
    }
}
