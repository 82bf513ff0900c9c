//! IAM: one method for each action, one request each (lists: one for each page).

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_iam::Client;
use aws_sdk_iam::types::Tag;
use fleetmesh_core::iam::observed::version_number;
use fleetmesh_core::iam::{InstanceProfile, Place, Policy, Role};
use fleetmesh_core::{Failure, FailureClass};
use fleetmesh_model::tag::Tags;
use percent_encoding::percent_decode_str;

use crate::connection::{AwsConnection, call};

/// IAM's API.
#[derive(Debug)]
pub struct IamClient {
    connection: Arc<AwsConnection>,
    client: Client,
}

impl IamClient {
    /// The client of `connection`, which is made now if it was not before.
    pub async fn new(connection: Arc<AwsConnection>) -> Self {
        let client = Client::new(&connection.shared().await.config);
        Self { connection, client }
    }

    /// The role without its policies; `None` when it does not exist.
    ///
    /// # Errors
    /// Every failure but `NotFound`.
    pub async fn get_role(&self, name: &str) -> Result<Option<Role>, Failure> {
        let result = call!(self.connection, read, "GetRole", self.client.get_role().role_name(name));
        let Some(answer) = found(result)? else { return Ok(None) };
        let Some(role) = answer.role() else { return Ok(None) };
        let boundary = role.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn());
        Ok(Some(Role {
            arn: role.arn().to_owned(),
            unique_id: role.role_id().to_owned(),
            trust: decoded(role.assume_role_policy_document()),
            tags: tags(role.tags()),
            permissions_boundary: boundary.map(ToOwned::to_owned),
            attached: BTreeSet::new(),
            inline: BTreeSet::new(),
        }))
    }

    /// The ARNs of the managed policies attached to a role; none when the role does not exist.
    ///
    /// # Errors
    /// Every failure but `NotFound`.
    pub async fn list_attached_role_policies(&self, name: &str) -> Result<BTreeSet<String>, Failure> {
        let (mut arns, mut page) = (BTreeSet::new(), None);
        loop {
            let request = self.client.list_attached_role_policies().role_name(name).set_marker(page);
            let result = call!(self.connection, read, "ListAttachedRolePolicies", request);
            let Some(answer) = found(result)? else { return Ok(arns) };
            let policies = answer.attached_policies().iter();
            arns.extend(policies.filter_map(|policy| policy.policy_arn()).map(ToOwned::to_owned));
            page = answer.marker().filter(|_| answer.is_truncated()).map(ToOwned::to_owned);
            if page.is_none() {
                return Ok(arns);
            }
        }
    }

    /// The names of a role's inline policies; none when the role does not exist.
    ///
    /// # Errors
    /// Every failure but `NotFound`.
    pub async fn list_role_policies(&self, name: &str) -> Result<BTreeSet<String>, Failure> {
        let (mut names, mut page) = (BTreeSet::new(), None);
        loop {
            let request = self.client.list_role_policies().role_name(name).set_marker(page);
            let result = call!(self.connection, read, "ListRolePolicies", request);
            let Some(answer) = found(result)? else { return Ok(names) };
            names.extend(answer.policy_names().iter().cloned());
            page = answer.marker().filter(|_| answer.is_truncated()).map(ToOwned::to_owned);
            if page.is_none() {
                return Ok(names);
            }
        }
    }

    /// The policy without its document and versions; `None` when it does not exist.
    ///
    /// # Errors
    /// Every failure but `NotFound`.
    pub async fn get_policy(&self, arn: &str) -> Result<Option<Policy>, Failure> {
        let result = call!(self.connection, read, "GetPolicy", self.client.get_policy().policy_arn(arn));
        let Some(answer) = found(result)? else { return Ok(None) };
        Ok(answer.policy().map(|policy| Policy {
            arn: arn.to_owned(),
            document: String::new(),
            default_version: policy.default_version_id().unwrap_or_default().to_owned(),
            versions: Vec::new(),
            tags: tags(policy.tags()),
        }))
    }

    /// The document of a policy's version, as JSON; `None` when it does not exist.
    ///
    /// # Errors
    /// Every failure but `NotFound`.
    pub async fn get_policy_version(&self, arn: &str, version: &str) -> Result<Option<String>, Failure> {
        let request = self.client.get_policy_version().policy_arn(arn).version_id(version);
        let result = call!(self.connection, read, "GetPolicyVersion", request);
        let answer = found(result)?;
        Ok(answer.and_then(|answer| answer.policy_version().map(|version| decoded(version.document()))))
    }

    /// The versions of a policy, the oldest first; none when the policy does not exist. IAM keeps five at the most.
    ///
    /// # Errors
    /// Every failure but `NotFound`.
    pub async fn list_policy_versions(&self, arn: &str) -> Result<Vec<String>, Failure> {
        let request = self.client.list_policy_versions().policy_arn(arn);
        let Some(answer) = found(call!(self.connection, read, "ListPolicyVersions", request))? else {
            return Ok(Vec::new());
        };
        let versions = answer.versions().iter().filter_map(|version| version.version_id());
        let mut versions: Vec<String> = versions.map(ToOwned::to_owned).collect();
        versions.sort_by_key(|version| version_number(version));
        Ok(versions)
    }

    /// The instance profile; `None` when it does not exist.
    ///
    /// # Errors
    /// Every failure but `NotFound`.
    pub async fn get_instance_profile(&self, name: &str) -> Result<Option<InstanceProfile>, Failure> {
        let request = self.client.get_instance_profile().instance_profile_name(name);
        let Some(answer) = found(call!(self.connection, read, "GetInstanceProfile", request))? else {
            return Ok(None);
        };
        Ok(answer.instance_profile().map(|profile| InstanceProfile {
            arn: profile.arn().to_owned(),
            roles: profile.roles().iter().map(|role| role.role_name().to_owned()).collect(),
            tags: tags(profile.tags()),
        }))
    }

    /// Creates a role, bounded from its first moment on, and gives its unique id.
    ///
    /// # Errors
    /// `Conflict` when one of that name exists, `NotFound` when the boundary does not.
    pub async fn create_role(
        &self,
        place: &Place,
        trust: &str,
        permissions_boundary: &str,
        tags: &Tags,
    ) -> Result<String, Failure> {
        let request = self.client.create_role().role_name(&place.name).path(&place.path);
        let request = request.assume_role_policy_document(trust).set_tags(Some(sdk_tags(tags)?));
        let request = request.permissions_boundary(permissions_boundary);
        let made = call!(self.connection, write, "CreateRole", request)?;
        Ok(made.role().map(|role| role.role_id().to_owned()).unwrap_or_default())
    }

    /// Sets tags of a role.
    ///
    /// # Errors
    /// `NotFound` when it does not exist.
    pub async fn tag_role(&self, name: &str, tags: &Tags) -> Result<(), Failure> {
        let request = self.client.tag_role().role_name(name).set_tags(Some(sdk_tags(tags)?));
        call!(self.connection, write, "TagRole", request).map(|_| ())
    }

    /// Changes who may assume a role.
    ///
    /// # Errors
    /// `NotFound` when it does not exist.
    pub async fn update_assume_role_policy(&self, name: &str, trust: &str) -> Result<(), Failure> {
        let request = self.client.update_assume_role_policy().role_name(name).policy_document(trust);
        call!(self.connection, write, "UpdateAssumeRolePolicy", request).map(|_| ())
    }

    /// Sets the permissions boundary of a role.
    ///
    /// # Errors
    /// `NotFound` when the role or the boundary does not exist.
    pub async fn put_role_permissions_boundary(&self, name: &str, arn: &str) -> Result<(), Failure> {
        let request = self.client.put_role_permissions_boundary().role_name(name).permissions_boundary(arn);
        call!(self.connection, write, "PutRolePermissionsBoundary", request).map(|_| ())
    }

    /// Attaches a managed policy to a role.
    ///
    /// # Errors
    /// `NotFound` when one of them does not exist; the message names it.
    pub async fn attach_role_policy(&self, name: &str, arn: &str) -> Result<(), Failure> {
        let request = self.client.attach_role_policy().role_name(name).policy_arn(arn);
        call!(self.connection, write, "AttachRolePolicy", request).map(|_| ())
    }

    /// Detaches a managed policy from a role.
    ///
    /// # Errors
    /// `NotFound` when it is not attached.
    pub async fn detach_role_policy(&self, name: &str, arn: &str) -> Result<(), Failure> {
        let request = self.client.detach_role_policy().role_name(name).policy_arn(arn);
        call!(self.connection, write, "DetachRolePolicy", request).map(|_| ())
    }

    /// Deletes a role.
    ///
    /// # Errors
    /// `InUse` while it has policies or is in an instance profile, `NotFound` when it does not exist.
    pub async fn delete_role(&self, name: &str) -> Result<(), Failure> {
        call!(self.connection, write, "DeleteRole", self.client.delete_role().role_name(name)).map(|_| ())
    }

    /// Creates a policy.
    ///
    /// # Errors
    /// `Conflict` when one of that name exists.
    pub async fn create_policy(&self, place: &Place, document: &str, tags: &Tags) -> Result<(), Failure> {
        let request = self.client.create_policy().policy_name(&place.name).path(&place.path);
        let request = request.policy_document(document).set_tags(Some(sdk_tags(tags)?));
        call!(self.connection, write, "CreatePolicy", request).map(|_| ())
    }

    /// Sets tags of a policy.
    ///
    /// # Errors
    /// `NotFound` when it does not exist.
    pub async fn tag_policy(&self, arn: &str, tags: &Tags) -> Result<(), Failure> {
        let request = self.client.tag_policy().policy_arn(arn).set_tags(Some(sdk_tags(tags)?));
        call!(self.connection, write, "TagPolicy", request).map(|_| ())
    }

    /// Gives a policy a new version, which is its default from then on.
    ///
    /// # Errors
    /// `Limit` when it has five, `NotFound` when it does not exist.
    pub async fn create_policy_version(&self, arn: &str, document: &str) -> Result<(), Failure> {
        let request = self.client.create_policy_version().policy_arn(arn).policy_document(document);
        let request = request.set_as_default(true);
        call!(self.connection, write, "CreatePolicyVersion", request).map(|_| ())
    }

    /// Deletes a version of a policy that is not its default.
    ///
    /// # Errors
    /// `NotFound` when it does not exist.
    pub async fn delete_policy_version(&self, arn: &str, version: &str) -> Result<(), Failure> {
        let request = self.client.delete_policy_version().policy_arn(arn).version_id(version);
        call!(self.connection, write, "DeletePolicyVersion", request).map(|_| ())
    }

    /// Deletes a policy.
    ///
    /// # Errors
    /// `InUse` while it is attached or has other versions, `NotFound` when it does not exist.
    pub async fn delete_policy(&self, arn: &str) -> Result<(), Failure> {
        call!(self.connection, write, "DeletePolicy", self.client.delete_policy().policy_arn(arn)).map(|_| ())
    }

    /// Creates an instance profile.
    ///
    /// # Errors
    /// `Conflict` when one of that name exists.
    pub async fn create_instance_profile(&self, place: &Place, tags: &Tags) -> Result<(), Failure> {
        let request = self.client.create_instance_profile().instance_profile_name(&place.name);
        let request = request.path(&place.path).set_tags(Some(sdk_tags(tags)?));
        call!(self.connection, write, "CreateInstanceProfile", request).map(|_| ())
    }

    /// Sets tags of an instance profile.
    ///
    /// # Errors
    /// `NotFound` when it does not exist.
    pub async fn tag_instance_profile(&self, name: &str, tags: &Tags) -> Result<(), Failure> {
        let request = self.client.tag_instance_profile().instance_profile_name(name);
        let request = request.set_tags(Some(sdk_tags(tags)?));
        call!(self.connection, write, "TagInstanceProfile", request).map(|_| ())
    }

    /// Puts a role into an instance profile.
    ///
    /// # Errors
    /// `Limit` when it has one, `NotFound` when one of them does not exist.
    pub async fn add_role_to_instance_profile(&self, name: &str, role: &str) -> Result<(), Failure> {
        let request = self.client.add_role_to_instance_profile();
        let request = request.instance_profile_name(name).role_name(role);
        call!(self.connection, write, "AddRoleToInstanceProfile", request).map(|_| ())
    }

    /// Takes a role out of an instance profile.
    ///
    /// # Errors
    /// `NotFound` when it is not in it.
    pub async fn remove_role_from_instance_profile(&self, name: &str, role: &str) -> Result<(), Failure> {
        let request = self.client.remove_role_from_instance_profile();
        let request = request.instance_profile_name(name).role_name(role);
        call!(self.connection, write, "RemoveRoleFromInstanceProfile", request).map(|_| ())
    }

    /// Deletes an instance profile.
    ///
    /// # Errors
    /// `InUse` while it has a role, `NotFound` when it does not exist.
    pub async fn delete_instance_profile(&self, name: &str) -> Result<(), Failure> {
        let request = self.client.delete_instance_profile().instance_profile_name(name);
        call!(self.connection, write, "DeleteInstanceProfile", request).map(|_| ())
    }
}

/// The answer, `None` when what was asked for does not exist.
fn found<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.class == FailureClass::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A policy document as JSON: IAM answers with one that is percent-encoded.
fn decoded(document: Option<&str>) -> String {
    percent_decode_str(document.unwrap_or_default()).decode_utf8_lossy().into_owned()
}

fn tags(tags: &[Tag]) -> Tags {
    tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}

fn sdk_tags(tags: &Tags) -> Result<Vec<Tag>, Failure> {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    tags.collect::<Result<_, _>>().map_err(|error| Failure {
        class: FailureClass::Malformed,
        operation: "Tag".to_owned(),
        message: error.to_string(),
    })
}
