//! The differential test: requests of `tests/data/kube-requests` on a real kube-apiserver and on standalone. Codes and reasons are
//! equal, and bodies after masking, but for those that docs/standalone.md lists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_standalone::StandaloneConfig;
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{stack, tools};
use fleetmesh_tests::objects::client;
use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::mask::masked;

/// Where the requests are, one JSON object a line.
const CORPUS: &str = "tests/data/kube-requests";
/// Where differences are listed: rows of the table under [`HEADING`] whose first cell has the names of requests.
const PAGE: &str = "docs/standalone.md";
const HEADING: &str = "## Differences";
/// How many bodies of a hundred are equal at the least, so that the list of differences stays short.
const EQUAL: usize = 99;

/// One request. `${NAME:POINTER}` in its path and body stands for a member of an answer that was saved.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// What it is called, in all files.
    name: String,
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Text is sent as it is, anything else as JSON.
    #[serde(default)]
    body: Value,
    /// A body that is no text, in base64.
    #[serde(default)]
    base64: Option<String>,
    /// Which part of a list is compared, where one server has more to say than the other.
    #[serde(default)]
    items: Option<Items>,
    /// Under which name the answer is saved for later requests of the file.
    #[serde(default)]
    save: Option<String>,
}

/// The items of a list that have these names, in the order of the names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Items {
    /// Where the list is; with no names nothing of the body is compared.
    at: String,
    names: Vec<String>,
}

impl Items {
    fn of(&self, body: &Value) -> Value {
        let items = body.pointer(&self.at).and_then(Value::as_array).into_iter().flatten();
        let name = |item: &Value| {
            let name =
                ["/name", "/metadata/name", "/resource"].iter().find_map(|at| item.pointer(at)?.as_str());
            name.unwrap_or_default().to_owned()
        };
        let mut named: Vec<(String, Value)> = items
            .map(|item| (name(item), in_order(item)))
            .filter(|(name, _)| self.names.contains(name))
            .collect();
        named.sort_by(|(one, _), (other, _)| one.cmp(other));
        named.into_iter().map(|(_, item)| item).collect()
    }
}

/// Resources in the order of their names: those of definitions are in the order of a map.
fn in_order(value: &Value) -> Value {
    let name = |one: &Value| {
        [&one["name"], &one["resource"]].map(|name| name.as_str().unwrap_or_default().to_owned())
    };
    match value {
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                let mut value = in_order(value);
                if let Value::Array(items) = &mut value
                    && key == "resources"
                {
                    items.sort_by_key(name);
                }
                (key.clone(), value)
            };
            Value::Object(members.iter().map(member).collect())
        }
        Value::Array(items) => items.iter().map(in_order).collect(),
        other => other.clone(),
    }
}

/// What a server said.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    code: u16,
    reason: Value,
    media_type: String,
    body: Value,
}

/// One of the two servers, with the answers that were saved.
struct Side {
    client: Client,
    saved: BTreeMap<String, Value>,
}

impl Side {
    fn filled(&self, text: &str) -> Result<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (reference, after) = after.split_once('}').context("an open ${")?;
            let (name, pointer) = reference.split_once(':').context("no NAME:POINTER")?;
            let value = self.saved.get(name).and_then(|saved| saved.pointer(pointer));
            // What one server does not have it may not answer like the other; the request is sent all the same.
            let value = value.map_or_else(String::new, |value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            out.push_str(before);
            out.push_str(&value);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    async fn send(&mut self, line: &Line) -> Result<Answer> {
        let mut request = Request::builder().method(line.method.as_str()).uri(self.filled(&line.path)?);
        for (name, value) in &line.headers {
            request = request.header(name, value);
        }
        let body = match (&line.base64, &line.body) {
            (Some(text), _) => {
                use base64::Engine as _;
                base64::engine::general_purpose::STANDARD.decode(text)?
            }
            (None, Value::Null) => Vec::new(),
            (None, Value::String(text)) => self.filled(text)?.into_bytes(),
            (None, value) => self.filled(&value.to_string())?.into_bytes(),
        };
        if !body.is_empty() && !line.headers.contains_key("content-type") {
            let media_type = match line.method.as_str() {
                "PATCH" => "application/merge-patch+json",
                _ => "application/json",
            };
            request = request.header("content-type", media_type);
        }
        let answer = self.client.send(request.body(Body::from(body))?).await?;
        let code = answer.status().as_u16();
        let media_type = answer.headers().get("content-type").map(|value| value.to_str().map(str::to_owned));
        let media_type = media_type.transpose()?.unwrap_or_default();
        let bytes = answer.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        let body = if line.path.contains("watch=true") && code == 200 { events(&text)? } else { read(&text) };
        if let Some(name) = &line.save {
            self.saved.insert(name.clone(), body.clone());
        }
        let reason = body["reason"].clone();
        let body = match &line.items {
            Some(items) => items.of(&body),
            None if body["kind"] == "APIResourceList" => in_order(&body),
            None => body,
        };
        Ok(Answer { code, reason, media_type, body: masked(&body) })
    }
}

/// An answer: JSON, lines of JSON, or text.
fn read(text: &str) -> Value {
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    lines.map_or_else(|_| text.into(), Value::Array)
}

/// The events of a watch, without the bookmarks that come when a server likes.
fn events(text: &str) -> Result<Value> {
    let events: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let ends_list =
        |event: &Value| event["object"]["metadata"]["annotations"].get("k8s.io/initial-events-end").is_some();
    Ok(events.into_iter().filter(|event| event["type"] != "BOOKMARK" || ends_list(event)).collect())
}

fn root() -> Result<PathBuf> {
    tools::workspace_dir()
}

/// The requests of each file.
fn corpus() -> Result<BTreeMap<String, Vec<Line>>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(root()?.join(CORPUS))? {
        let path = entry?.path();
        let name = path.file_name().context("a name")?.to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path)?;
        let line = |(at, line): (usize, &str)| {
            serde_json::from_str(line).with_context(|| format!("{name}:{}", at + 1))
        };
        let lines: Vec<Line> =
            text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(line).collect::<Result<_>>()?;
        files.insert(name, lines);
    }
    let mut names = BTreeSet::new();
    let twice = files.values().flatten().find(|line| !names.insert(line.name.clone()));
    ensure!(twice.is_none(), "{twice:?} is there twice");
    Ok(files)
}

