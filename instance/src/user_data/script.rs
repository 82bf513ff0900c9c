//! The script that joins an instance to the mesh: values at the top, parts that never change below them. Pure.
//!
//! Every value of a person is in a variable, quoted; nothing below the variables depends on one. The exception are the
//! rules of interception, which are made of numbers and addresses only.

use super::check::Checked;
use super::error::UserDataError;
use super::join::{self, SOCKET};
use super::options::ProxyImage;
use crate::bootstrap::{Bootstrap, CERT_DIR, ControlPlaneAddress};
use crate::interception::iptables::{Family, Table, table};
use crate::interception::nft;

/// Where the script puts the configuration of a stock Envoy, and where its image looks for it.
const BOOTSTRAP: &str = "/var/lib/fleetmesh/envoy.yaml:/etc/envoy/envoy.yaml:ro";

const HEAD: &str = "\
#!/bin/bash
# Made by Fleetmesh: joins this machine to its mesh. It may run any number of times.
set -euo pipefail
export HOME=\"${HOME:-/root}\" PATH=\"$PATH:/snap/bin\"

";

/// The script in pieces, in their order.
#[derive(Debug)]
pub(super) struct Script {
    /// The variables.
    pub values: String,
    /// The functions, one for each part.
    pub functions: String,
    /// The functions that hold the rules of interception.
    pub rules: String,
    /// The calls.
    pub calls: String,
}

impl Script {
    /// The whole text.
    pub fn text(&self) -> String {
        let Self { values, functions, rules, calls } = self;
        [HEAD, values, functions, rules, calls].concat()
    }
}

/// The script for an instance.
pub(super) fn script(checked: &Checked<'_>) -> Result<Script, UserDataError> {
    let bootstrap = bootstrap(checked)?;
    let needs_login = !checked.registries().is_empty();
    let pieces = [
        (true, "common", include_str!("parts/common.sh"), &["run_at_every_boot", "install_docker"][..]),
        (needs_login, "ecr", include_str!("parts/ecr.sh"), &["install_aws_cli", "log_in_to_registries"]),
        (bootstrap.is_some(), "bootstrap", include_str!("parts/bootstrap.sh"), &["write_bootstrap"]),
        (true, "images", "", &["pull_images"]),
        (checked.join.is_some(), "join", include_str!("parts/join.sh"), &["start_join", "await_join"]),
        (true, "proxy", include_str!("parts/proxy.sh"), &["start_proxy", "await_proxy"]),
        (true, "firewall", include_str!("parts/firewall.sh"), &["install_firewall"]),
        (true, "intercept", include_str!("parts/intercept.sh"), &["intercept"]),
        (checked.app_image.is_some(), "app", include_str!("parts/app.sh"), &["start_application"]),
    ];
    let mut made = Script {
        values: values(checked, bootstrap.as_deref()),
        functions: String::new(),
        rules: rules(checked),
        calls: String::new(),
    };
    for (_, _, text, calls) in pieces.iter().filter(|(wanted, ..)| *wanted) {
        if !text.is_empty() {
            made.functions += &format!("\n{text}");
        }
        made.calls += &calls.iter().map(|call| format!("part {call}\n")).collect::<String>();
    }
    made.calls.insert(0, '\n');
    Ok(made)
}

/// The configuration of a stock Envoy, when the image may be one and there is a control plane to tell it.
fn bootstrap(checked: &Checked<'_>) -> Result<Option<String>, UserDataError> {
    match (&checked.control_plane, checked.kind) {
        (None, _) | (_, ProxyImage::AppMesh) => Ok(None),
        (Some(address), _) => Ok(Some(Bootstrap::new(&checked.resource, address.clone()).yaml()?)),
    }
}

fn values(checked: &Checked<'_>, bootstrap: Option<&str>) -> String {
    let images: Vec<&str> = checked.images().collect();
    let registries: Vec<String> = checked.registries().iter().map(ToString::to_string).collect();
    let mut text = format!("proxy_image={}\nproxy_uid={}\n", quote(&checked.proxy_image), checked.uid);
    text += &array("proxy_options", &proxy_options(checked, bootstrap.is_some()));
    if let Some(image) = checked.app_image {
        text += &format!("app_image={}\n", quote(image));
    }
    if let Some(join) = &checked.join {
        text += &format!("join_image={}\n", quote(join.image));
        text += &array("join_options", &join::options(join, checked));
        text += &array("join_arguments", &join::arguments(join, checked));
        text += &format!("join_authority={}\n", quote(join.authority.as_deref().unwrap_or_default()));
    }
    text += &array("images", &images);
    if !registries.is_empty() {
        text += &array("registries", &registries);
    }
    if let Some(bootstrap) = bootstrap {
        text += &format!("bootstrap={}\n", quote(bootstrap));
    }
    text
}

