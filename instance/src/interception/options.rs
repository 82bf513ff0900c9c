//! The options of interception, checked: neither incomplete nor contradictory. Pure.

use std::collections::BTreeSet;

use fleetmesh_api::ports;
use serde::Serialize;

use super::Network;

/// The port of SSH, which is never intercepted, so that no mistake locks a person out.
const SSH: u16 = 22;

/// The greatest user or group id that App Mesh's proxies may have.
pub const MAX_ID: u32 = 2_147_483_647;

/// Which connections of this machine go through its proxy.
///
/// A value made by [`Interception::new`] is complete and free of contradictions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Interception {
    /// Outgoing connections of these users stay as they are; the proxy's own user is one of them.
    pub ignored_uids: BTreeSet<u32>,
    /// Outgoing connections of these groups stay as they are.
    pub ignored_gids: BTreeSet<u32>,
    /// Incoming connections; none are intercepted when the application listens on no port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// The port on which the proxy takes outgoing connections.
    pub egress_port: u16,
    /// Outgoing connections to these addresses stay as they are.
    pub ignored_networks: BTreeSet<Network>,
    /// Outgoing connections to these ports stay as they are; SSH's is always one of them.
    pub ignored_egress_ports: BTreeSet<u16>,
    /// Whether IPv6 is intercepted too.
    pub ipv6: bool,
    /// What only some users reach; nothing is kept from anybody when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
}

/// What only some users of this machine reach. It holds for both address families, whatever is intercepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Guard {
    /// Whether EC2's instance metadata service is kept from everybody else.
    pub metadata: bool,
    /// TCP ports of this machine that are kept from everybody else, such as that of Envoy's admin interface.
    pub ports: BTreeSet<u16>,
    /// The users who reach them, at least one.
    pub uids: BTreeSet<u32>,
    /// Groups that do not reach them, whatever their users.
    pub denied_gids: BTreeSet<u32>,
}

/// Which incoming connections go through the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// The ports on which the application listens, at least one.
    pub app_ports: BTreeSet<u16>,
    /// The port on which the proxy takes incoming connections.
    pub port: u16,
}

/// Why options are refused. Nothing has been touched then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsRefusal {
    /// Nothing would distinguish the proxy's connections from the application's.
    #[error(
        "--ignore-uid and --ignore-gid are both empty, so the proxy's own connections would be sent back to it: \
         give the user (--ignore-uid 1337) or the group that Envoy runs as"
    )]
    NoProxyIdentity,
    /// There is no port to send outgoing connections to.
    #[error(
        "--egress-port is empty: give the port on which Envoy takes outgoing connections (--egress-port {})",
        ports::EGRESS
    )]
    NoEgressPort,
    /// There is no port to send incoming connections to.
    #[error(
        "--ingress-port is empty although --app-ports is not: give the port on which Envoy takes incoming connections \
         (--ingress-port {}), or empty --app-ports to leave incoming connections alone",
        ports::INGRESS
    )]
    NoIngressPort,
    /// Both directions would arrive at one listener.
    #[error("--ingress-port and --egress-port are both {0}: Envoy listens on two different ports")]
    SamePorts(u16),
    /// What is guarded would be out of everybody's reach.
    #[error(
        "--guard-uids is empty although --guard-metadata or --guard-ports is given: name the users who need them, \
         root and Envoy's (--guard-uids 0,1337)"
    )]
    NoGuardUser,
    /// A proxy's port is said to be the application's.
    #[error(
        "--app-ports contains {port}, which is the port of --{option}: connections to the proxy would loop"
    )]
    AppPortIsProxyPort {
        /// The port in question.
        port: u16,
        /// The option that has it as well.
        option: &'static str,
    },
}

/// Options as a person gave them, each of the right type.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Users to ignore.
    pub ignored_uids: BTreeSet<u32>,
    /// Groups to ignore.
    pub ignored_gids: BTreeSet<u32>,
    /// Ports of the application.
    pub app_ports: BTreeSet<u16>,
    /// The proxy's port for incoming connections.
    pub ingress_port: Option<u16>,
    /// The proxy's port for outgoing connections.
    pub egress_port: Option<u16>,
    /// Destinations to ignore.
    pub ignored_networks: BTreeSet<Network>,
    /// Destination ports to ignore.
    pub ignored_egress_ports: BTreeSet<u16>,
    /// Whether IPv6 is intercepted too.
    pub ipv6: bool,
    /// Whether the metadata service is guarded.
    pub guard_metadata: bool,
    /// Ports of this machine that are guarded.
    pub guard_ports: BTreeSet<u16>,
    /// Users who reach what is guarded.
    pub guard_uids: BTreeSet<u32>,
    /// Groups that do not, whatever their users.
    pub guard_denied_gids: BTreeSet<u32>,
}

