//! A folder of `tests/data/releases`: what a release left behind, put in place again.

use std::path::PathBuf;
use std::process::Command;

use fleetmesh_testbed::moto::Moto;
use fleetmesh_testbed::proxies::Running;
use fleetmesh_testbed::tools;
use serde_json::Value;

use super::calls::{self, Call};
use crate::bed::HelmBed;

/// Makes a database from the SQL on standard input.
const LOAD: &str =
    "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())";

/// A kept release.
pub struct Kept {
    /// Its commit.
    pub name: String,
    folder: PathBuf,
}

/// `tests/data/releases`.
pub fn folder() -> PathBuf {
    std::path::absolute("data/releases").unwrap()
}

impl Kept {
    pub fn all() -> Vec<Self> {
        let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
        let folders = entries.filter(|path| path.is_dir());
        folders
            .map(|folder| Self { name: folder.file_name().unwrap().to_str().unwrap().to_owned(), folder })
            .collect()
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file)).unwrap()
    }

    /// Its chart, packaged.
    pub fn chart(&self) -> PathBuf {
        self.folder.join("fleetmesh-0.1.0.tgz")
    }

    /// What its proxy ran.
    pub fn running(&self) -> Running {
        serde_json::from_str(&self.text("proxy.json")).unwrap()
    }

    /// The types of what the changelog says that an upgrade from it pushes to its proxy, in order.
    pub fn pushed(&self) -> Vec<String> {
        self.text("pushed.txt").lines().map(str::to_owned).collect()
    }

    /// Makes again in AWS what it made there, and puts its objects where the API server keeps them, with their uids and status;
    /// gives how many there are.
    pub async fn put_in_place(&self, bed: &HelmBed, moto: &Moto) -> usize {
        let calls = self.text("aws.jsonl");
        let calls: Vec<Call> = calls.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ids = calls::again(&calls, &moto.endpoint()).await;
        bed.kubectl.run(&["create", "namespace", "apps"]).await.unwrap();
        let (etcd, text) = (bed.cluster.etcd().unwrap(), calls::renamed(&self.text("objects.jsonl"), &ids));
        for line in text.lines() {
            let pair: Value = serde_json::from_str(line).unwrap();
            etcd.put(pair["key"].as_str().unwrap(), &pair["value"].to_string()).await.unwrap();
        }
        text.lines().count()
    }

    /// Puts its database on the control plane's volume.
    pub fn database(&self, bed: &HelmBed) {
        let database = bed.run.join("control-plane.db");
        let mut load = Command::new(tools::tool("python").unwrap());
        load.args(["-c", LOAD]).arg(&database).arg(self.folder.join("control-plane.sql"));
        let loaded = load.output().unwrap();
        assert!(loaded.status.success(), "{loaded:?}");
        bed.control_plane.put("data", "control-plane.db", &std::fs::read(database).unwrap());
    }
}
