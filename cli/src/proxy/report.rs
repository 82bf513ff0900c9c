//! The output of the commands, for people and for programs. Writes to the output that it is given.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use fleetmesh_instance::interception::{Guard, Interception};
use fleetmesh_proxy::intercept::{RuleChange, State, Surveyed};
use serde::Serialize;

use super::WRITE;
use super::intercept::StatusFormat;

/// The exit status of `status` when nothing is intercepted (as `systemctl status` has it for a stopped service).
const DISABLED: u8 = 3;
/// The exit status of `status` when the rules are not the ones that `enable` makes.
const ALTERED: u8 = 4;

/// Answers `enable`.
pub fn enabled(backend: &str, change: RuleChange, now: &Interception, out: &mut dyn Write) -> io::Result<()> {
    match change {
        RuleChange::Made => writeln!(out, "interception is enabled ({backend})")?,
        RuleChange::None => writeln!(out, "interception was enabled like this already ({backend})")?,
    }
    describe(now, out)
}

/// Answers `disable`.
pub fn disabled(change: RuleChange, out: &mut dyn Write) -> io::Result<()> {
    match change {
        RuleChange::Made => writeln!(out, "interception is disabled"),
        RuleChange::None => writeln!(out, "interception was not enabled"),
    }
}

/// The answer of `status -o json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleStatus<'a> {
    /// `enabled`, `disabled` or `altered`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<&'a Interception>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Answers `status`.
pub fn status(found: &[Surveyed], format: StatusFormat, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let (status, code) = summary(found);
    match format {
        StatusFormat::Json => {
            let text = serde_json::to_string_pretty(&status)
                .map_err(|error| anyhow!("cannot render the output: {error}"))?;
            writeln!(out, "{text}").context(WRITE)?;
        }
        StatusFormat::Text => text(&status, out).context(WRITE)?,
    }
    Ok(code)
}

fn text(status: &RuleStatus<'_>, out: &mut dyn Write) -> io::Result<()> {
    let backend = status.backend.map(|name| format!(" ({name})")).unwrap_or_default();
    writeln!(out, "interception is {}{backend}", status.state)?;
    if let Some(message) = &status.message {
        writeln!(out, "  {message}")?;
    }
    match status.options {
        Some(options) => describe(options, out),
        None => Ok(()),
    }
}

fn summary(found: &[Surveyed]) -> (RuleStatus<'_>, ExitCode) {
    let mut used = found.iter().filter(|found| found.state != State::Disabled);
    let Some(first) = used.next() else {
        let status = RuleStatus { state: "disabled", backend: None, options: None, message: None };
        return (status, ExitCode::from(DISABLED));
    };
    let backend = Some(first.backend.name());
    let altered = |message: String| {
        let message =
            Some(format!("{message}; run `enable` to set the rules again, or `disable` to remove them"));
        (RuleStatus { state: "altered", backend, options: None, message }, ExitCode::from(ALTERED))
    };
    match (&first.state, used.next()) {
        (_, Some(second)) => altered(format!("there are rules of {} as well", second.backend.name())),
        (State::Altered(message), None) => altered(message.clone()),
        (State::Enabled(options), None) => (
            RuleStatus { state: "enabled", backend, options: Some(options), message: None },
            ExitCode::SUCCESS,
        ),
        (State::Disabled, None) => altered("the rules changed while they were read".to_owned()),
    }
}

fn describe(options: &Interception, out: &mut dyn Write) -> io::Result<()> {
    let Interception {
        ignored_uids,
        ignored_gids,
        ingress,
        egress_port,
        ignored_networks,
        ignored_egress_ports,
        ipv6,
        guard,
    } = options;
    match ingress {
        Some(ingress) => {
            let ports = join(&ingress.app_ports);
            writeln!(out, "  incoming  application ports {ports} -> Envoy's port {}", ingress.port)?;
        }
        None => writeln!(out, "  incoming  left alone")?,
    }
    writeln!(out, "  outgoing  all TCP -> Envoy's port {egress_port}, except of or to")?;
    let lists = [
        ("users", join(ignored_uids)),
        ("groups", join(ignored_gids)),
        ("addresses", join(ignored_networks)),
        ("ports", join(ignored_egress_ports)),
    ];
    for (name, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
        writeln!(out, "            {name} {list}")?;
    }
    writeln!(out, "  IPv6      {}", if *ipv6 { "intercepted too" } else { "left alone" })?;
    let Some(Guard { metadata, ports, uids, denied_gids }) = guard else { return Ok(()) };
    let ports = ports.iter().map(|port| format!("port {port} of this machine"));
    let what = metadata.then(|| "the metadata service".to_owned()).into_iter().chain(ports);
    writeln!(out, "  guarded   {}, for users {} only", join(what), join(uids))?;
    if !denied_gids.is_empty() {
        writeln!(out, "            not for groups {}", join(denied_gids))?;
    }
    Ok(())
}

fn join(items: impl IntoIterator<Item = impl Display>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
