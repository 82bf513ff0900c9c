//! Requests to join. Whatever an instance sends, STS is asked by headers that the control plane made: for its own host, with
//! an `Authorization` of the grammar, and of what was sent nothing but that, a date and a token. A refusal repeats little.

use anyhow::{Result, anyhow};
use fleetmesh_control_plane::fuzzing::join_headers;
use fleetmesh_control_plane::join::StsEndpoint;
use serde_json::{Value, json};

use super::Target;

/// The only headers.
const HEADERS: [&str; 6] =
    ["authorization", "content-type", "host", "x-amz-date", "x-amz-security-token", "x-fleetmesh-challenge"];
/// The longest refusal, in bytes.
const REFUSAL: usize = 400;

/// See the module.
pub struct JoinTarget(StsEndpoint);

impl JoinTarget {
    /// A control plane that asks STS of a region.
    pub fn new() -> Result<Self> {
        StsEndpoint::new(None, "us-west-2").map(Self).map_err(|reason| anyhow!("{reason}"))
    }
}

fn request(token: Option<&str>) -> Value {
    let signed = match token {
        Some(_) => "content-type;host;x-amz-date;x-amz-security-token;x-fleetmesh-challenge",
        None => "content-type;host;x-amz-date;x-fleetmesh-challenge",
    };
    let signature = "0123456789abcdef".repeat(4);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=ASIAEXAMPLEEXAMPLE00/20260101/us-west-2/sts/aws4_request, \
         SignedHeaders={signed}, Signature={signature}"
    );
    json!({
        "resource": "mesh/apps/virtualNode/serviceB",
        "publicKey": "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "challenge": "Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmFy",
        "authorization": authorization,
        "amzDate": "20260101T000000Z",
        "securityToken": token,
    })
}

impl Target for JoinTarget {
    fn name(&self) -> &'static str {
        "join"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        [request(None), request(Some("IQoJb3JpZ2luX2VjEAAaCXVzLXdlc3QtMg=="))]
            .map(|request| request.to_string().into_bytes())
            .to_vec()
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"\\r\\n",
            b"\\r\\nhost: other",
            b"\\u0000",
            b"\\u00e9",
            b";host",
            b";x-amz-target",
            b", ",
            b"Signature=",
            b"SignedHeaders=host",
            b"/20260101/us-west-2/sts/aws4_request",
            b"\"securityToken\":null,",
            b"\"amzDate\":\"20260101T000000Z\",",
            b"\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        ]
    }

    fn try_input(&self, input: &[u8]) -> Result<bool, String> {
        let headers = match join_headers(input, &self.0) {
            Ok(headers) => headers,
            Err(Some(refusal)) if refusal.len() > REFUSAL => {
                return Err(format!("a long refusal: {refusal}"));
            }
            Err(_) => return Ok(false),
        };
        if let Some(name) = headers.keys().find(|name| !HEADERS.contains(&name.as_str())) {
            return Err(format!("the header {name}"));
        }
        if headers.len() != headers.keys_len() || headers["host"] != self.0.host.as_str() {
            return Err(format!("another host, or a header twice: {headers:?}"));
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let sent: Value = serde_json::from_slice(input).map_err(|error| error.to_string())?;
        for (name, member) in [
            ("authorization", "authorization"),
            ("x-amz-date", "amzDate"),
            ("x-amz-security-token", "securityToken"),
        ] {
            if text(name) != sent[member].as_str() {
                return Err(format!("{name} is not what was sent as {member}: {:?}", text(name)));
            }
        }
        let authorization = text("authorization").unwrap_or_default();
        if authorization.contains(|c: char| !(c.is_ascii_graphic() || c == ' ')) || authorization.len() > 600
        {
            return Err(format!("authorization: {authorization:?}"));
        }
        Ok(true)
    }
}
