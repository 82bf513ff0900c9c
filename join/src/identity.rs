//! The identity document of this machine, where it is an EC2 instance: from the metadata service, by IMDSv2.

use std::time::Duration;

use aws_config::imds::Client;

/// Signed with RSA-2048; it holds the document itself.
const PATH: &str = "/latest/dynamic/instance-identity/rsa2048";
/// How long the service may take: it is on the machine's own host, and elsewhere there is none.
const LIMIT: Duration = Duration::from_secs(2);

/// The document, in base 64; none where no metadata service gives it. The control plane says whether it needs one.
pub async fn document() -> Option<String> {
    let off = std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|off| off.eq_ignore_ascii_case("true"));
    if off {
        return None;
    }
    let client = Client::builder()
        .connect_timeout(LIMIT)
        .read_timeout(LIMIT)
        .operation_timeout(LIMIT)
        .max_attempts(1)
        .build();
    match client.get(PATH).await {
        Ok(document) => Some(document.as_ref().to_owned()),
        Err(error) => {
            let error = fleetmesh_model::causes::in_one_line(&error);
            tracing::info!(error, "the metadata service gives no instance identity document");
            None
        }
    }
}
