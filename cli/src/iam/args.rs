//! The flags of `fleetmesh iam`, some of which the operator has too, and their meaning.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use fleetmesh_aws::permissions::{Boundary, PolicyLimits, Scope};
use fleetmesh_core::iam::{Account, Rules, document};
use fleetmesh_crds::iam::DEFAULT_PATH;

/// What IAM identities may be. The operator acts by it, and `fleetmesh iam policy` makes its rights end there: give both the
/// same.
#[derive(Args, Clone, Debug)]
pub struct IamArgs {
    /// The managed policy that bounds every IAM role that is made for a node, by ARN (`fleetmesh iam boundary` prints one);
    /// without it nodes with `iam` wait, and nothing is written to IAM
    #[arg(
        long,
        env = "FLEETMESH_IAM_PERMISSIONS_BOUNDARY",
        value_name = "ARN",
        value_parser = account_policy
    )]
    pub iam_permissions_boundary: Option<String>,

    /// The IAM path of roles, policies and instance profiles, with a slash at both ends. Clusters that share an account are
    /// kept apart by one path each. What exists stays at its path
    #[arg(
        long,
        env = "FLEETMESH_IAM_PATH",
        value_name = "PATH",
        default_value = DEFAULT_PATH,
        value_parser = path
    )]
    pub iam_path: String,

    /// What the names of roles must match; * stands for any characters, ? for one
    #[arg(
        long,
        env = "FLEETMESH_IAM_ROLE_NAMES",
        value_name = "PATTERN",
        default_value = "*",
        value_parser = names
    )]
    pub iam_role_names: String,

    /// A managed policy that nodes may name, by ARN, beside those below --iam-path; may be repeated. AWS's
    /// AmazonEC2ContainerRegistryReadOnly alone when absent
    #[arg(
        long,
        env = "FLEETMESH_IAM_MANAGED_POLICIES",
        value_name = "ARN",
        value_delimiter = ',',
        value_parser = policy
    )]
    pub iam_managed_policy: Vec<String>,

    /// Let `adoptionPolicy: Adopt` take over what is in IAM and belongs to no cluster, and let tags that somebody took be
    /// given back
    #[arg(long, env = "FLEETMESH_IAM_ADOPT")]
    pub iam_adopt: bool,
}

impl IamArgs {
    /// The rules that decisions depend on.
    pub fn rules(&self) -> Rules {
        let listed: BTreeSet<String> = self.iam_managed_policy.iter().cloned().collect();
        Rules {
            permissions_boundary: self.iam_permissions_boundary.clone(),
            path: self.iam_path.clone(),
            role_names: self.iam_role_names.clone(),
            managed_policies: (!listed.is_empty()).then_some(listed),
            adopt: self.iam_adopt,
            ..Rules::default()
        }
    }
}

/// The values that narrow the operator's policy.
#[derive(Args, Clone, Debug)]
pub struct PolicyArgs {
    /// The region of the fleets; every one when absent
    #[arg(long, env = "FLEETMESH_REGION", value_name = "REGION", default_value = "*")]
    pub region: String,

    /// The account; that of --iam-permissions-boundary when absent, or every one
    #[arg(long, env = "FLEETMESH_ACCOUNT_ID", value_name = "ID")]
    pub account_id: Option<String>,

    /// The operator's --cluster-name, or the uid of the namespace kube-system: what carries another cluster's name is out of
    /// reach
    #[arg(long, env = "FLEETMESH_CLUSTER_NAME", value_name = "NAME", value_parser = cluster)]
    pub cluster_name: String,

    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it as help")]
    pub identities: IamArgs,

