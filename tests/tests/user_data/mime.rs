//! User data as cloud-init takes it apart: by the `email` package of Python, which cloud-init is written in.

use std::process::Command;

use fleetmesh_testbed::{command, tools};

/// Prints [content type, content] of each part as JSON.
const PARTS: &str = "
import email, json, sys
message = email.message_from_string(open(sys.argv[1], newline='').read())
parts = [part for part in message.walk() if not part.is_multipart()]
print(json.dumps([[part.get_content_type(), part.get_payload(decode=True).decode()] for part in parts]))
";

/// The content type and the content of each part.
pub async fn parts(user_data: &str) -> Vec<(String, String)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), user_data).unwrap();
    let mut python = Command::new(tools::tool("python").unwrap());
    python.args(["-c", PARTS]).arg(file.path());
    serde_json::from_str(&command::run(python).await.unwrap()).unwrap()
}
