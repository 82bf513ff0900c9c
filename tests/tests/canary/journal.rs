//! Every version of every Route, as a watch of the API server shows them: `kubectl get routes --watch`. Nothing that was in
//! force for a moment only is missed, and nobody has to ask again and again.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::scenario::MESH;
use serde_json::Value;

/// The versions so far.
pub struct Journal {
    _watch: Process,
    file: PathBuf,
    read: Mutex<Versions>,
}

#[derive(Default)]
struct Versions {
    offset: u64,
    all: Vec<Arc<Value>>,
}

impl Journal {
    pub async fn start(kubectl: &Kubectl, run: &RunDir) -> Self {
        let watch = kubectl.command(["get", "routes", "--namespace", MESH, "--watch", "--output", "json"]);
        let watch = Process::spawn("routes", &watch, run).unwrap();
        Self { _watch: watch, file: run.join("routes.out"), read: Mutex::default() }
    }

    /// How many versions there are.
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// The versions of `route` from the `from`th of all on, each with its number.
    pub fn of(&self, route: &str, from: usize) -> Vec<(usize, Arc<Value>)> {
        let all = self.all().into_iter().enumerate().skip(from);
        all.filter(|(_, version)| version["metadata"]["name"] == route).collect()
    }

    fn all(&self) -> Vec<Arc<Value>> {
        let mut read = self.read.lock().unwrap();
        let mut file = File::open(&self.file).unwrap();
        file.seek(SeekFrom::Start(read.offset)).unwrap();
        let mut news = Vec::new();
        file.read_to_end(&mut news).unwrap();
        let mut objects = serde_json::Deserializer::from_slice(&news).into_iter::<Value>();
        for object in objects.by_ref() {
            match object {
                Ok(object) => read.all.push(Arc::new(object)),
                // The rest is being written.
                Err(error) if error.is_eof() => break,
                Err(error) => panic!("kubectl prints no JSON: {error}"),
            }
        }
        read.offset += u64::try_from(objects.byte_offset()).unwrap();
        read.all.clone()
    }
}
