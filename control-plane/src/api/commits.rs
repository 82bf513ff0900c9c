//! Commits of several changes ([`fleetmesh_api::commits`]): each part is read, permitted and validated as the request alone would be,
//! then all are decided together and stored by one commit ([`fleetmesh_mesh::together`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::IntoResponse as _;
use fleetmesh_api::commits::{
    CommitAnswer, CommitFault, CommitPart, CommitQuery, CommitRefused, CommitRequest, MAX_BYTES, MAX_PARTS,
};
use fleetmesh_mesh::decide::MeshRequest;
use fleetmesh_mesh::foreign::Foreign;
use fleetmesh_mesh::refusal::{Class, Refusal};
use fleetmesh_mesh::rules::absent;
use fleetmesh_mesh::store::{DecideTogether, Fault, JointCommit, JointError};
use fleetmesh_mesh::together::together;
use fleetmesh_model::{MeshName, ResourceId};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Uri};
use serde_json::json;
use uuid::Uuid;

use super::operation::Operation;
use super::query::Query;
use super::request::{self, Members};
use super::write::Prepared;
use super::{Api, Caller, LARGEST_BODY, answer, refusal_of};
use crate::response::{RefusalResponse, json_response};
use crate::rights::{Access, Rights};

const _: () = assert!(MAX_BYTES == LARGEST_BODY, "the guard of other hosts lets as much in");

/// What a refusal calls it.
const ACTION: &str = "fleetmesh:Commit";
/// What metrics call it.
const VERB: &str = "Commit";

/// Why nothing is stored.
enum Refused {
    /// The request as a whole is refused.
    Whole(Refusal),
    /// These parts are.
    Parts(Vec<Fault>),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Whole(refusal)
    }
}

impl Refused {
    fn class(&self) -> Class {
        match self {
            Self::Whole(refusal) => refusal.class,
            Self::Parts(faults) => {
                faults.first().map_or(Class::InternalServerError, |fault| fault.refusal.class)
            }
        }
    }
}

pub(super) async fn serve(
    State(api): State<Arc<Api>>,
    Path(mesh): Path<String>,
    request: Request,
) -> Response<Body> {
    let request_id = Uuid::new_v4().to_string();
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let (outcome, parts) = match request::arrived(body).await {
        Ok(body) => match read(&body) {
            Ok(parts) => (api.commit(&mesh, &head, &parts).await, parts),
            Err(refusal) => (Err(refusal.into()), Vec::new()),
        },
        Err(refusal) => (Err(refusal.into()), Vec::new()),
    };
    let took = started.elapsed();
    api.metrics.served(VERB, outcome.as_ref().err().map(Refused::class), took);
    let path = head.uri.path();
    match &outcome {
        Ok(_) => tracing::debug!(path, request_id, parts = parts.len(), ?took, "served"),
        Err(refused) if refused.class().status() >= 500 => {
            tracing::error!(path, request_id, error = refused.class().shape(), "failed");
        }
        Err(refused) => tracing::debug!(path, request_id, error = refused.class().shape(), "refused"),
    }
    let response = match outcome {
        Ok(answer) => json_response(StatusCode::OK, &json!(answer)),
        Err(Refused::Whole(refusal)) => RefusalResponse(refusal).into_response(),
        Err(refused @ Refused::Parts(_)) => at_fault(&refused, &parts),
    };
    answer::identified(response, &request_id)
}

/// The parts in a request's body.
fn read(body: &[u8]) -> Result<Vec<CommitPart>, Refusal> {
    let request: CommitRequest = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the body is no commit: {error}")))?;
    let CommitRequest { parts } = request;
    match parts.len() {
        1..=MAX_PARTS => Ok(parts),
        count => Err(Refusal::bad_request(format!(
            "parts: a commit has 1 to {MAX_PARTS} parts, not {count}; send what does not depend on each other in several"
        ))),
    }
}

/// The answer that names the parts at fault.
fn at_fault(refused: &Refused, parts: &[CommitPart]) -> Response<Body> {
    let class = refused.class();
    let faults = match refused {
        Refused::Parts(faults) => faults.as_slice(),
        Refused::Whole(_) => &[],
    };
    let of = |Fault { part, refusal }: &Fault| CommitFault {
        part: *part,
        kind: refusal.class.shape().to_owned(),
        message: refusal.message.clone(),
    };
    let faults: Vec<CommitFault> = faults.iter().map(of).collect();
    let in_words = |fault: &CommitFault| {
        let asked = parts.get(fault.part).map(|part| format!(" ({} {})", part.method, part.path));
        format!("part {}{}: {}", fault.part, asked.unwrap_or_default(), fault.message)
    };
    let words: Vec<String> = faults.iter().map(in_words).collect();
    let message = format!("nothing was stored, because of {}", words.join("; "));
    let status = StatusCode::from_u16(class.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(status, &json!(CommitRefused { message, faults }));
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(class.shape()));
    response
}