    /// A VPC that instances may be launched into, by id; may be repeated. Any when absent
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = id)]
    pub vpc: Vec<String>,

    /// An owner of AMIs that instances may be launched from: an account, amazon or aws-marketplace; may be repeated. Anybody
    /// when absent
    #[arg(long, value_name = "OWNER", value_delimiter = ',', value_parser = id)]
    pub ami_owner: Vec<String>,

    /// An instance type that may be launched, as t3.small or t3.*; may be repeated. Any when absent
    #[arg(long, value_name = "TYPE", value_delimiter = ',', value_parser = pattern)]
    pub instance_type: Vec<String>,

    /// What names of SSM parameters that hold AMI ids may begin with, as /images/; may be repeated. /aws/service/ always may,
    /// and nothing else when absent
    #[arg(long, value_name = "PREFIX", value_delimiter = ',', value_parser = prefix)]
    pub ssm_parameter_prefix: Vec<String>,

    /// A service of AWS Cloud Map that instances may be registered in, by id, as srv-…, or * for any; may be repeated. None
    /// when absent
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = pattern)]
    pub cloud_map_service: Vec<String>,

    /// A KMS key that the volumes of instances may be encrypted with, by the ARN of the key and not of an alias; may be repeated.
    /// The account's default key for EBS alone when absent
    #[arg(long, value_name = "ARN", value_delimiter = ',', value_parser = key)]
    pub kms_key: Vec<String>,

    /// The key of a tag that resources may set on what is in EC2, as team or cost-*; may be repeated. Any when absent
    #[arg(long, value_name = "KEY", value_delimiter = ',', value_parser = pattern)]
    pub tag_key: Vec<String>,

    /// Print this document alone: mesh, iam, ec2, launch, kms or cloudmap
    #[arg(long, value_name = "NAME", value_parser = ["mesh", "iam", "ec2", "launch", "kms", "cloudmap"])]
    pub document: Option<String>,

    /// Write each document into a file of this folder, NAME.json, in place of printing them all as one object
    #[arg(long, value_name = "DIR", conflicts_with = "document")]
    pub out_dir: Option<PathBuf>,
}

impl PolicyArgs {
    /// The values that resources and conditions are made of.
    pub fn scope(&self) -> Scope {
        let partition = partition(&self.region).to_owned();
        let IamArgs { iam_permissions_boundary, iam_path, iam_role_names, iam_managed_policy, iam_adopt } =
            &self.identities;
        let of_boundary = iam_permissions_boundary.as_deref().and_then(Account::of);
        let account = self.account_id.clone().or_else(|| Some(of_boundary?.id().to_owned()));
        let managed = if iam_managed_policy.is_empty() {
            vec![document::image_pull_policy(&partition)]
        } else {
            iam_managed_policy.clone()
        };
        Scope {
            partition,
            region: self.region.clone(),
            account: account.unwrap_or_else(|| "*".to_owned()),
            cluster: self.cluster_name.clone(),
            path: iam_path.clone(),
            role_names: iam_role_names.clone(),
            permissions_boundary: iam_permissions_boundary.clone(),
            managed_policies: managed,
            adopt: *iam_adopt,
            limits: PolicyLimits {
                vpcs: self.vpc.clone(),
                ami_owners: self.ami_owner.clone(),
                instance_types: self.instance_type.clone(),
                ssm_prefixes: self.ssm_parameter_prefix.clone(),
                cloud_map_services: self.cloud_map_service.clone(),
                kms_keys: self.kms_key.clone(),
                tag_keys: self.tag_key.clone(),
            },
        }
    }
}

/// The values that narrow the boundary.
#[derive(Args, Clone, Debug)]
pub struct BoundaryArgs {
    /// The region of the fleets; every one when absent
    #[arg(long, env = "FLEETMESH_REGION", value_name = "REGION", default_value = "*")]
    pub region: String,

    /// The account; every one when absent
    #[arg(long, env = "FLEETMESH_ACCOUNT_ID", value_name = "ID", default_value = "*")]
    pub account_id: String,

    /// A repository that instances may pull images from, by ARN; may be repeated. Every one of the account in the region when
    /// absent; App Mesh's own always
    #[arg(long, value_name = "ARN", value_delimiter = ',', value_parser = repository)]
    pub ecr_repository: Vec<String>,

    /// Let people open sessions on instances by Systems Manager, which takes a managed policy for it, too
    /// (AmazonSSMManagedInstanceCore, to be allowed by --iam-managed-policy)
    #[arg(long)]
    pub session_manager: bool,
}

impl BoundaryArgs {
    /// What the boundary is made of.
    pub fn boundary(&self) -> Boundary {
        Boundary {
            partition: partition(&self.region).to_owned(),
            region: self.region.clone(),
            account: self.account_id.clone(),
            repositories: self.ecr_repository.clone(),
            session_manager: self.session_manager,
        }
    }
}

