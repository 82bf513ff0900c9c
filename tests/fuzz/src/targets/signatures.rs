//! Signature Version 4: requests as HTTP/1.1 writes them. One that verifies means what a request means that the key's owner
//! signed: the same method, path, query, body and signed headers.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use fleetmesh_control_plane::keys::Keys;
use fleetmesh_control_plane::serving::rules::{Hosts, check};
use fleetmesh_control_plane::sigv4::{Audience, verify};
use http::request::Parts;
use http::{Method, Request, Uri};

use super::Target;

const ID: &str = "FMKYEXAMPLE";
const SECRET: &str = "0123456789012345678901234567890123456789";
/// The control plane's time, in seconds since 1970: 2026-01-01.
const NOW: u64 = 1_767_225_600;
/// The most headers of a request that is tried.
const HEADERS: usize = 64;

/// See the module.
pub struct Signatures {
    keys: Keys,
    audience: Audience,
    seeds: Vec<Vec<u8>>,
    /// What was signed.
    meanings: Vec<Meaning>,
}

/// What a request says, whatever way it is written in.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    method: Method,
    path: Vec<String>,
    query: Vec<(Vec<u8>, Vec<u8>)>,
    signed: BTreeMap<String, Vec<String>>,
    body: Vec<u8>,
}

impl Signatures {
    /// Requests that one key signed.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir().context("a folder")?;
        let file = folder.path().join("keys.json");
        fs::write(&file, format!(r#"{{"accessKeyId":"{ID}","secretAccessKey":"{SECRET}"}}"#))?;
        let keys = Keys::default();
        keys.load(folder.path(), Some(&file))?;
        let path = "/v20190125/meshes/apps/virtualServices/service%2Eb%2Fc?meshOwner=111122223333&limit=5";
        let mut seeds = vec![
            signed("GET", path, &[], b"")?,
            signed(
                "PUT",
                "/v20190125/meshes",
                &[("content-type", "application/json")],
                br#"{"meshName":"apps"}"#,
            )?,
            signed("DELETE", "/v20190125/meshes/apps", &[("x-amz-security-token", "a token")], b"")?,
        ];
        let meanings = seeds.iter().map(|seed| {
            let (head, body) = read(seed).context("a request")?;
            Ok(meaning(&head, body))
        });
        let meanings = meanings.collect::<Result<_>>()?;
        let base = seeds.first().context("a seed")?.clone();
        seeds.push(repeated(base)?);
        Ok(Self { keys, audience: Audience::new("us-west-2", &[], None), seeds, meanings })
    }
}

/// The request as one that names a header as signed again and again: it must cost no more memory than it has bytes. A change
/// may take the names away again, so what the request means is to be known as signed.
fn repeated(request: Vec<u8>) -> Result<Vec<u8>> {
    let request = String::from_utf8(request)?;
    let names = format!("SignedHeaders=host;x-amz-date{}", ";a".repeat(500));
    let request = request.replace("SignedHeaders=host;x-amz-date", &names);
    Ok(request.replacen("\r\n", &format!("\r\na: {}\r\n", "v".repeat(2000)), 1).into_bytes())
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// A request that AWS's signer signed, as HTTP/1.1 writes it.
fn signed(method: &str, path: &str, with: &[(&str, &str)], body: &[u8]) -> Result<Vec<u8>> {
    let identity = Credentials::new(ID, SECRET, None, None, "fuzz").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-west-2")
        .name("appmesh")
        .time(now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let headers = [("host", "127.0.0.1:9080")].into_iter().chain(with.iter().copied());
    let url = format!("https://127.0.0.1:9080{path}");
    let request = SignableRequest::new(method, url, headers.clone(), SignableBody::Bytes(body))?;
    let (instructions, _) = sign(request, &parameters)?.into_parts();
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in headers.chain(instructions.headers()) {
        text += &format!("{name}: {value}\r\n");
    }
    Ok([text.as_bytes(), b"\r\n", body].concat())
}

/// Reads a request as hyper would; nothing when it would not.
fn read(input: &[u8]) -> Option<(Parts, &[u8])> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = request.parse(input).ok().filter(httparse::Status::is_complete)?.unwrap();
    let uri: Uri = request.path?.parse().ok()?;
    let mut builder = Request::builder().method(request.method?).uri(uri);
    for header in request.headers.iter() {
        builder = builder.header(header.name, header.value);
    }
    Some((builder.body(()).ok()?.into_parts().0, &input[length..]))
}

fn meaning(head: &Parts, body: &[u8]) -> Meaning {
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // A part begins with its name; what stands in the middle of another part is none.
    let mut parts = text("authorization").trim_start_matches("AWS4-HMAC-SHA256").split(',');
    let list = parts.find_map(|part| part.trim().strip_prefix("SignedHeaders="));
    let names = list.unwrap_or_default().split(';');
    let values = |name: &str| {
        let values = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        // Signatures do not distinguish one blank from two.
        values.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<String>>()
    };
    let mut query: Vec<_> = head
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    query.sort();
    Meaning {
        method: head.method.clone(),
        path: normal(head.uri.path()),
        query,
        signed: names.map(|name| (name.to_ascii_lowercase(), values(name))).collect(),
        body: body.to_vec(),
    }
}

/// The segments of a path, as signatures see it.
fn normal(path: &str) -> Vec<String> {
    let mut segments: Vec<String> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            segment => segments.push(segment.to_owned()),
        }
    }
    segments
}

fn decoded(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).collect()
}

impl Target for Signatures {
    fn name(&self) -> &'static str {
        "sigv4"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        self.seeds.clone()
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"\r\n",
            b"/",
            b"//",
            b"..",
            b"%2f",
            b"&limit=6",
            b"?",
            b",",
            b";",
            b"=",
            b" ",
            b"Signature=",
            b"Credential=",
            b"SignedHeaders=host;x-amz-date",
            b"AWS4-HMAC-SHA256 ",
            b"20260101T000000Z",
            b"host: other\r\n",
            b"x-amz-date: 20260101T000001Z\r\n",
            b"authorization: AWS4-HMAC-SHA256 \r\n",
            b"x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n",
        ]
    }

    fn try_input(&self, input: &[u8]) -> Result<bool, String> {
        let Some((head, body)) = read(input) else { return Ok(false) };
        if check(&head, &Hosts::Any).is_err() {
            return Ok(false);
        }
        let verified = verify(&head, body, &self.keys, &self.audience, now());
        let Ok(verified) = verified else { return Ok(false) };
        if verified.holder.id != ID {
            return Err(format!("{:?} is no key", verified.holder));
        }
        let meaning = meaning(&head, body);
        match self.meanings.contains(&meaning) {
            true => Ok(true),
            false => Err(format!("nobody signed {meaning:?}")),
        }
    }
}
