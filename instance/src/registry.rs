//! The registries of images: the ECR registries that hold AWS's proxy image, region by region, and the partitions of regions. Pure.
//!
//! Source of the accounts: AWS's list of the proxy image's registries, in App Mesh's user guide. Whether AWS keeps the images there is
//! not known, which is why a mirror can be named instead.

use std::fmt;

use fleetmesh_model::AccountId;

/// Repository and tag of AWS's proxy image.
pub const APP_MESH_IMAGE: &str = "aws-appmesh-envoy:v1.29.6.1-prod";
/// Stock Envoy, at the version that Fleetmesh's tests run.
pub const ENVOY_IMAGE: &str = "docker.io/envoyproxy/envoy:v1.40.0";

/// The account that holds AWS's proxy image for every region without one of its own.
const DEFAULT_ACCOUNT: &str = "840364872350";
/// The regions that were opened, or are run, apart from the others.
const ACCOUNTS: [(&str, &str); 10] = [
    ("af-south-1", "924023996002"),
    ("ap-east-1", "856666278305"),
    ("ap-southeast-3", "909464085924"),
    ("cn-north-1", "919366029133"),
    ("cn-northwest-1", "919830735681"),
    ("eu-central-2", "704106688930"),
    ("eu-south-1", "422531588944"),
    ("eu-south-2", "992897592190"),
    ("il-central-1", "564877687649"),
    ("me-south-1", "772975370895"),
];

/// A part of AWS with accounts, names and domains of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// `aws`: all regions but those below.
    Aws,
    /// `aws-cn`: the regions in China.
    China,
    /// `aws-us-gov`: the regions of the government of the USA.
    GovCloud,
}

impl Partition {
    /// The partition of `region`.
    pub fn of(region: &str) -> Self {
        match region.split('-').collect::<Vec<_>>().as_slice() {
            ["cn", ..] => Self::China,
            ["us", "gov", ..] => Self::GovCloud,
            _ => Self::Aws,
        }
    }

    /// The name, as in ARNs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
        }
    }

    /// The domain of the partition's services.
    pub fn domain(self) -> &'static str {
        match self {
            Self::China => "amazonaws.com.cn",
            Self::Aws | Self::GovCloud => "amazonaws.com",
        }
    }
}

/// A private ECR registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Registry {
    /// The account's 12 digits.
    pub account: String,
    /// The region.
    pub region: String,
    /// The domain, for example `amazonaws.com`.
    pub domain: String,
}

impl Registry {
    /// The registry that holds AWS's proxy image for instances in `region`.
    ///
    /// App Mesh never came to GovCloud; its regions get the default account, and need a mirror if that has no image.
    pub fn of_app_mesh(region: &str) -> Self {
        let own = ACCOUNTS.iter().find(|(name, _)| *name == region);
        Self {
            account: own.map_or(DEFAULT_ACCOUNT, |(_, account)| account).to_owned(),
            region: region.to_owned(),
            domain: Partition::of(region).domain().to_owned(),
        }
    }

    /// The registry of `image` when it is a private one of ECR, which pulls need a login for.
    pub fn of_image(image: &str) -> Option<Self> {
        let (host, _) = image.split_once('/')?;
        let (account, rest) = host.split_once(".dkr.ecr.")?;
        let (region, domain) = rest.split_once('.')?;
        let is_account = account.parse::<AccountId>().is_ok();
        let is_aws = [Partition::Aws, Partition::China].iter().any(|partition| partition.domain() == domain);
        (is_account && is_aws).then(|| Self {
            account: account.to_owned(),
            region: region.to_owned(),
            domain: domain.to_owned(),
        })
    }
}

/// The registry's host name.
impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, region, domain } = self;
        write!(f, "{account}.dkr.ecr.{region}.{domain}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_region_has_its_registry() {
        let cases = [
            ("us-west-2", "840364872350.dkr.ecr.us-west-2.amazonaws.com"),
            ("us-gov-west-1", "840364872350.dkr.ecr.us-gov-west-1.amazonaws.com"),
            ("me-south-1", "772975370895.dkr.ecr.me-south-1.amazonaws.com"),
            ("ap-east-1", "856666278305.dkr.ecr.ap-east-1.amazonaws.com"),
            ("ap-southeast-3", "909464085924.dkr.ecr.ap-southeast-3.amazonaws.com"),
            ("eu-south-1", "422531588944.dkr.ecr.eu-south-1.amazonaws.com"),
            ("af-south-1", "924023996002.dkr.ecr.af-south-1.amazonaws.com"),
            ("il-central-1", "564877687649.dkr.ecr.il-central-1.amazonaws.com"),
            ("eu-south-2", "992897592190.dkr.ecr.eu-south-2.amazonaws.com"),
            ("eu-central-2", "704106688930.dkr.ecr.eu-central-2.amazonaws.com"),
            ("cn-north-1", "919366029133.dkr.ecr.cn-north-1.amazonaws.com.cn"),
            ("cn-northwest-1", "919830735681.dkr.ecr.cn-northwest-1.amazonaws.com.cn"),
        ];
        for (region, host) in cases {
            let registry = Registry::of_app_mesh(region);
            assert_eq!(registry.to_string(), host);
            assert_eq!(Registry::of_image(&format!("{host}/{APP_MESH_IMAGE}")), Some(registry));
        }
    }

    #[test]
    fn other_registries_need_no_login() {
        for image in [
            ENVOY_IMAGE,
            "app:v1",
            "public.ecr.aws/appmesh/aws-appmesh-envoy:v1.29.6.1-prod",
            "1.dkr.ecr.us-west-2.amazonaws.com/app",
            "111122223333.dkr.ecr.us-west-2.example.com/app",
        ] {
            assert_eq!(Registry::of_image(image), None, "{image}");
        }
    }

    #[test]
    fn partitions_follow_the_region() {
        for (region, name) in
            [("us-west-2", "aws"), ("cn-northwest-1", "aws-cn"), ("us-gov-east-1", "aws-us-gov")]
        {
            assert_eq!(Partition::of(region).name(), name);
        }
    }
}