/// The names of the requests that the page lists.
fn listed() -> Result<BTreeSet<String>> {
    let page = std::fs::read_to_string(root()?.join(PAGE))?;
    let section = page.split_once(HEADING).map_or("", |(_, section)| section);
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let names =
        rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split('`').skip(1).step_by(2));
    Ok(names.map(str::to_owned).collect())
}

/// A difference as a failure shows it.
fn shown(line: &Line, real: &Answer, ours: &Answer) -> String {
    let Line { name, method, path, .. } = line;
    format!(
        "{name}: {method} {path}\n  kube-apiserver {} {} {}\n  standalone     {} {} {}",
        real.code, real.media_type, real.body, ours.code, ours.media_type, ours.body
    )
}

/// The embedded API alone, without an operator that would work on what the requests make; and what ends it.
pub async fn embedded(run: &RunDir) -> Result<(PathBuf, CancellationToken)> {
    let config = StandaloneConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        ..StandaloneConfig::new(run.join("standalone"))
    };
    let bound = fleetmesh_standalone::bind(config).await?;
    let (kubeconfig, shutdown) = (bound.kubeconfig.clone(), CancellationToken::new());
    tokio::spawn(bound.serve(shutdown.clone()));
    Ok((kubeconfig, shutdown))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standalone_answers_as_kube_apiserver_does() -> Result<()> {
    let run = RunDir::new("standalone-replay")?;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cluster = Cluster::start(&run).await?;
    stack::install_crds(&cluster.kubectl()?, &run).await?;
    let (kubeconfig, shutdown) = embedded(&run).await?;
    let _ends = shutdown.drop_guard();
    let listed = listed()?;
    let (mut all, mut wrong, mut different) = (0, Vec::new(), BTreeMap::new());
    for lines in corpus()?.values() {
        let mut real = Side { client: client(&cluster.admin_kubeconfig()).await?, saved: BTreeMap::new() };
        let mut ours = Side { client: client(&kubeconfig).await?, saved: BTreeMap::new() };
        for line in lines {
            all += 1;
            let (real, ours) = tokio::join!(real.send(line), ours.send(line));
            let (real, ours) =
                (real.with_context(|| line.name.clone())?, ours.with_context(|| line.name.clone())?);
            if (real.code, &real.reason) != (ours.code, &ours.reason) {
                wrong.push(shown(line, &real, &ours));
            } else if real != ours {
                different.insert(line.name.clone(), shown(line, &real, &ours));
            }
        }
    }
    println!(
        "{all} requests, {} with another code or reason, {} with another body",
        wrong.len(),
        different.len()
    );
    let unlisted: Vec<&String> =
        different.iter().filter(|(name, _)| !listed.contains(*name)).map(|(_, shown)| shown).collect();
    let (wrong, unlisted) = (wrong.join("\n"), unlisted.iter().map(|one| one.as_str()).collect::<Vec<_>>());
    ensure!(
        wrong.is_empty() && unlisted.is_empty(),
        "another code or reason:\n{wrong}\n{PAGE} does not list these:\n{}",
        unlisted.join("\n")
    );
    let gone: Vec<&String> = listed.iter().filter(|name| !different.contains_key(*name)).collect();
    ensure!(gone.is_empty(), "{PAGE} lists these, which do not differ: {gone:?}");
    ensure!((all - different.len()) * 100 >= all * EQUAL, "too many bodies differ");
    Ok(())
}
