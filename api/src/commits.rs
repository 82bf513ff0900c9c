//! Several changes of a mesh that are decided together: `POST` [`COMMITS`](crate::urls::COMMITS). Each part is a request of App
//! Mesh's own. What has to fit between objects is judged on the state after all parts, so their order does not matter; all of them
//! are stored as one commit, or none is.
//!
//! An endpoint that takes commits says so in the header [`COMMITS`](crate::headers::COMMITS) of its answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most parts of one commit.
pub const MAX_PARTS: usize = 128;
/// The largest body of the request, in bytes.
pub const MAX_BYTES: usize = 2 * 1024 * 1024;

/// The query of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommitQuery {
    /// The account that owns the mesh; the caller's own without it.
    pub mesh_owner: Option<String>,
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommitRequest {
    /// The changes, 1 to [`MAX_PARTS`], in any order. A resource is created, updated or deleted by one of them at the most.
    pub parts: Vec<CommitPart>,
}

/// One change: a Create, Update, Delete, TagResource or UntagResource of App Mesh's API, as it would be sent alone. The mesh itself
/// may be updated, but neither created nor deleted.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommitPart {
    /// The HTTP method.
    pub method: String,
    /// The path with its query, percent-encoded as in a request of its own.
    pub path: String,
    /// The body. A `clientToken` in it counts as in a request of its own: a part that was carried out before, alone or in a commit, is
    /// answered as it was then.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub body: Value,
}

/// The body of the answer to a commit that is stored.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitAnswer {
    /// What each part is answered, in their order: the body of the answer that its request would have got.
    pub answers: Vec<Value>,
}

/// The body of the answer to a commit that is refused: nothing of it is stored. The status and the type of the error are those of
/// the first part at fault.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitRefused {
    /// What is wrong and what to do about it, in a line for people.
    pub message: String,
    /// The parts at fault, in their order; empty when the request as a whole is.
    #[serde(default)]
    pub faults: Vec<CommitFault>,
}

/// A part at fault.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitFault {
    /// Its place among the parts, from 0.
    pub part: usize,
    /// The type of its error, for example `BadRequestException`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its message.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples;

    #[test]
    fn the_examples_are_what_both_sides_read_and_write() {
        let request: CommitRequest = serde_json::from_str(examples::COMMIT_REQUEST).expect("a request");
        examples::same(&request, examples::COMMIT_REQUEST);
        let parts: Vec<(&str, &str)> =
            request.parts.iter().map(|part| (part.method.as_str(), part.path.as_str())).collect();
        assert_eq!(
            parts,
            [
                ("PUT", "/v20190125/meshes/apps/virtualRouters/serviceB"),
                ("PUT", "/v20190125/meshes/apps/virtualRouter/serviceB/routes/serviceB"),
                ("DELETE", "/v20190125/meshes/apps/virtualNodes/serviceBv1"),
            ]
        );
        assert_eq!(request.parts[1].body["clientToken"], "t-2");
        let answer: CommitAnswer = serde_json::from_str(examples::COMMIT_ANSWER).expect("an answer");
        examples::same(&answer, examples::COMMIT_ANSWER);
        assert_eq!(answer.answers.len(), request.parts.len());
        let refused: CommitRefused = serde_json::from_str(examples::COMMIT_REFUSED).expect("a refusal");
        examples::same(&refused, examples::COMMIT_REFUSED);
        assert_eq!((refused.faults[0].part, refused.faults[0].kind.as_str()), (1, "BadRequestException"));
    }

    #[test]
    fn a_refusal_of_the_whole_names_no_part_and_a_misspelt_member_is_none() {
        let refused: CommitRefused = serde_json::from_str(examples::ERROR).expect("the shape of errors");
        assert!(refused.faults.is_empty());
        for bad in [
            r#"{"parts":[],"more":1}"#,
            r#"{"parts":[{"method":"PUT","path":"/","boddy":{}}]}"#,
            r#"{"parts":[{"method":"PUT"}]}"#,
        ] {
            assert!(serde_json::from_str::<CommitRequest>(bad).is_err(), "{bad}");
        }
    }
}
