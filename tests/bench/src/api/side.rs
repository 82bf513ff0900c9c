//! One of the two servers that are compared, as its processes and its files.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use fleetmesh_testbed::cluster::{Cluster, ClusterOptions};
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::standalone::Standalone;

use crate::usage;

/// One of the two.
pub struct Side {
    pub name: &'static str,
    /// From the start of its processes until it is ready.
    pub ready: Duration,
    server: Server,
    /// Last, so that its files go last.
    _run: RunDir,
}

enum Server {
    Standalone(Box<Standalone>),
    Kubernetes(Box<Cluster>),
}

impl Side {
    /// `fleetmesh standalone` in an empty directory.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn standalone() -> Result<Self> {
        let run = RunDir::new("bench-api")?;
        let start = Instant::now();
        let standalone = Standalone::start(&run).await?;
        let server = Server::Standalone(Box::new(standalone));
        Ok(Self { name: "standalone", ready: start.elapsed(), server, _run: run })
    }

    /// etcd and kube-apiserver in an empty directory.
    ///
    /// # Errors
    /// They do not become ready.
    pub async fn kubernetes() -> Result<Self> {
        let run = RunDir::new("bench-api")?;
        let start = Instant::now();
        let options = ClusterOptions { durable: true, ..ClusterOptions::default() };
        let server = Server::Kubernetes(Box::new(Cluster::start_with(&run, options).await?));
        Ok(Self { name: "kube-apiserver", ready: start.elapsed(), server, _run: run })
    }

    pub fn is_standalone(&self) -> bool {
        matches!(self.server, Server::Standalone(_))
    }

    /// The administrator's.
    pub fn kubeconfig(&self) -> PathBuf {
        match &self.server {
            Server::Standalone(standalone) => standalone.kubeconfig(),
            Server::Kubernetes(cluster) => cluster.admin_kubeconfig(),
        }
    }

    /// What its processes have in memory now, in MB (10^6 bytes).
    ///
    /// # Errors
    /// One of them is gone.
    pub fn rss_mb(&self) -> Result<f64> {
        let processes = match &self.server {
            Server::Standalone(standalone) => vec![standalone.id()],
            Server::Kubernetes(cluster) => cluster.processes(),
        };
        let mut bytes = 0;
        for process in processes {
            bytes += usage::of(process)?.rss;
        }
        Ok(bytes as f64 / 1e6)
    }

    /// What its files take, in MB (10^6 bytes).
    ///
    /// # Errors
    /// They cannot be read.
    pub fn disk_mb(&self) -> Result<f64> {
        let folder = match &self.server {
            Server::Standalone(standalone) => standalone.data_dir(),
            Server::Kubernetes(cluster) => cluster.folder(),
        };
        Ok(size(folder)? as f64 / 1e6)
    }
}

/// The bytes that files below `folder` have on disk. One that goes away meanwhile counts as none.
fn size(folder: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path())?,
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        };
    }
    Ok(bytes)
}
