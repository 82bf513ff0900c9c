//! A connection to the API for one command: requests, warnings, and what is printed.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::Value;

use crate::error::Error;
use crate::resources::Resources;
use crate::status::Status;

/// Discovery in two documents; then as much as older servers have.
const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                         application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
/// Objects as rows.
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
/// Objects as they are.
pub const JSON: &str = "application/json";

/// Which API, and which namespace.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The kubeconfig; without one that of the environment.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; without one the current.
    pub context: Option<String>,
    /// The namespace; without one that of the context.
    pub namespace: Option<String>,
}

/// Where a command reads and writes.
pub struct Streams<'s> {
    /// For `-f -`.
    pub input: &'s mut dyn Read,
    /// What it answers.
    pub out: &'s mut dyn Write,
    /// Warnings, and that there is nothing.
    pub err: &'s mut dyn Write,
}

impl fmt::Debug for Streams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

/// A connection with what the API serves.
pub struct Session<'s> {
    client: Client,
    server: String,
    /// The namespace of what names none.
    pub(crate) namespace: String,
    /// Whether it was asked for.
    pub(crate) is_explicit: bool,
    pub(crate) resources: Resources,
    pub(crate) streams: Streams<'s>,
    warned: BTreeSet<String>,
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("server", &self.server).finish_non_exhaustive()
    }
}

impl<'s> Session<'s> {
    /// Connects to the API and reads what it serves.
    ///
    /// # Errors
    /// No API is configured, or it does not answer.
    pub async fn open(place: &Place, streams: Streams<'s>) -> Result<Self, Error> {
        let config = fleetmesh_cluster::config(place.kubeconfig.as_deref(), place.context.as_deref()).await?;
        let authority = config.cluster_url.authority().map(ToString::to_string);
        let namespace = place.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| Error::Connect(Box::new(error).into()))?;
        let mut session = Self {
            client,
            server: authority.unwrap_or_default(),
            namespace,
            is_explicit: place.namespace.is_some(),
            resources: Resources::default(),
            streams,
            warned: BTreeSet::new(),
        };
        let lists = [session.read("/api", DISCOVERY).await?, session.read("/apis", DISCOVERY).await?];
        if lists.iter().any(|list| list["kind"] != "APIGroupDiscoveryList") {
            return Err(Error::message(format!(
                "the server {} has no aggregated discovery: use kubectl, or Kubernetes 1.27 or newer",
                session.server
            )));
        }
        session.resources = Resources::read(&lists);
        Ok(session)
    }

    /// What is at `path`.
    ///
    /// # Errors
    /// The API does not answer, or has nothing there.
    pub(crate) async fn read(&mut self, path: &str, accept: &str) -> Result<Value, Error> {
        let request = Request::get(path).header(ACCEPT, accept).body(Vec::new());
        self.ask(request).await
    }

    /// Sends an object.
    ///
    /// # Errors
    /// The API does not answer, or does not do it.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        media_type: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(ACCEPT, JSON).header(CONTENT_TYPE, media_type);
        self.ask(request.body(serde_json::to_vec(body)?)).await
    }

    async fn ask(&mut self, request: http::Result<Request<Vec<u8>>>) -> Result<Value, Error> {
        let (head, body) = self.exchange(request).await?.into_parts();
        let bytes = body.collect().await.map_err(|error| self.lost(&error))?.to_bytes();
        if !head.status.is_success() {
            return Err(Status::read(head.status.as_u16(), &bytes).into());
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::message(format!("the answer of {} is no JSON: {error}", self.server)))
    }

    async fn exchange(
        &mut self,
        request: http::Result<Request<Vec<u8>>>,
    ) -> Result<http::Response<Body>, Error> {
        let request = request.map_err(|error| Error::message(error.to_string()))?;
        let sent = self.client.send(request.map(Body::from)).await;
        let response = sent.map_err(|error| self.lost(&error))?;
        self.warn_of(response.headers())?;
        Ok(response)
    }

    /// Follows the changes of a collection.
    ///
    /// # Errors
    /// The API does not answer, or does not do it.
    pub(crate) async fn watch(&mut self, path: &str, accept: &str) -> Result<Changes, Error> {
        let request = Request::get(path).header(ACCEPT, accept).body(Vec::new());
        let (head, body) = self.exchange(request).await?.into_parts();
        if head.status.is_success() {
            return Ok(Changes { body, read: Vec::new() });
        }
        let bytes = body.collect().await.map_err(|error| self.lost(&error))?.to_bytes();
        Err(Status::read(head.status.as_u16(), &bytes).into())
    }

    /// That the connection failed.
    fn lost(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        let (mut cause, mut deepest) = (Some(error), error);
        while let Some(this) = cause {
            let io = this.downcast_ref::<io::Error>();
            if io.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
                return Error::Plain(format!(
                    "The connection to the server {} was refused - did you specify the right host or port?",
                    self.server
                ));
            }
            deepest = this;
            cause = this.source();
        }
        Error::Plain(format!("Unable to connect to the server: {deepest}"))
    }

    /// Shows the warnings of an answer, each once.
    fn warn_of(&mut self, headers: &HeaderMap) -> Result<(), Error> {
        for value in headers.get_all("warning") {
            let text = value.to_str().unwrap_or_default();
            let quoted = text.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
            if let Some((text, _)) = quoted {
                self.warn(&text.replace("\\\"", "\"").replace("\\\\", "\\"))?;
            }
        }
        Ok(())
    }

    /// Shows a warning, unless it was shown already.
    pub(crate) fn warn(&mut self, text: &str) -> Result<(), Error> {
        if self.warned.insert(text.to_owned()) {
            writeln!(self.streams.err, "Warning: {text}")?;
        }
        Ok(())
    }

    /// Writes to the output.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), Error> {
        self.streams.out.write_all(text.as_bytes())?;
        Ok(self.streams.out.flush()?)
    }

    /// Says something beside the output.
    pub(crate) fn note(&mut self, text: &str) -> Result<(), Error> {
        Ok(writeln!(self.streams.err, "{text}")?)
    }
}

/// A watch under way.
pub(crate) struct Changes {
    body: Body,
    read: Vec<u8>,
}

impl Changes {
    /// The next event: its type and its object. Nothing when the API ends the watch.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                let mut event: Value = serde_json::from_slice(&line).ok()?;
                let kind = event["type"].as_str()?.to_owned();
                return Some((kind, event["object"].take()));
            }
            // Whatever broke the connection: whoever watches goes on from what was seen.
            let frame = self.body.frame().await?.ok()?;
            let data: Bytes = frame.into_data().unwrap_or_default();
            self.read.extend_from_slice(&data);
        }
    }
}
