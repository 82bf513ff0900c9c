//! etcd behind a cluster, by its JSON gateway: what the API server's users cannot do to it.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::http;

/// The etcd of a [`crate::cluster::Cluster`].
#[derive(Debug, Clone)]
pub struct Etcd {
    url: String,
}

impl Etcd {
    pub(crate) fn new(url: String) -> Self {
        Self { url }
    }

    /// Sets `key` to `value`; gives the revision that this made.
    ///
    /// # Errors
    /// etcd does not answer, or refuses.
    pub async fn put(&self, key: &str, value: &str) -> Result<u64> {
        let answer = self.ask("put", &json!({ "key": encoded(key), "value": encoded(value) })).await?;
        let revision = answer["header"]["revision"].as_str().context("an answer has a revision")?;
        Ok(revision.parse()?)
    }

    /// Every key that begins with `prefix`, with its value; custom resources are JSON there.
    ///
    /// # Errors
    /// etcd does not answer, or something is no text.
    pub async fn list(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        // The end of a range is exclusive: the prefix followed by the last character.
        let end = format!("{prefix}\u{7f}");
        let answer =
            self.ask("range", &json!({ "key": encoded(prefix), "range_end": encoded(&end) })).await?;
        let found = answer["kvs"].as_array().into_iter().flatten();
        found.map(|pair| Ok((decoded(&pair["key"])?, decoded(&pair["value"])?))).collect()
    }

    /// Forgets every revision before `revision`: a watch from an earlier one gets 410 Gone.
    ///
    /// # Errors
    /// etcd does not answer, or has forgotten it already.
    pub async fn compact(&self, revision: u64) -> Result<()> {
        let body = json!({ "revision": revision.to_string(), "physical": true });
        self.ask("compaction", &body).await.map(drop)
    }

    async fn ask(&self, operation: &str, body: &Value) -> Result<Value> {
        http::post(&format!("{}/v3/kv/{operation}", self.url), body).await
    }
}

fn encoded(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

fn decoded(value: &Value) -> Result<String> {
    let bytes = BASE64_STANDARD.decode(value.as_str().context("a text in base64")?)?;
    Ok(String::from_utf8(bytes)?)
}
