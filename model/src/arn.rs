//! ARNs of App Mesh resources: `arn:PARTITION:appmesh:REGION:ACCOUNT:RESOURCE`. Pure data.

use std::fmt;

use crate::resource::ResourceId;

/// The ARN of an App Mesh resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arn {
    /// The partition, for example `aws` or `aws-cn`.
    pub partition: String,
    /// The region, for example `us-west-2`.
    pub region: String,
    /// The 12 digits of the account, which is the mesh's owner.
    pub account: String,
    /// The resource. Who owns its mesh is said by `account` alone.
    pub resource: ResourceId,
}

impl Arn {
    /// Parses a full ARN; the error says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        match parts.as_slice() {
            ["arn", partition, "appmesh", region, account, resource] => Ok(Self {
                partition: (*partition).to_owned(),
                region: (*region).to_owned(),
                account: (*account).to_owned(),
                resource: ResourceId::parse(resource)?,
            }),
            _ => Err(format!(
                "{text:?} is not an App Mesh ARN: expected arn:PARTITION:appmesh:REGION:ACCOUNT:mesh/…"
            )),
        }
    }

    /// Parses a full ARN or its resource part alone, as `APPMESH_RESOURCE_ARN` and `node.id` allow.
    pub fn parse_resource(text: &str) -> Result<ResourceId, String> {
        if text.starts_with("arn:") {
            Self::parse(text).map(|arn| arn.resource)
        } else {
            ResourceId::parse(text)
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, region, account, resource } = self;
        write!(f, "arn:{partition}:appmesh:{region}:{account}:{}", resource.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_and_short_forms_name_the_same_resource() {
        let text = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB";
        let arn = Arn::parse(text).expect("an ARN");
        assert_eq!(arn.to_string(), text);
        assert_eq!(Arn::parse_resource("mesh/apps/virtualNode/serviceB"), Ok(arn.resource.clone()));
        assert_eq!(Arn::parse_resource(text), Ok(arn.resource));
        assert!(Arn::parse_resource("arn:aws:ec2:us-west-2:1:mesh/apps").is_err());
    }
}
