//! What there is in IAM, asked with the real AWS CLI.

use std::collections::BTreeMap;

use fleetmesh_testbed::moto::Moto;
use serde_json::{Value, json};

/// The ARN of what every role has by default.
pub const REGISTRY: &str = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly";
/// moto's account.
pub const ACCOUNT: &str = "123456789012";

pub struct MotoAccount<'a>(pub &'a Moto);

impl MotoAccount<'_> {
    /// `aws iam ARGUMENTS`.
    pub async fn iam(&self, arguments: &[&str]) -> Value {
        self.try_iam(arguments).await.unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// The same, or the service's refusal.
    pub async fn try_iam(&self, arguments: &[&str]) -> Result<Value, String> {
        self.0.aws(&[&["iam"], arguments].concat()).await.map_err(|error| format!("{error:#}"))
    }

    /// Everything in the account that is called `name`, each with its tags; null for what does not exist.
    pub async fn everything(&self, name: &str) -> Value {
        json!({
            "role": self.role(name).await,
            "policy": self.policy(name).await,
            "instanceProfile": self.instance_profile(name).await,
        })
    }

    /// The role with what is attached to it.
    pub async fn role(&self, name: &str) -> Value {
        let Some(role) = self.found(&["get-role", "--role-name", name], "Role").await else {
            return Value::Null;
        };
        let attached = self.iam(&["list-attached-role-policies", "--role-name", name]).await;
        let mut attached: Vec<String> = texts(&attached["AttachedPolicies"], "PolicyArn");
        attached.sort();
        let inline = self.iam(&["list-role-policies", "--role-name", name]).await;
        json!({
            "arn": role["Arn"], "id": role["RoleId"], "trust": role["AssumeRolePolicyDocument"], "tags": tags(&role),
            "boundary": role["PermissionsBoundary"]["PermissionsBoundaryArn"],
            "attached": attached, "inline": inline["PolicyNames"],
        })
    }

    /// The policy with its default document.
    pub async fn policy(&self, name: &str) -> Value {
        let arn = policy_arn(name);
        let Some(policy) = self.found(&["get-policy", "--policy-arn", &arn], "Policy").await else {
            return Value::Null;
        };
        let version = policy["DefaultVersionId"].as_str().unwrap();
        let arguments = ["get-policy-version", "--policy-arn", &arn, "--version-id", version];
        let document = self.iam(&arguments).await["PolicyVersion"]["Document"].clone();
        let versions = self.iam(&["list-policy-versions", "--policy-arn", &arn]).await;
        json!({
            "arn": policy["Arn"], "document": document, "tags": tags(&policy),
            "versions": texts(&versions["Versions"], "VersionId").len(),
        })
    }

    /// The instance profile with the names of its roles.
    pub async fn instance_profile(&self, name: &str) -> Value {
        let arguments = ["get-instance-profile", "--instance-profile-name", name];
        let Some(profile) = self.found(&arguments, "InstanceProfile").await else { return Value::Null };
        json!({ "arn": profile["Arn"], "roles": texts(&profile["Roles"], "RoleName"), "tags": tags(&profile) })
    }

    /// `None` for NoSuchEntity; every other refusal ends the test.
    async fn found(&self, arguments: &[&str], member: &str) -> Option<Value> {
        match self.try_iam(arguments).await {
            Ok(mut answer) => Some(answer[member].take()),
            Err(refusal) => {
                assert!(refusal.contains("NoSuchEntity"), "{refusal}");
                None
            }
        }
    }

    /// The names of all roles.
    pub async fn roles(&self) -> Vec<String> {
        texts(&self.iam(&["list-roles"]).await["Roles"], "RoleName")
    }
}

/// The ARN of the policy `name` on the default path.
pub fn policy_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:policy/fleetmesh/{name}")
}

fn texts(list: &Value, member: &str) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.map(|one| one[member].as_str().unwrap().to_owned()).collect()
}

fn tags(thing: &Value) -> BTreeMap<String, String> {
    let tags = thing["Tags"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    tags.map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect()
}
