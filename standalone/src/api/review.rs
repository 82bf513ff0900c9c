//! The reviews that ask what the caller may do, and who it is. There is one user here, who may do everything.

use axum::body::Body;
use axum::response::Response;
use fleetmesh_standalone_core::status::Status;
use fleetmesh_standalone_core::store::create;
use serde_json::json;

use super::{Api, ApiRequest};

impl ApiRequest<'_> {
    pub(super) async fn review(&self, body: Body) -> Result<Response, Status> {
        let view = self.view()?;
        let mut review = self.object(body).await?.value;
        let resource = self.resource();
        create::place(resource, "", None, &mut review)?;
        review["status"] = match resource.kind.as_str() {
            "SelfSubjectReview" => {
                review["metadata"]["creationTimestamp"] = Api::fresh().time().into();
                json!({ "userInfo": { "username": self.caller.name, "groups": self.caller.groups } })
            }
            "SelfSubjectAccessReview" => json!({ "allowed": true }),
            _ => json!({
                "resourceRules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }],
                "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }],
                "incomplete": false,
            }),
        };
        view.object(201, review)
    }
}
