//! The flags of `fleetmesh init`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::name::{Host, Label};
use super::plan::{NodeHost, Plan, PlanError, Protocol, Service};

/// Write a first mesh for the services that you name, as manifests in a folder
///
/// What is in the folder then is for `fleetmesh standalone --manifests DIR` and for `kubectl apply -R -f DIR`, and yours to edit: a Mesh and
/// a Namespace, and for each service its VirtualNode, VirtualRouter, Route and VirtualService. Nothing is applied.
#[derive(Args, Clone, Debug)]
pub struct InitArgs {
    /// The folder; made if need be
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// A service: its name, and the port that it listens on unless that is --port
    #[arg(value_name = "NAME[:PORT]")]
    pub services: Vec<Service>,

    /// The mesh
    #[arg(long, value_name = "NAME", default_value = "apps")]
    pub mesh: Label,

    /// The namespace of everything in the mesh
    #[arg(short, long, value_name = "NAME", default_value = "apps")]
    pub namespace: Label,

    /// What the services speak
    #[arg(long, value_enum, default_value_t = ProtocolArg::Http)]
    pub protocol: ProtocolArg,

    /// The port of services that are named without one
    #[arg(long, value_name = "PORT", default_value_t = 80, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// What follows the services' names in the names that callers use; NAMESPACE.local by default
    #[arg(long, value_name = "NAME")]
    pub dns_suffix: Option<Host>,

    /// The DNS name of a virtual node's instances, instead of NODE.SUFFIX; may be repeated
    #[arg(long = "hostname", value_name = "NODE=NAME")]
    pub hostnames: Vec<NodeHost>,

    /// Two versions of each service, NAME-v1 and NAME-v2, and a route that goes from one to the other in steps
    #[arg(long)]
    pub canary: bool,

    /// Write over files of the same names
    #[arg(long)]
    pub force: bool,
}

/// What services speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProtocolArg {
    /// HTTP/1.1
    Http,
    /// HTTP/2
    Http2,
    /// gRPC
    Grpc,
    /// Anything else
    Tcp,
}

impl InitArgs {
    /// What is to be written.
    ///
    /// # Errors
    /// The names do not fit together.
    pub fn plan(&self) -> Result<Plan, PlanError> {
        let suffix = match &self.dns_suffix {
            Some(suffix) => suffix.clone(),
            None => Host::below(&self.namespace, "local"),
        };
        let protocol = match self.protocol {
            ProtocolArg::Http => Protocol::Http,
            ProtocolArg::Http2 => Protocol::Http2,
            ProtocolArg::Grpc => Protocol::Grpc,
            ProtocolArg::Tcp => Protocol::Tcp,
        };
        let plan = Plan {
            mesh: self.mesh.clone(),
            namespace: self.namespace.clone(),
            services: self.services.clone(),
            port: self.port,
            protocol,
            suffix,
            hostnames: self.hostnames.clone(),
            canary: self.canary,
        };
        plan.checked()
    }
}
