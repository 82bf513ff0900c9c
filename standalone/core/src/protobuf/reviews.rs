//! The reviews that a user asks of itself: JSON of their messages.

use k8s_pb::api::authentication::v1::{SelfSubjectReview, SelfSubjectReviewStatus, UserInfo};
use k8s_pb::api::authorization::v1::{
    FieldSelectorAttributes, LabelSelectorAttributes, NonResourceAttributes, NonResourceRule,
    ResourceAttributes, ResourceRule, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    SelfSubjectRulesReview, SelfSubjectRulesReviewSpec, SubjectAccessReviewStatus, SubjectRulesReviewStatus,
};
use serde_json::{Map, Value};

use super::Cause;
use super::members::{Members, ToJson};

impl ToJson for SelfSubjectAccessReview {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .object("metadata", self.metadata)
            .object("spec", self.spec)
            .object("status", self.status)
            .finish()
    }
}

impl ToJson for SelfSubjectAccessReviewSpec {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .message("resourceAttributes", self.resource_attributes)
            .message("nonResourceAttributes", self.non_resource_attributes)
            .finish()
    }
}

impl ToJson for ResourceAttributes {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .text("namespace", self.namespace)
            .text("verb", self.verb)
            .text("group", self.group)
            .text("version", self.version)
            .text("resource", self.resource)
            .text("subresource", self.subresource)
            .text("name", self.name)
            .message("fieldSelector", self.field_selector)
            .message("labelSelector", self.label_selector)
            .finish()
    }
}

impl ToJson for FieldSelectorAttributes {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .text("rawSelector", self.raw_selector)
            .list("requirements", self.requirements)
            .finish()
    }
}

impl ToJson for LabelSelectorAttributes {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .text("rawSelector", self.raw_selector)
            .list("requirements", self.requirements)
            .finish()
    }
}

impl ToJson for NonResourceAttributes {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default().text("path", self.path).text("verb", self.verb).finish()
    }
}

impl ToJson for SubjectAccessReviewStatus {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .pointer("allowed", Some(self.allowed.unwrap_or_default()))
            .flag("denied", self.denied)
            .text("reason", self.reason)
            .text("evaluationError", self.evaluation_error)
            .finish()
    }
}

impl ToJson for SelfSubjectRulesReview {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .object("metadata", self.metadata)
            .object("spec", self.spec)
            .object("status", self.status)
            .finish()
    }
}

impl ToJson for SelfSubjectRulesReviewSpec {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default().text("namespace", self.namespace).finish()
    }
}

impl ToJson for SubjectRulesReviewStatus {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .required_list("resourceRules", self.resource_rules)
            .required_list("nonResourceRules", self.non_resource_rules)
            .pointer("incomplete", Some(self.incomplete.unwrap_or_default()))
            .text("evaluationError", self.evaluation_error)
            .finish()
    }
}

impl ToJson for ResourceRule {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .required_texts("verbs", self.verbs)
            .texts("apiGroups", self.api_groups)
            .texts("resources", self.resources)
            .texts("resourceNames", self.resource_names)
            .finish()
    }
}

impl ToJson for NonResourceRule {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .required_texts("verbs", self.verbs)
            .texts("nonResourceURLs", self.non_resource_ur_ls)
            .finish()
    }
}

impl ToJson for SelfSubjectReview {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default().object("metadata", self.metadata).object("status", self.status).finish()
    }
}

impl ToJson for SelfSubjectReviewStatus {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default().object("userInfo", self.user_info).finish()
    }
}

impl ToJson for UserInfo {
    fn to_json(self) -> Result<Value, Cause> {
        let extra = self.extra.into_iter().map(|(key, values)| (key, values.items.into()));
        let extra: Map<String, Value> = extra.collect();
        Members::default()
            .text("username", self.username)
            .text("uid", self.uid)
            .texts("groups", self.groups)
            .pointer("extra", (!extra.is_empty()).then_some(extra))
            .finish()
    }
}
