//! The KMS keys that volumes are encrypted with. The operator never calls KMS: EC2 does, with the permissions of the caller that
//! launches, and so these are granted for calls through EC2 only. Pure.

use serde_json::{Value, json};

use super::Scope;

/// What EC2 does with the key when it makes an encrypted volume and attaches it.
const USES: [&str; 5] = [
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
];

/// The statements that let EC2 use the keys in the operator's name; `None` when there are none. A grant, which outlives the
/// request, goes to a service of AWS alone.
pub(super) fn statements(scope: &Scope) -> Option<[Value; 2]> {
    let keys = &scope.limits.kms_keys;
    let domain = if scope.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    // A region that is every one is a pattern.
    let via = json!({ "kms:ViaService": format!("ec2.{}.{domain}", scope.region) });
    (!keys.is_empty()).then(|| {
        [
            json!({ "Effect": "Allow", "Action": ["kms:CreateGrant"], "Resource": keys,
                "Condition": { "Bool": { "kms:GrantIsForAWSResource": "true" }, "StringLike": via } }),
            json!({ "Effect": "Allow", "Action": USES, "Resource": keys, "Condition": { "StringLike": via } }),
        ]
    })
}