impl Api {
    /// Decides and stores `parts`, which are about the mesh called `mesh`.
    async fn commit(&self, mesh: &str, head: &Parts, parts: &[CommitPart]) -> Result<CommitAnswer, Refused> {
        let rights = Rights::of(&head.extensions)?;
        let caller = Caller { account: self.accounts.caller(&rights)?, rights };
        self.admit_request(caller.account)?;
        let query = axum::extract::Query::<CommitQuery>::try_from_uri(&head.uri)
            .map_err(|error| Refusal::bad_request(format!("the query string is malformed: {error}")))?;
        let owner = self.accounts.owner(caller.account, query.0.mesh_owner.as_deref())?;
        let mesh = MeshName::new(owner, mesh);
        let (accounts, resource) = (&self.accounts, ResourceId::mesh(&mesh));
        let arn = accounts.identity().arn(&resource);
        accounts.check(&caller.rights, caller.account, Access::Write, Some(&mesh), ACTION, &arn)?;
        accounts.see(caller.account, &mesh)?;
        self.store.mesh(&mesh).ok_or_else(|| absent(&resource))?;
        let prepared = self.prepare_all(parts, &caller)?;
        self.store_together(&mesh, prepared, &caller).await
    }

    /// Reads, permits and validates each part as the request alone would be.
    fn prepare_all(&self, parts: &[CommitPart], caller: &Caller) -> Result<Vec<Prepared>, Refused> {
        let mut faults = Vec::new();
        let mut prepared = Vec::with_capacity(parts.len());
        for (part, asked) in parts.iter().enumerate() {
            match self.prepare_part(asked, caller) {
                Ok(ready) => prepared.push(ready),
                Err(refusal) => faults.push(Fault { part, refusal }),
            }
        }
        let mut tokens = BTreeMap::new();
        for (part, token) in
            prepared.iter().map(|ready| &ready.token).enumerate().filter(|_| faults.is_empty())
        {
            let earlier = token.as_ref().and_then(|token| tokens.insert(token.token.clone(), part));
            if let Some(earlier) = earlier {
                let message = format!("clientToken: part {earlier} has the same; give every request its own");
                return Err(Refused::Parts(vec![Fault { part, refusal: Refusal::bad_request(message) }]));
            }
        }
        if faults.is_empty() { Ok(prepared) } else { Err(Refused::Parts(faults)) }
    }

    fn prepare_part(&self, part: &CommitPart, caller: &Caller) -> Result<Prepared, Refusal> {
        let CommitPart { method, path, body } = part;
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| Refusal::bad_request(format!("method: {} is none", Foreign(method))))?;
        let uri: Uri = path
            .parse()
            .ok()
            .filter(|uri: &Uri| uri.authority().is_none())
            .ok_or_else(|| Refusal::bad_request(format!("path: {} is no path", Foreign(path))))?;
        let query = Query::parse(&uri)?;
        let operation = self.permitted(Operation::parse(&method, uri.path())?, &query, caller)?;
        self.prepare(&operation, &query, || Members::of(body.clone()), caller)
    }

    async fn store_together(
        &self,
        mesh: &MeshName,
        prepared: Vec<Prepared>,
        caller: &Caller,
    ) -> Result<CommitAnswer, Refused> {
        let (requests, tokens): (Vec<MeshRequest>, Vec<_>) =
            prepared.into_iter().map(|Prepared { request, token }| (request, token)).unzip();
        let requests = Arc::new(requests);
        let (account, quotas) = (caller.account, self.quotas.clone());
        let (decided, of) = (Arc::clone(&requests), mesh.clone());
        let decide: DecideTogether =
            Box::new(move |tip, parts| together(tip, account, &of, &decided, parts, &quotas));
        let records = match self.commit_to_store(JointCommit { tokens, decide }).await {
            Ok(records) => records,
            Err(JointError::Refused(faults)) => return Err(Refused::Parts(faults)),
            Err(JointError::NotStored(error)) => {
                return Err(refusal_of(error, &format!("the commit of {}", ResourceId::mesh(mesh))).into());
            }
        };
        let answers = requests
            .iter()
            .zip(&records)
            .map(|(request, record)| self.answer_to(request, record).map(answer::Answered::into_body));
        Ok(CommitAnswer { answers: answers.collect::<Result<_, _>>()? })
    }
}
