//! User data: what an EC2 instance does at boot to join its mesh (step 6 of App Mesh's getting started for EC2), for
//! cloud-init. Pure.
//!
//! The first part of the message is a script of ours; the user's own parts follow, unchanged. The script installs Docker, logs in to
//! ECR where an image is there, gets the proxy's certificate by the instance's IAM role when that is configured, starts the proxy and
//! waits until it is ready, intercepts the application's traffic, resolves the names of services where that is asked for, and starts the
//! application. It prints the name of each part on the
//! console before it runs, and that of a part that failed; it runs at every boot; it contains no secret and reads nothing from the
//! instance's metadata by itself.

mod check;
mod error;
mod join;
mod mime;
mod options;
mod script;

pub use error::{MAX_BYTES, UserDataError};
pub use join::{authority, check_join};
pub use options::{Application, DataPart, InstanceOptions, JoinOptions, ProxyImage, ProxyOptions};

use check::Checked;
use script::Script;

/// The user data of an instance: at most [`MAX_BYTES`] bytes, before the base64 that EC2's API asks for.
///
/// Equal options give equal text.
pub fn user_data(options: &InstanceOptions) -> Result<String, UserDataError> {
    let checked = check::check(options)?;
    let script = script::script(&checked)?;
    let own = DataPart { content_type: "text/x-shellscript".to_owned(), content: script.text() };
    let parts: Vec<DataPart> = [own].into_iter().chain(checked.parts.iter().cloned()).collect();
    let text = mime::message(&parts);
    if text.len() <= MAX_BYTES { Ok(text) } else { Err(too_large(text.len(), &script, &checked)) }
}

fn too_large(size: usize, script: &Script, checked: &Checked<'_>) -> UserDataError {
    let authority = checked.join.as_ref().and_then(|join| join.authority.as_ref()).map_or(0, String::len);
    let own = [
        (
            "the script that joins the mesh".to_owned(),
            script.values.len() - authority + script.functions.len(),
        ),
        ("the control plane's CA (join.authority)".to_owned(), authority),
        (
            "the rules of interception (proxy.egressIgnoredIps, egressIgnoredPorts)".to_owned(),
            script.rules.len(),
        ),
    ];
    let parts = checked.parts;
    let parts =
        parts.iter().enumerate().map(|(index, part)| (format!("app.userData[{index}]"), part.content.len()));
    let largest = own.into_iter().chain(parts).max_by_key(|(_, size)| *size);
    let (largest, largest_size) = largest.unwrap_or_default();
    UserDataError::TooLarge { size, largest, largest_size }
}
