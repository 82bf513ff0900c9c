//! The endpoints of a Fleetmesh control plane besides the App Mesh API. They are called with the credentials and the CA of the App
//! Mesh client, because the control plane authenticates callers from other hosts.

use std::time::Duration;

use fleetmesh_api::error::ErrorBody;
use fleetmesh_api::urls;
use fleetmesh_aws::transport::Http;
use fleetmesh_aws::write_hook::{Write, WriteHooks, WriteTarget};
use fleetmesh_signing::RequestSigner;

/// The name that App Mesh's requests are signed for.
pub(crate) const SERVICE: &str = "appmesh";

/// The control plane at the App Mesh endpoint.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    endpoint: String,
    http: Http,
    signer: Option<RequestSigner>,
}

impl ControlPlane {
    /// The control plane at `endpoint`, asked over `http`.
    pub fn new(endpoint: impl Into<String>, http: Http, signer: Option<RequestSigner>) -> Self {
        Self { endpoint: endpoint.into(), http, signer }
    }

    /// One that is reached on this host, `http://HOST:PORT`, where it asks nobody who calls.
    pub fn on_this_host(endpoint: impl Into<String>) -> Self {
        Self::new(endpoint, Http::new(), None)
    }

    /// Where it is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The status and the body that it answers about `mesh` at `path`, one of [`fleetmesh_api::urls`], at most `limit` after it was asked.
    ///
    /// # Errors
    /// In words: there are no credentials, the connection failed, or the time is over.
    pub async fn get(
        &self,
        mesh: &str,
        path: &str,
        query: &str,
        limit: Duration,
    ) -> Result<(u16, Vec<u8>), String> {
        let path = urls::of_mesh(path, mesh);
        let url = format!("{}{path}{query}", self.endpoint.trim_end_matches('/'));
        let headers = match &self.signer {
            Some(signer) => signer.sign("GET", &url, &[], &[]).await.map_err(|why| why.to_string())?,
            None => Vec::new(),
        };
        self.http.get_with(&url, &headers, limit).await
    }
}

impl ControlPlane {
    /// The status and the body that it answers to `POST` of `body` about `mesh` at `path`, at most `limit` after it was sent. `hooks`
    /// are asked before it is, and hear of the answer.
    ///
    /// # Errors
    /// As of [`Self::get`]; or a hook wants the answer to be lost.
    pub async fn post(
        &self,
        mesh: &str,
        path: &str,
        body: String,
        limit: Duration,
        hooks: &WriteHooks,
    ) -> Result<(u16, Vec<u8>), String> {
        let path = urls::of_mesh(path, mesh);
        let url = format!("{}{path}", self.endpoint.trim_end_matches('/'));
        let write = Write { target: WriteTarget::AppMesh, method: "POST".to_owned(), path };
        hooks.before(&write).await;
        let headers = match &self.signer {
            Some(signer) => {
                signer.sign("POST", &url, &[], body.as_bytes()).await.map_err(|why| why.to_string())?
            }
            None => Vec::new(),
        };
        let answer = self.http.post_with(&url, &headers, body, limit).await?;
        hooks.after(&write).await.map_err(|lost| lost.to_string())?;
        Ok(answer)
    }
}

/// What a refusal says in words, when it is one of a Fleetmesh control plane: a body in its shape.
pub(crate) fn refusal(body: &[u8]) -> Option<String> {
    let ErrorBody { message } = serde_json::from_slice(body).ok()?;
    (!message.is_empty()).then_some(message)
}

#[cfg(test)]
mod tests {
    use fleetmesh_api::examples;

    use super::*;

    #[test]
    fn the_contract_s_example_is_read() {
        let said = refusal(examples::ERROR.as_bytes());
        assert_eq!(said.as_deref(), Some("the mesh \"apps\" does not exist"));
        for body in ["", "{}", "<html>", "{\"message\":\"\"}"] {
            assert_eq!(refusal(body.as_bytes()), None, "{body}");
        }
    }
}
