//! Commits of several changes ([`fleetmesh_api::commits`]), at a control plane that takes them: one write, which asks the write
//! hooks like any other.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fleetmesh_api::commits::{
    CommitAnswer, CommitFault, CommitPart, CommitRefused, CommitRequest, MAX_BYTES,
};
use fleetmesh_api::urls::{self, escape};
use fleetmesh_aws::error::class_of;
use fleetmesh_aws::{Called, Meter};
use fleetmesh_core::{Failure, FailureClass, RemoteIdentity, Step};
use fleetmesh_model::resource::API_VERSION;
use fleetmesh_model::{Collection, ResourceId};
use serde::ser::Error as _;
use serde_json::{Value, json};

use super::body;
use super::calls::{AppMeshClient, malformed};
use crate::control_plane::ControlPlane;
use crate::write_hook::WriteHooks;

/// The operation, in failures and metrics.
const OPERATION: &str = "Commit";
/// How long a commit may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Where commits go.
#[derive(Clone, Debug)]
pub(super) struct CommitEndpoint {
    /// The control plane.
    pub(super) control_plane: ControlPlane,
    /// Who is asked before each write.
    pub(super) hooks: WriteHooks,
}

/// Why a commit was not stored.
#[derive(Debug)]
pub enum NotCommitted {
    /// The endpoint says that these parts are at fault, each with its place.
    Faults(Vec<(usize, Failure)>),
    /// The call failed.
    Failed(Failure),
}

impl AppMeshClient {
    /// Whether the endpoint announced that it takes commits.
    pub fn takes_commits(&self) -> bool {
        self.commits.is_some() && self.takes_commits.load(Ordering::Relaxed)
    }

    /// Carries out `steps`, each a write of something in `mesh`, by one request; gives what each of them left behind, of tags nothing.
    ///
    /// # Errors
    /// See [`NotCommitted`]; nothing of it was carried out, unless no answer came.
    pub async fn commit(
        &self,
        mesh: &str,
        steps: &[&Step],
    ) -> Result<Vec<Option<RemoteIdentity>>, NotCommitted> {
        let Some(CommitEndpoint { control_plane, hooks }) = &self.commits else {
            return Err(NotCommitted::Failed(failed(FailureClass::Malformed, "there is no control plane")));
        };
        let parts = steps.iter().map(|step| part(step)).collect::<serde_json::Result<Vec<_>>>();
        let body = parts.and_then(|parts| serde_json::to_string(&CommitRequest { parts }));
        let body = body.map_err(|error| NotCommitted::Failed(malformed(OPERATION, &error)))?;
        if body.len() > MAX_BYTES {
            let message = format!("{} bytes are more than the {MAX_BYTES} of one commit", body.len());
            return Err(NotCommitted::Failed(failed(FailureClass::Limit, &message)));
        }
        self.writes.turn().await;
        let begun = Instant::now();
        let answer = control_plane.post(mesh, urls::COMMITS, body, LIMIT, hooks).await;
        let outcome = match answer {
            Ok((200, body)) => read(steps, &body),
            Ok((status, body)) => Err(refused(status, &body)),
            Err(why) => Err(NotCommitted::Failed(failed(FailureClass::Unreachable, &why))),
        };
        self.metered(&outcome, begun.elapsed());
        outcome
    }

    fn metered<T>(&self, outcome: &Result<T, NotCommitted>, took: Duration) {
        let failed = match outcome {
            Ok(_) => None,
            Err(NotCommitted::Failed(failure)) => Some(failure.class),
            Err(NotCommitted::Faults(faults)) => faults.first().map(|(_, failure)| failure.class),
        };
        let throttled = u32::from(failed == Some(FailureClass::Throttled));
        let service = "appmesh".to_owned();
        self.metrics.called(&Called { service, operation: OPERATION, failed, took, attempts: 1, throttled });
    }
}

/// The step as a request of App Mesh's own.
fn part(step: &Step) -> serde_json::Result<CommitPart> {
    let put = |path: String, body: Value| CommitPart { method: "PUT".to_owned(), path, body };
    Ok(match step {
        Step::Create { id, spec, tags, token } => {
            put(path(&id.collection(), None), body::create(id, spec, tags, token)?)
        }
        Step::Update { id, spec, token } => {
            put(path(&id.collection(), Some(id.name())), body::update(spec, token)?)
        }
        Step::Delete { id } => CommitPart {
            method: "DELETE".to_owned(),
            path: path(&id.collection(), Some(id.name())),
            body: Value::Null,
        },
        Step::TagResource { arn, tags } => put(tagged("tag", arn), json!({ "tags": body::list(tags) })),
        Step::UntagResource { arn, keys, optional: _ } => {
            put(tagged("untag", arn), json!({ "tagKeys": keys }))
        }
        Step::AddFinalizer | Step::RemoveFinalizer => {
            return Err(serde_json::Error::custom(format!("{step} is no request of App Mesh")));
        }
    })
}

/// The REST path of a collection, or of its member `name`.
fn path(collection: &Collection, name: Option<&str>) -> String {
    let segments = collection.path().into_iter().chain(name).map(escape);
    [String::new(), API_VERSION.to_owned()].into_iter().chain(segments).collect::<Vec<_>>().join("/")
}

fn tagged(verb: &str, arn: &str) -> String {
    format!("/{API_VERSION}/{verb}?resourceArn={}", escape(arn))
}