/// Arguments of `docker run` for the proxy.
fn proxy_options(checked: &Checked<'_>, has_bootstrap: bool) -> Vec<String> {
    let mut options = Vec::new();
    let mut volume = |volume: String| options.extend(["--volume".to_owned(), volume]);
    if has_bootstrap {
        volume(BOOTSTRAP.to_owned());
    }
    if has_bootstrap && checked.join.is_some() {
        volume(format!("{CERT_DIR}:{CERT_DIR}:ro"));
    }
    let socket = socket(checked);
    if let Some(path) = &socket {
        // The folder, not the socket: a control plane that starts again makes a new socket.
        let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
        volume(format!("{folder}:{folder}"));
    }
    if *checked.kind == ProxyImage::Envoy {
        return options;
    }
    let endpoint = match (socket, &checked.control_plane) {
        (Some(path), _) => Some(ControlPlaneAddress::Unix(path)),
        (None, address) => address.clone(),
    };
    let resource = Some(format!("APPMESH_RESOURCE_ARN={}", checked.resource));
    let variables = resource.into_iter().chain(endpoint.map(|at| format!("APPMESH_XDS_ENDPOINT={at}")));
    variables.flat_map(|variable| ["--env".to_owned(), variable]).chain(options).collect()
}

/// The socket on the instance that the proxy connects to, if it does.
fn socket(checked: &Checked<'_>) -> Option<String> {
    match &checked.control_plane {
        Some(ControlPlaneAddress::Unix(path)) => Some(path.clone()),
        _ => checked.serves_unix().then(|| SOCKET.to_owned()),
    }
}

fn array(name: &str, words: &[impl AsRef<str>]) -> String {
    let words: Vec<String> = words.iter().map(|word| quote(word.as_ref())).collect();
    format!("{name}=({})\n", words.join(" "))
}

/// `text` as one word of a shell, in single quotes, in which only a single quote means anything.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn rules(checked: &Checked<'_>) -> String {
    // The place of what the kernel has already, which only the instance knows.
    let found = Table { jumps: vec!["$1".to_owned()], ..Table::default() };
    let iptables = |family| found.transaction(&table(&checked.interception, family)).unwrap_or_default();
    let here = |name: &str, mark: &str, text: &str| format!("{name}() {{\n  cat <<{mark}\n{text}END\n}}\n\n");
    let mut text = String::from("\n# What `fleetmesh proxy intercept enable` sets.\n");
    text += &here("iptables_rules", "END", &iptables(Family::V4));
    if checked.interception.ipv6 {
        text += &here("ip6tables_rules", "END", &iptables(Family::V6));
    }
    text += &here("nft_rules", "'END'", &nft::replace(&checked.interception));
    text + &by_iptables(checked.interception.ipv6)
}

/// Both families are tested before either is set, as `fleetmesh proxy intercept` does. A table that cannot be read ends
/// the part: an assignment fails with its command, an argument would not.
fn by_iptables(ipv6: bool) -> String {
    let families: &[&str] = if ipv6 { &["iptables", "ip6tables"] } else { &["iptables"] };
    let lines =
        |line: &dyn Fn(&str) -> String| families.iter().map(|family| line(family)).collect::<String>();
    let restore = |family: &str, option: &str| {
        format!("  {family}_rules \"${family}\" | {family}-restore --noflush -w 5{option}\n")
    };
    [
        format!("intercept_by_iptables() {{\n  local {}\n", families.join(" ")),
        lines(&|family| format!("  {family}=$(deletions {family})\n")),
        lines(&|family| restore(family, " --test")),
        lines(&|family| restore(family, "")),
        "}\n".to_owned(),
    ]
    .concat()
}

#[cfg(test)]
mod tests;
