//! Policy documents: the two that Fleetmesh makes, and the comparison of two by meaning. Pure.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The version of the policy language that knows variables, which [`literal`] needs.
const VERSION: &str = "2012-10-17";
/// The action that reads a proxy's configuration.
pub const STREAM: &str = "appmesh:StreamAggregatedResources";

/// The partition of an ARN, `aws` when the text is none.
pub fn partition(arn: &str) -> &str {
    arn.split(':').nth(1).filter(|partition| !partition.is_empty()).unwrap_or("aws")
}

/// The trust document of a role for EC2's instances in `partition`. In China EC2 has a principal of its own
/// (`ec2.amazonaws.com.cn`): IAM there refused the other one as invalid, and the AWS CDK uses this one to this day.
pub fn trust(partition: &str) -> Value {
    let principal = if partition == "aws-cn" { "ec2.amazonaws.com.cn" } else { "ec2.amazonaws.com" };
    json!({
        "Version": VERSION,
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": principal },
            "Action": "sts:AssumeRole",
        }],
    })
}

/// The policy document that allows reading the configuration of the virtual node `arn`, and nothing else.
pub fn policy(arn: &str) -> Value {
    json!({
        "Version": VERSION,
        "Statement": [{ "Effect": "Allow", "Action": STREAM, "Resource": literal(arn) }],
    })
}

/// `text` as a resource that means exactly itself: `*` and `?` would match more, and `${` begins a variable.
fn literal(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '*' | '?' | '$' => format!("${{{letter}}}"),
            letter => letter.to_string(),
        })
        .collect()
}

/// The ARN of the managed policy that lets an instance pull the proxy's image, in `partition`.
pub fn image_pull_policy(partition: &str) -> String {
    format!("arn:{partition}:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly")
}

/// SHA-256 of a document in one form, in hexadecimal.
pub fn hash(document: &Value) -> String {
    hex::encode(Sha256::digest(meaning(document).to_string()))
}

/// Whether the text of a document means `wanted`: the order of members and of lists, one text or a list of one, and a
/// statement's Sid are not meaning. A text that is no JSON means nothing.
pub fn means(text: &str, wanted: &Value) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|found| meaning(&found) == meaning(wanted))
}

fn meaning(document: &Value) -> Value {
    let Value::Object(members) = document else { return document.clone() };
    let members = members.iter().filter(|(key, _)| *key != "Id").map(|(key, value)| {
        let value = if key == "Statement" { list(value, statement) } else { value.clone() };
        (key.clone(), value)
    });
    Value::Object(members.collect())
}

fn statement(statement: &Value) -> Value {
    let Value::Object(members) = statement else { return statement.clone() };
    let members = members.iter().filter(|(key, _)| *key != "Sid");
    Value::Object(members.map(|(key, value)| (key.clone(), member(key, value))).collect())
}

fn member(key: &str, value: &Value) -> Value {
    match (key, value) {
        ("Effect", value) => value.clone(),
        // Principals and conditions are maps whose leaves are texts or lists of texts.
        (_, Value::Object(members)) => {
            let members = members.iter().map(|(key, value)| (key.clone(), member(key, value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        // The case of actions does not matter.
        ("Action" | "NotAction", value) => {
            list(value, |action| action.as_str().map_or(action.clone(), |text| json!(text.to_lowercase())))
        }
        (_, value) => list(value, Value::clone),
    }
}

/// The members of a list, or the one member that stands for one, sorted.
fn list(value: &Value, one: impl Fn(&Value) -> Value) -> Value {
    let mut members: Vec<Value> = match value {
        Value::Array(members) => members.iter().map(one).collect(),
        single => vec![one(single)],
    };
    members.sort_by_key(ToString::to_string);
    members.dedup();
    Value::Array(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_meaning_in_other_words_is_the_same() {
        let wanted = policy("arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB");
        let said = json!({
            "Id": "x", "Version": "2012-10-17",
            "Statement": { "Sid": "Stream", "Effect": "Allow", "Action": ["appmesh:streamAggregatedResources"],
                "Resource": ["arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB"] },
        });
        assert!(means(&said.to_string(), &wanted));
        assert_eq!(hash(&said), hash(&wanted));
        let mut wider = said.clone();
        wider["Statement"]["Resource"] = json!(["*"]);
        assert!(!means(&wider.to_string(), &wanted));
        let mut conditional = said;
        conditional["Statement"]["Condition"] = json!({ "Bool": { "aws:SecureTransport": "true" } });
        assert!(!means(&conditional.to_string(), &wanted));
        assert!(!means("{", &wanted));
    }

    #[test]
    fn each_partition_has_its_principal_and_its_managed_policy() {
        assert_eq!(trust("aws")["Statement"][0]["Principal"]["Service"], "ec2.amazonaws.com");
        assert_eq!(trust("aws-us-gov")["Statement"][0]["Principal"]["Service"], "ec2.amazonaws.com");
        assert_eq!(trust("aws-cn")["Statement"][0]["Principal"]["Service"], "ec2.amazonaws.com.cn");
        let arn = partition("arn:aws-us-gov:appmesh:us-gov-west-1:1:mesh/m");
        assert_eq!(
            image_pull_policy(arn),
            "arn:aws-us-gov:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"
        );
    }
}
