//! What `fleetmesh control-plane keys` prints.

use std::io::{self, Write};

use fleetmesh_control_plane::keys::{AccessKey, Listed, NewKey};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::KeysCommandError;
use super::args::KeysOutput;

pub fn print(
    key: &AccessKey,
    about: &NewKey,
    form: KeysOutput,
    out: &mut dyn Write,
) -> Result<(), KeysCommandError> {
    let AccessKey { id, secret } = key;
    let secret = secret.reveal();
    match form {
        KeysOutput::Json => {
            let mut members = policy(about);
            members.insert("accessKeyId".into(), json!(id));
            members.insert("secretAccessKey".into(), json!(secret));
            writeln!(out, "{:#}", Value::Object(members))?;
        }
        KeysOutput::Text => writeln!(
            out,
            "access key id:      {id}\nsecret access key:  {secret}\nThe secret is not shown again."
        )?,
    }
    Ok(())
}

/// What a key may do and for how long, as the file of keys has it.
fn policy(about: &NewKey) -> Map<String, Value> {
    let NewKey { name, policy, expires_at, description: _ } = about;
    let mut members = Map::new();
    if !name.is_empty() {
        members.insert("name".into(), json!(name));
    }
    if let Some(account) = policy.account {
        members.insert("account".into(), json!(account.to_string()));
    }
    if let Some(meshes) = &policy.meshes {
        members.insert("meshes".into(), json!(meshes));
    }
    members.insert("access".into(), json!(policy.access));
    if let Some(end) = expires_at {
        members.insert("expiresAt".into(), json!(end.to_string()));
    }
    members
}

pub fn listed(key: &Listed) -> Value {
    let Listed { id, about, created_at, revoked_at, sealed } = key;
    let mut members = policy(about);
    let more = json!({
        "accessKeyId": id, "description": about.description, "sealed": sealed,
        "createdAt": created_at.to_string(), "revokedAt": revoked_at.map(|at| at.to_string()),
    });
    members.extend(more.as_object().cloned().unwrap_or_default());
    Value::Object(members)
}

pub fn table(keys: &[Listed], now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    let time = |time: &Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut rows = vec![
        [
            "ACCESS KEY ID",
            "NAME",
            "ACCOUNT",
            "MESHES",
            "ACCESS",
            "CREATED",
            "EXPIRES",
            "STATUS",
            "SEALED",
            "DESCRIPTION",
        ]
        .map(str::to_owned),
    ];
    for key in keys {
        let Listed { id, about, created_at, revoked_at, sealed } = key;
        let meshes = about.policy.meshes.iter().flatten().cloned().collect::<Vec<_>>().join(",");
        let status = match revoked_at {
            Some(_) => "revoked",
            None if key.is_live(now) => "active",
            None => "expired",
        };
        rows.push([
            id.clone(),
            or_dash(&about.name),
            about.policy.account.map_or_else(|| "first".into(), |account| account.to_string()),
            if about.policy.meshes.is_some() { meshes } else { "all".into() },
            about.policy.access.word().into(),
            time(created_at),
            about.expires_at.as_ref().map_or_else(|| "never".into(), time),
            status.into(),
            if *sealed { "yes" } else { "no" }.into(),
            about.description.clone(),
        ]);
    }
    columns(&rows, out)
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".into() } else { text.into() }
}

/// Prints rows in columns as wide as they have to be.
fn columns<const N: usize>(rows: &[[String; N]], out: &mut dyn Write) -> io::Result<()> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
