//! Names of KMS keys. Pure.

use std::fmt;
use std::str::FromStr;

use fleetmesh_model::AccountId;

/// The longest id of a key; those of KMS have 36 characters, or 36 with `mrk-`.
const LONGEST_ID: usize = 64;

/// The ARN of a key of KMS: `arn:aws:kms:REGION:ACCOUNT:key/ID`. An alias is none: it can be pointed at another key by whoever
/// may do that, and no policy can name it as a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyArn {
    text: String,
    region: String,
}

impl KeyArn {
    /// The region that the key is in, where KMS is asked.
    pub fn region(&self) -> &str {
        &self.region
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for KeyArn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected the ARN of a KMS key, for example \
             arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "kms", region, account, resource] = parts[..] else {
            return Err(EXPECTED.into());
        };
        if resource.starts_with("alias/") {
            return Err(format!(
                "it is an alias, which can be pointed at another key: give the key's own ARN, as \
                 `aws kms describe-key --key-id {resource} --query KeyMetadata.Arn` prints it"
            ));
        }
        let word = |text: &str| {
            let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !text.is_empty() && text.bytes().all(legal)
        };
        let is_account = account.parse::<AccountId>().is_ok();
        let id = resource.strip_prefix("key/").filter(|id| word(id) && id.len() <= LONGEST_ID);
        if word(partition) && word(region) && is_account && id.is_some() {
            return Ok(Self { text: text.into(), region: region.into() });
        }
        Err(EXPECTED.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_arn_and_by_nothing_else() {
        for id in ["1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab"] {
            let text = format!("arn:aws-cn:kms:cn-north-1:111122223333:key/{id}");
            let arn: KeyArn = text.parse().expect("an ARN");
            assert_eq!((arn.to_string(), arn.region()), (text, "cn-north-1"));
        }
        for text in [
            "",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:us-west-2:111122223333:key/",
            "arn:aws:kms:us-west-2:111122223333:key/a:b",
            "arn:aws:kms:us-west-2:111122223333:key/a/b",
            "arn:aws:kms::111122223333:key/a",
            "arn:aws:kms:us-west-2:1111:key/a",
            "arn:aws:s3:us-west-2:111122223333:key/a",
            "arn:aws:kms:us-west-2.evil.example/:111122223333:key/a",
        ] {
            let error = text.parse::<KeyArn>().expect_err(text);
            assert!(error.starts_with("expected the ARN of a KMS key"), "{text}: {error}");
        }
        let alias = "arn:aws:kms:us-west-2:111122223333:alias/mesh".parse::<KeyArn>().expect_err("an alias");
        assert!(alias.contains("give the key's own ARN"), "{alias}");
    }
}
