//! The reviews that ask what the caller may do, and who it is. There is one user here, who may do everything.

use axum::body::Body;
use axum::response::Response;
use fleetmesh_standalone_core::review;
use fleetmesh_standalone_core::schema::Decoded;
use fleetmesh_standalone_core::status::Status;
use fleetmesh_standalone_core::store::create;
use serde_json::json;

use super::{Api, ApiRequest, answer};

impl ApiRequest<'_> {
    pub(super) async fn review(&self, body: Body) -> Result<Response, Status> {
        let (view, validation) = (self.view()?, self.validation("CreateOptions")?);
        let Decoded { value: mut asked, duplicates } = self.object(body).await?;
        let resource = self.resource();
        create::place(resource, "", None, &mut asked)?;
        let warnings = self.schema().decoded(resource, &mut asked, &duplicates, validation)?;
        if resource.kind == "SelfSubjectAccessReview" {
            let errors = review::errors(&asked);
            if !errors.is_empty() {
                return Err(Status::invalid(&resource.group, "", "", &errors));
            }
        }
        // Of a review of rules only the answer is sent back.
        if resource.kind == "SelfSubjectRulesReview" {
            asked["metadata"] = json!({});
            asked["spec"] = json!({});
        } else {
            asked = self.schema().managed(resource, None, asked, &self.writer());
        }
        asked["status"] = match resource.kind.as_str() {
            "SelfSubjectReview" => {
                asked["metadata"]["creationTimestamp"] = Api::fresh().time().into();
                json!({ "userInfo": { "username": self.caller.name, "groups": self.caller.groups } })
            }
            "SelfSubjectAccessReview" => json!({ "allowed": true }),
            _ => json!({
                "resourceRules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }],
                "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }],
                "incomplete": false,
            }),
        };
        Ok(answer::warned(view.object(201, asked)?, &warnings))
    }
}