fn read(steps: &[&Step], body: &[u8]) -> Result<Vec<Option<RemoteIdentity>>, NotCommitted> {
    let malformed = |error: &serde_json::Error| NotCommitted::Failed(malformed(OPERATION, error));
    let CommitAnswer { answers } = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
    if answers.len() != steps.len() {
        let why = format!("{} answers to {} parts", answers.len(), steps.len());
        return Err(malformed(&serde_json::Error::custom(why)));
    }
    let identity = |(step, answer): (&&Step, Value)| match written(step) {
        Some(id) => body::object_in(id.kind(), answer).map(|object| Some(object.identity)),
        None => Ok(None),
    };
    let identities = steps.iter().zip(answers).map(identity).collect::<serde_json::Result<_>>();
    identities.map_err(|error| malformed(&error))
}

/// The App Mesh object whose state is the answer to `step`.
fn written(step: &Step) -> Option<&ResourceId> {
    match step {
        Step::Create { id, .. } | Step::Update { id, .. } => Some(id),
        Step::AddFinalizer
        | Step::RemoveFinalizer
        | Step::TagResource { .. }
        | Step::UntagResource { .. }
        | Step::Delete { .. } => None,
    }
}

fn refused(status: u16, body: &[u8]) -> NotCommitted {
    let said = serde_json::from_slice::<CommitRefused>(body).ok();
    let CommitRefused { message, faults } = said.unwrap_or_else(|| CommitRefused {
        message: format!("the endpoint answers {status}"),
        faults: Vec::new(),
    });
    if faults.is_empty() {
        return NotCommitted::Failed(failed(class_of("", &message, status), &message));
    }
    let of = |CommitFault { part, kind, message }: CommitFault| {
        (part, failed(class_of(&kind, &message, status), &message))
    };
    NotCommitted::Faults(faults.into_iter().map(of).collect())
}

fn failed(class: FailureClass, message: &str) -> Failure {
    Failure { class, operation: OPERATION.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use fleetmesh_api::examples;
    use fleetmesh_model::{Kind, Spec};

    use super::*;

    fn update(id: ResourceId, json: Value, token: &str) -> Step {
        let spec = Spec::from_json(id.kind(), json).expect("a spec");
        Step::Update { id, spec, token: token.to_owned() }
    }

    /// The steps of the contract's example.
    fn steps() -> [Step; 3] {
        let request: CommitRequest = serde_json::from_str(examples::COMMIT_REQUEST).expect("a request");
        let spec = |part: usize| request.parts[part].body["spec"].clone();
        [
            update(ResourceId::virtual_router("apps", "serviceB"), spec(0), "t-1"),
            update(ResourceId::route("apps", "serviceB", "serviceB"), spec(1), "t-2"),
            Step::Delete { id: ResourceId::virtual_node("apps", "serviceBv1") },
        ]
    }

    #[test]
    fn the_contract_s_examples_are_written_and_read() {
        let steps = steps();
        let parts = steps.iter().map(part).collect::<Result<Vec<_>, _>>().expect("parts");
        let written = serde_json::to_value(CommitRequest { parts }).expect("JSON");
        assert_eq!(written, serde_json::from_str::<Value>(examples::COMMIT_REQUEST).expect("JSON"));
        let steps: Vec<&Step> = steps.iter().collect();
        let left = read(&steps, examples::COMMIT_ANSWER.as_bytes()).expect("an answer");
        let versions: Vec<Option<i64>> =
            left.into_iter().map(|identity| identity.map(|identity| identity.version)).collect();
        assert_eq!(versions, [Some(2), Some(3), None]);
        assert!(matches!(
            read(&steps[..2], examples::COMMIT_ANSWER.as_bytes()),
            Err(NotCommitted::Failed(_))
        ));
        let NotCommitted::Faults(faults) = refused(400, examples::COMMIT_REFUSED.as_bytes()) else {
            panic!("no faults")
        };
        let (part, Failure { class, message, .. }) = &faults[0];
        assert_eq!((*part, *class, faults.len()), (1, FailureClass::Invalid, 1));
        assert!(message.starts_with("spec.grpcRoute: "), "{message}");
    }

    #[test]
    fn another_refusal_is_of_no_part() {
        for (status, body, class) in [
            (404, examples::ERROR, FailureClass::NotFound),
            (403, "<UnknownOperationException/>", FailureClass::Denied),
            (503, examples::ERROR, FailureClass::Server),
            (429, examples::ERROR, FailureClass::Throttled),
        ] {
            let refused = refused(status, body.as_bytes());
            assert!(
                matches!(&refused, NotCommitted::Failed(failure) if failure.class == class),
                "{refused:?}"
            );
        }
        for step in [Step::AddFinalizer, Step::RemoveFinalizer] {
            assert!(part(&step).is_err());
        }
    }

    #[test]
    fn names_and_arns_are_percent_encoded() {
        let tags = [("a".to_owned(), "b".to_owned())].into();
        let id = ResourceId::virtual_service("a/b", "s.local:80");
        let spec = Spec::from_json(Kind::VirtualService, json!({})).expect("a spec");
        let create = part(&Step::Create { id, spec, tags, token: "t".into() }).expect("a part");
        assert_eq!(create.path, "/v20190125/meshes/a%2Fb/virtualServices");
        let expected = json!({
            "virtualServiceName": "s.local:80", "spec": {}, "tags": [{"key": "a", "value": "b"}], "clientToken": "t",
        });
        assert_eq!(create.body, expected);
        let arn = "arn:aws:appmesh:us-west-2:111122223333:mesh/a".to_owned();
        let untag = Step::UntagResource { arn, keys: vec!["a".into()], optional: false };
        let untag = part(&untag).expect("a part");
        let arn = "arn%3Aaws%3Aappmesh%3Aus-west-2%3A111122223333%3Amesh%2Fa";
        assert_eq!(untag.path, format!("/v20190125/untag?resourceArn={arn}"));
        assert_eq!(untag.body, json!({"tagKeys": ["a"]}));
    }
}