impl Interception {
    /// Checks `options` together.
    pub fn new(options: Options) -> Result<Self, OptionsRefusal> {
        let Options {
            ignored_uids,
            ignored_gids,
            app_ports,
            ingress_port,
            egress_port,
            ignored_networks,
            mut ignored_egress_ports,
            ipv6,
            guard_metadata: metadata,
            guard_ports: ports,
            guard_uids: uids,
            guard_denied_gids: denied_gids,
        } = options;
        if ignored_uids.is_empty() && ignored_gids.is_empty() {
            return Err(OptionsRefusal::NoProxyIdentity);
        }
        let egress_port = egress_port.ok_or(OptionsRefusal::NoEgressPort)?;
        let ingress = ingress(app_ports, ingress_port, egress_port)?;
        let guard = guard(Guard { metadata, ports, uids, denied_gids })?;
        ignored_egress_ports.insert(SSH);
        Ok(Self {
            ignored_uids,
            ignored_gids,
            ingress,
            egress_port,
            ignored_networks,
            ignored_egress_ports,
            ipv6,
            guard,
        })
    }
}

fn guard(guard: Guard) -> Result<Option<Guard>, OptionsRefusal> {
    match (guard.metadata || !guard.ports.is_empty(), guard.uids.is_empty()) {
        (false, _) => Ok(None),
        (true, true) => Err(OptionsRefusal::NoGuardUser),
        (true, false) => Ok(Some(guard)),
    }
}

fn ingress(
    app_ports: BTreeSet<u16>,
    port: Option<u16>,
    egress_port: u16,
) -> Result<Option<Ingress>, OptionsRefusal> {
    if port == Some(egress_port) {
        return Err(OptionsRefusal::SamePorts(egress_port));
    }
    if app_ports.is_empty() {
        return Ok(None);
    }
    let port = port.ok_or(OptionsRefusal::NoIngressPort)?;
    for (taken, option) in [(port, "ingress-port"), (egress_port, "egress-port")] {
        if app_ports.contains(&taken) {
            return Err(OptionsRefusal::AppPortIsProxyPort { port: taken, option });
        }
    }
    Ok(Some(Ingress { app_ports, port }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            ignored_uids: [1337].into(),
            app_ports: [8000].into(),
            ingress_port: Some(15000),
            egress_port: Some(15001),
            ..Options::default()
        }
    }

    #[test]
    fn ssh_is_always_left_alone() {
        let made =
            Interception::new(Options { ignored_egress_ports: [25].into(), ..options() }).expect("complete");
        assert_eq!(made.ignored_egress_ports, [22, 25].into());
    }

    #[test]
    fn no_application_port_means_no_ingress() {
        let made = Interception::new(Options { app_ports: [].into(), ingress_port: None, ..options() });
        assert_eq!(made.map(|made| made.ingress), Ok(None));
    }

    #[test]
    fn users_alone_guard_nothing() {
        let made = Interception::new(Options { guard_uids: [0, 1337].into(), ..options() });
        assert_eq!(made.map(|made| made.guard), Ok(None));
    }

    #[test]
    fn a_group_alone_identifies_the_proxy() {
        let made =
            Interception::new(Options { ignored_uids: [].into(), ignored_gids: [1337].into(), ..options() });
        assert!(made.is_ok());
    }

    #[test]
    fn rejects_what_is_missing_or_contradicts_itself() {
        let cases = [
            (Options { ignored_uids: [].into(), ..options() }, OptionsRefusal::NoProxyIdentity),
            (Options { egress_port: None, ..options() }, OptionsRefusal::NoEgressPort),
            (Options { ingress_port: None, ..options() }, OptionsRefusal::NoIngressPort),
            (Options { guard_metadata: true, ..options() }, OptionsRefusal::NoGuardUser),
            (Options { guard_ports: [9901].into(), ..options() }, OptionsRefusal::NoGuardUser),
            (Options { ingress_port: Some(15001), ..options() }, OptionsRefusal::SamePorts(15001)),
            (
                Options { app_ports: [80, 15000].into(), ..options() },
                OptionsRefusal::AppPortIsProxyPort { port: 15000, option: "ingress-port" },
            ),
            (
                Options { app_ports: [80, 15001].into(), ..options() },
                OptionsRefusal::AppPortIsProxyPort { port: 15001, option: "egress-port" },
            ),
        ];
        for (options, refusal) in cases {
            assert_eq!(Interception::new(options), Err(refusal));
        }
    }
}