/// The partition that a region is in.
fn partition(region: &str) -> &'static str {
    match region {
        "*" => "*",
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

fn path(text: &str) -> Result<String, String> {
    // `/` alone would be every role and policy of the account.
    let slashes = text.starts_with('/') && text.ends_with('/') && !text.contains("//") && text != "/";
    if slashes && text.len() <= 512 && text.chars().all(|letter| letter == '/' || is_name(letter)) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text} is no IAM path: it begins and ends with a slash, with letters, digits and _+=,.@- between, as /fleetmesh/ has"
    ))
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter)
}

fn names(text: &str) -> Result<String, String> {
    if (1..=64).contains(&text.len()) && text.chars().all(|letter| is_name(letter) || "*?".contains(letter)) {
        return Ok(text.to_owned());
    }
    Err(format!("{text} is no pattern of names: 1 to 64 letters, digits, _+=,.@-, and the wildcards * and ?"))
}

/// The ARN of a managed policy, AWS's or an account's.
fn policy(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let is_policy = match parts.as_slice() {
        ["arn", partition, "iam", "", account, name] => {
            partition.starts_with("aws")
                && (*account == "aws" || is_account(account))
                && name.strip_prefix("policy/").is_some_and(is_policy_name)
        }
        _ => false,
    };
    if is_policy {
        return Ok(text.to_owned());
    }
    Err(format!("{text} is no ARN of a managed policy, as arn:aws:iam::111122223333:policy/NAME"))
}

fn is_policy_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter == '/' || is_name(letter))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The ARN of a managed policy of an account: AWS's own policies are nobody's boundary, they change without notice.
fn account_policy(text: &str) -> Result<String, String> {
    let arn = policy(text)?;
    if arn.contains(":iam::aws:") {
        return Err(format!("{text} is AWS's own: the boundary has to be a policy of your account"));
    }
    Ok(arn)
}

fn cluster(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 256 || text.contains(['*', '?']) {
        return Err(format!(
            "{text:?} is no cluster's name: 1 to 256 characters, and no pattern, because it distinguishes what is this cluster's from what is another's"
        ));
    }
    Ok(text.to_owned())
}

fn id(text: &str) -> Result<String, String> {
    checked(text, text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-'))
}

fn pattern(text: &str) -> Result<String, String> {
    checked(text, text.chars().all(|letter| letter.is_ascii_graphic() && letter != '"'))
}

fn prefix(text: &str) -> Result<String, String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "/_.-".contains(letter);
    checked(text, text.starts_with('/') && text.len() > 1 && text.chars().all(allowed))
}

fn key(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let is_key = match parts.as_slice() {
        ["arn", partition, "kms", region, account, name] => {
            let id = name.strip_prefix("key/").unwrap_or_default();
            let plain =
                |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
            partition.starts_with("aws")
                && is_account(account)
                && !id.is_empty()
                && plain(region)
                && plain(id)
        }
        _ => false,
    };
    if is_key {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no ARN of a KMS key, as arn:aws:kms:us-west-2:111122223333:key/ID"))
}

fn repository(text: &str) -> Result<String, String> {
    checked(text, text.starts_with("arn:") && text.contains(":ecr:") && text.contains(":repository/"))
}

fn checked(text: &str, right: bool) -> Result<String, String> {
    if right && !text.is_empty() {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is not of this form"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clusters_name_is_no_pattern() {
        assert!(cluster("apps").is_ok());
        for name in ["", "*", "app*", "a?ps"] {
            assert!(cluster(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_widens_in_silence_is_refused() {
        assert!(account_policy("arn:aws:iam::111122223333:policy/fleetmesh-boundary").is_ok());
        for arn in ["arn:aws:iam::aws:policy/AdministratorAccess", "boundary", "arn:aws:iam::1:policy/x"] {
            assert!(account_policy(arn).is_err(), "{arn}");
        }
        for arn in ["arn:aws:iam::aws:policy/*", "arn:aws:iam::*:policy/x", "arn:aws:iam::aws:role/x"] {
            assert!(policy(arn).is_err(), "{arn}");
        }
        for text in ["/", "fleetmesh", "/a b/", "/*/", "//", "/fleetmesh"] {
            assert!(path(text).is_err(), "{text}");
        }
        assert!(path("/fleetmesh/apps/").is_ok());
        assert!(prefix("/").is_err() && prefix("/*").is_err() && prefix("/images/").is_ok());
    }
}
