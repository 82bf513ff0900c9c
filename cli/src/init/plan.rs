//! What is to be written, and whether its names fit together. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::name::{Host, Label, MAX_HOST, MAX_LABEL, NameError};

/// The most services: a node has the others as backends, of which App Mesh takes 50.
const MAX_SERVICES: usize = 51;
/// The names of the two versions.
pub const VERSIONS: [&str; 2] = ["v1", "v2"];

/// A service, as it is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: Label,
    pub port: Option<u16>,
}

/// The DNS name of a virtual node's instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeHost {
    pub node: String,
    pub host: Host,
}

/// What services speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http,
    Http2,
    Grpc,
    Tcp,
}

/// A mesh to write.
#[derive(Clone, Debug)]
pub struct Plan {
    pub mesh: Label,
    pub namespace: Label,
    pub services: Vec<Service>,
    pub port: u16,
    pub protocol: Protocol,
    pub suffix: Host,
    pub hostnames: Vec<NodeHost>,
    pub canary: bool,
}

/// Why a service, or a node with its DNS name, is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// The name is none.
    #[error("the name {0:?}: {1}")]
    Name(String, NameError),
    /// The port is none.
    #[error("the port {0:?}: 1 to 65535 are possible, for example orders:8080")]
    Port(String),
    /// It is no pair.
    #[error("it has to be NODE=NAME, for example orders=orders.example.com")]
    Pair,
}

/// Why names do not fit together: wrong usage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// One is there twice.
    #[error("nothing was written: the service {0} is named twice; name it once")]
    Twice(Label),
    /// There are too many.
    #[error(
        "nothing was written: {0} services are named, at most {MAX_SERVICES} are possible: each has the others as backends, and App Mesh \
         takes 50; name the others in a second run for another folder"
    )]
    Many(usize),
    /// A name is too long for what is made of it.
    #[error("nothing was written: the name {name} has {} characters, at most {bound} are possible; {way_out}", name.len())]
    Long { name: String, bound: usize, way_out: &'static str },
    /// A node's DNS name is given, and the node is none.
    #[error("nothing was written: --hostname {node}: there is no such node; the nodes are {nodes}")]
    NoNode { node: String, nodes: String },
    /// A canary cannot be judged.
    #[error(
        "nothing was written: --canary with --protocol tcp: a canary is judged by counted requests, of which there are none over tcp; leave \
         out one of the two"
    )]
    TcpCanary,
}

impl FromStr for Service {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        };
        let port = port.map(|port| match port.parse() {
            Ok(0) | Err(_) => Err(WordError::Port(port.to_owned())),
            Ok(number) => Ok(number),
        });
        let name = name.parse().map_err(|error| WordError::Name(name.to_owned(), error))?;
        Ok(Self { name, port: port.transpose()? })
    }
}

impl FromStr for NodeHost {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let (node, host) = text.split_once('=').ok_or(WordError::Pair)?;
        let host = host.parse().map_err(|error| WordError::Name(host.to_owned(), error))?;
        Ok(Self { node: node.to_owned(), host })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
        })
    }
}

impl Plan {
    /// The plan, if its names fit together.
    ///
    /// # Errors
    /// They do not.
    pub fn checked(self) -> Result<Self, PlanError> {
        if self.canary && self.protocol == Protocol::Tcp {
            return Err(PlanError::TcpCanary);
        }
        if self.services.len() > MAX_SERVICES {
            return Err(PlanError::Many(self.services.len()));
        }
        let mut seen = BTreeSet::new();
        for service in &self.services {
            if !seen.insert(&service.name) {
                return Err(PlanError::Twice(service.name.clone()));
            }
            self.host_fits(self.host(service))?;
        }
        let nodes: Vec<String> = self.services.iter().flat_map(|service| self.nodes(service)).collect();
        nodes.iter().try_for_each(|node| self.node_fits(node))?;
        match self.hostnames.iter().find(|one| !nodes.contains(&one.node)) {
            Some(NodeHost { node, .. }) => {
                Err(PlanError::NoNode { node: node.clone(), nodes: nodes.join(", ") })
            }
            None => Ok(self),
        }
    }

    /// The nodes of a service.
    pub fn nodes(&self, service: &Service) -> Vec<String> {
        if self.canary {
            return VERSIONS.iter().map(|version| service.name.with(version)).collect();
        }
        vec![service.name.to_string()]
    }

    /// The name that callers use.
    pub fn host(&self, service: &Service) -> String {
        format!("{}.{}", service.name, self.suffix)
    }

    /// The DNS name of a node's instances.
    pub fn hostname(&self, node: &str) -> String {
        let given = self.hostnames.iter().find(|one| one.node == node);
        given.map_or_else(|| format!("{node}.{}", self.suffix), |one| one.host.to_string())
    }

    fn node_fits(&self, node: &str) -> Result<(), PlanError> {
        if node.len() > MAX_LABEL {
            let way_out = "take a shorter name, or leave out --canary";
            return Err(PlanError::Long { name: node.to_owned(), bound: MAX_LABEL, way_out });
        }
        self.host_fits(self.hostname(node))
    }

    fn host_fits(&self, name: String) -> Result<(), PlanError> {
        if name.len() > MAX_HOST {
            let way_out = "take a shorter --dns-suffix";
            return Err(PlanError::Long { name, bound: MAX_HOST, way_out });
        }
        Ok(())
    }
}
