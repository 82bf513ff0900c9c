//! The script that joins an instance to the mesh: values at the top, parts that never change below them. Pure.
//!
//! Every value from a person is in a variable, quoted; nothing below the variables depends on one. The exception are the rules of
//! interception, which consist of numbers and addresses only.

use super::check::{APP_GID, Checked};
use super::error::UserDataError;
use super::join::{self, SOCKET};
use super::options::ProxyImage;
use crate::bootstrap::{Bootstrap, CERT_DIR, ControlPlaneAddress};
use crate::interception::iptables::{Family, Table, table};
use crate::interception::{Interception, nft};

/// Where the script puts the configuration of a stock Envoy, and where its image looks for it.
const BOOTSTRAP: &str = "/var/lib/fleetmesh/envoy.yaml:/etc/envoy/envoy.yaml:ro";

/// Where our resolver listens: not where a resolver of the machine's own may, 127.0.0.1 and 127.0.0.53 among them.
const DNS_ADDRESS: &str = "127.0.0.153";
/// How a container sees the servers that the machine had before our resolver: a service and what is behind it may have one name.
pub(super) const RESOLV_CONF: &str = "/var/lib/fleetmesh/resolv.conf:/etc/resolv.conf:ro";
/// How the application's container sees our resolver.
const DNS_CONF: &str = "/var/lib/fleetmesh/dns.conf:/etc/resolv.conf:ro";

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
    let intercepts = checked.interception.is_some();
    let pieces = [
        (true, "common", include_str!("parts/common.sh"), &["run_at_every_boot", "install_docker"][..]),
        (needs_login, "ecr", include_str!("parts/ecr.sh"), &["install_aws_cli", "log_in_to_registries"]),
        (bootstrap.is_some(), "bootstrap", include_str!("parts/bootstrap.sh"), &["write_bootstrap"]),
        (true, "images", "", &["pull_images"]),
        (checked.dns, "dns", include_str!("parts/dns.sh"), &["keep_resolvers"]),
        (checked.join.is_some(), "join", include_str!("parts/join.sh"), &["start_join", "await_join"]),
        (!intercepts, "gateway", include_str!("parts/gateway.sh"), &["open_low_ports"]),
        (true, "proxy", include_str!("parts/proxy.sh"), &["start_proxy", "await_proxy"]),
        (intercepts, "firewall", include_str!("parts/firewall.sh"), &["install_firewall"]),
        (intercepts, "intercept", include_str!("parts/intercept.sh"), &["intercept"]),
        (checked.dns, "names", "", &["start_dns", "resolve_by_dns"]),
        (checked.app_image.is_some(), "app", include_str!("parts/app.sh"), &["start_application"]),
    ];
    let mut made = Script {
        values: values(checked, bootstrap.as_deref()),
        functions: String::new(),
        rules: checked.interception.as_ref().map(rules).unwrap_or_default(),
        calls: String::new(),
    };
    for (_, _, text, calls) in pieces.iter().filter(|(wanted, ..)| *wanted) {
        if !text.is_empty() {
            made.functions += &format!("\n{}", without_comments(text));
        }
        made.calls += &calls.iter().map(|call| format!("part {call}\n")).collect::<String>();
    }
    made.calls.insert(0, '\n');
    Ok(made)
}

/// A part without the lines that are comments, which are for whoever reads it here: user data has a bound.
fn without_comments(part: &str) -> String {
    part.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| [line, "\n"]).collect()
}

/// The configuration of a stock Envoy, when the image may be one and there is a control plane to send the rest.
fn bootstrap(checked: &Checked<'_>) -> Result<Option<String>, UserDataError> {
    match (&checked.control_plane, checked.kind) {
        (None, _) | (_, ProxyImage::AppMesh) => Ok(None),
        (Some(address), _) => {
            let mut bootstrap = Bootstrap::new(&checked.resource, address.clone());
            if checked.join.is_some() {
                join::sds_socket(checked).clone_into(&mut bootstrap.sds_socket);
            }
            Ok(Some(bootstrap.narrow_yaml()?))
        }
    }
}

fn values(checked: &Checked<'_>, bootstrap: Option<&str>) -> String {
    let images: Vec<&str> = checked.images().collect();
    let registries: Vec<String> = checked.registries().iter().map(ToString::to_string).collect();
    let mut text = format!("proxy_image={}\nproxy_uid={}\n", quote(&checked.proxy_image), checked.uid);
    text += &array("proxy_options", &proxy_options(checked, bootstrap.is_some()));
    if let Some(image) = checked.app_image {
        text += &format!("app_image={}\n", quote(image));
        let group = if checked.metadata { String::new() } else { APP_GID.to_string() };
        text += &format!("app_gid={group}\n");
    }
    if let Some(join) = &checked.join {
        text += &format!("join_image={}\n", quote(join.image));
        text += &array("join_options", &join::options(join, checked));
        text += &array("join_arguments", &join::arguments(join, checked));
        text += &format!("join_authority={}\n", quote(join.authority.as_deref().unwrap_or_default()));
    }
    if checked.dns {
        text += &format!("dns_address={DNS_ADDRESS}\n");
        text += &array("dns_options", &volume(RESOLV_CONF));
        text += &array("app_dns", &volume(DNS_CONF));
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
    if checked.dns {
        volume(RESOLV_CONF.to_owned());
    }
    let socket = socket(checked);
    if let Some(path) = &socket {
        // The folder, not the socket: whoever serves it and starts again makes a new one.
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
    let endpoint = endpoint.map(|at| format!("APPMESH_XDS_ENDPOINT={at}"));
    let joins = checked.join.as_ref();
    let secrets = joins.map(|_| format!("APPMESH_SDS_SOCKET_PATH={}", join::sds_socket(checked)));
    let variables = resource.into_iter().chain(endpoint).chain(secrets);
    variables.flat_map(|variable| ["--env".to_owned(), variable]).chain(options).collect()
}

/// The socket on the instance that the proxy connects to, if it does.
fn socket(checked: &Checked<'_>) -> Option<String> {
    match &checked.control_plane {
        Some(ControlPlaneAddress::Unix(path)) => Some(path.clone()),
        _ => checked.serves_unix().then(|| SOCKET.to_owned()),
    }
}

fn volume(volume: &str) -> [&str; 2] {
    ["--volume", volume]
}

fn array(name: &str, words: &[impl AsRef<str>]) -> String {
    let words: Vec<String> = words.iter().map(|word| quote(word.as_ref())).collect();
    format!("{name}=({})\n", words.join(" "))
}

/// `text` as one word of a shell, in single quotes, in which only a single quote means anything.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn rules(interception: &Interception) -> String {
    // The place of what the kernel has already, which only the instance knows.
    let place = |name: &str| vec![name.to_owned()];
    let iptables = |family| {
        let wanted = table(interception, family);
        // A kernel may have no nat for a family that is not intercepted.
        let jumps = if wanted.egress.is_some() { place("$1") } else { Vec::new() };
        let found = Table { jumps, guard_jumps: place("$2"), ..Table::default() };
        found.transaction(&wanted).unwrap_or_default()
    };
    let here = |name: &str, mark: &str, text: &str| format!("{name}() {{\n  cat <<{mark}\n{text}END\n}}\n\n");
    [
        "\n# What `fleetmesh proxy intercept enable` sets.\n".to_owned(),
        here("iptables_rules", "END", &iptables(Family::V4)),
        here("ip6tables_rules", "END", &iptables(Family::V6)),
        here("nft_rules", "'END'", &nft::replace(interception)),
    ]
    .concat()
}

#[cfg(test)]
mod tests;
