//! What a kubelet does for a Pod of one container, on this machine: volumes, the ServiceAccount's token, environment,
//! names, user and a read-only root. The image is the program and what the loader of a debug build needs.

use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{command, tools};
use serde_json::Value;

/// Where a token is in every Pod.
const ACCOUNT: &str = "var/run/secrets/kubernetes.io/serviceaccount";
/// Longer than any start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Mounts the rest of its arguments (`SOURCE TARGET …`, up to `--`) below the root, which becomes read-only with the
/// targets left as they are, and becomes the command after them inside that root.
const ENTER: &str = r#"set -e
root=$1; shift
mount --bind "$root" "$root"
for folder in proc dev; do mount --rbind "/$folder" "$root/$folder"; done
while [ "$1" != -- ]; do mount --bind "$1" "$root/$2"; shift 2; done
shift
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@""#;

/// Asks once as a kubelet does, which does not verify certificates.
const PROBE: &str = r#"
import ssl, sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=5, context=ssl._create_unverified_context())
"#;

/// A Pod of a workload, running.
pub struct Pod {
    name: String,
    namespace: String,
    template: Value,
    folder: PathBuf,
    process: Option<Process>,
}

impl Pod {
    /// A Pod of the template of `workload`, not started; its files go to `pods/NAME` of `run`.
    pub fn new(workload: &Value, run: &RunDir) -> Self {
        let text = |member: &str| workload["metadata"][member].as_str().unwrap().to_owned();
        let (name, namespace) = (format!("{}-0", text("name")), text("namespace"));
        let mut template = workload["spec"]["template"]["spec"].clone();
        for claim in workload["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
            let volume =
                serde_json::json!({ "name": claim["metadata"]["name"], "persistentVolumeClaim": {} });
            template["volumes"].as_array_mut().unwrap().push(volume);
        }
        let folder = run.join("pods").join(&name);
        Self { name, namespace, template, folder, process: None }
    }

    /// Another Pod of the same workload. Pods of one machine share its network here, so its port `port` of this name is
    /// another one, in the arguments too.
    pub fn replica(workload: &Value, index: usize, (name, port): (&str, u16), run: &RunDir) -> Self {
        let mut pod = Self::new(workload, run);
        pod.name = pod.name.replace("-0", &format!("-{index}"));
        pod.folder = run.join("pods").join(&pod.name);
        let container = &mut pod.template["containers"][0];
        let ports = container["ports"].as_array_mut().unwrap();
        let entry = ports.iter_mut().find(|entry| entry["name"] == name).expect("a port of that name");
        let old = format!(":{}", entry["containerPort"]);
        entry["containerPort"] = port.into();
        for argument in container["args"].as_array_mut().unwrap() {
            let text = argument.as_str().unwrap();
            if let Some(start) = text.strip_suffix(&old).filter(|text| text.starts_with("--health-listen=")) {
                *argument = format!("{start}:{port}").into();
            }
        }
        pod
    }

    fn container(&self) -> &Value {
        let containers = self.template["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 1, "one container a Pod");
        &containers[0]
    }

    /// Where a volume lies.
    pub fn volume(&self, name: &str) -> PathBuf {
        self.folder.join("volumes").join(name)
    }

    /// The container's id of user and group.
    fn id(&self) -> u32 {
        let id = |member: &str| self.template["securityContext"][member].as_u64().unwrap();
        assert_eq!((id("runAsUser"), id("runAsUser")), (id("runAsGroup"), id("fsGroup")));
        u32::try_from(id("runAsUser")).unwrap()
    }

    /// Puts the data of Secrets and ConfigMaps as it is now into the volumes, also while the container runs.
    pub async fn sync(&self, kubectl: &Kubectl) {
        for volume in self.template["volumes"].as_array().unwrap() {
            let folder = self.volume(volume["name"].as_str().unwrap());
            std::fs::create_dir_all(&folder).unwrap();
            if volume.get("persistentVolumeClaim").is_some() {
                chown(&folder, Some(0), Some(self.id())).unwrap();
                std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o2775)).unwrap();
                continue;
            }
            let (kind, source, name) = match volume.get("configMap") {
                Some(source) => ("configmap", source, &source["name"]),
                None => ("secret", &volume["secret"], &volume["secret"]["secretName"]),
            };
            let name = name.as_str().expect("a Secret, a ConfigMap or a claim");
            let found = kubectl.json(&["get", kind, name, "-n", &self.namespace]).await.unwrap();
            for item in source["items"].as_array().expect("each is mounted by its items") {
                let (key, path) = (item["key"].as_str().unwrap(), item["path"].as_str().unwrap());
                let text = found["data"][key].as_str().expect(key);
                let data = match kind {
                    "secret" => BASE64_STANDARD.decode(text).unwrap(),
                    _ => text.as_bytes().to_vec(),
                };
                self.write(&folder.join(path), &data, source["defaultMode"].as_u64().unwrap());
            }
        }
    }

    /// Puts a file of the container's on a volume that outlives Pods.
    pub fn put(&self, volume: &str, file: &str, data: &[u8]) {
        let folder = self.volume(volume);
        std::fs::create_dir_all(&folder).unwrap();
        self.write(&folder.join(file), data, 0o660);
    }

    /// Puts a file in place at once, readable to the container's group.
    fn write(&self, file: &Path, data: &[u8], mode: u64) {
        let partial = file.with_extension("partial");
        std::fs::write(&partial, data).unwrap();
        chown(&partial, Some(0), Some(self.id())).unwrap();
        let mode = std::fs::Permissions::from_mode(u32::try_from(mode).unwrap());
        std::fs::set_permissions(&partial, mode).unwrap();
        std::fs::rename(partial, file).unwrap();
    }

    /// The token, as the kubelet asks for it, with what stands beside it.
    async fn account(&self, kubectl: &Kubectl, authority: &Path) {
        let account = self.template["serviceAccountName"].as_str().unwrap();
        let folder = self.volume("account");
        std::fs::create_dir_all(&folder).unwrap();
        let token = kubectl.run(&["create", "token", account, "-n", &self.namespace]).await.unwrap();
        self.write(&folder.join("token"), token.trim().as_bytes(), 0o640);
        self.write(&folder.join("namespace"), self.namespace.as_bytes(), 0o644);
        self.write(&folder.join("ca.crt"), &std::fs::read(authority).unwrap(), 0o644);
    }

    /// Lays out the root of the image. Services are all here; of the authorities that an image brings, one will do.
    fn root(&self, cluster: &InCluster) -> PathBuf {
        let root = self.folder.join("root");
        if root.exists() {
            return root;
        }
        for folder in ["etc/ssl/certs", "proc", "dev", "usr", ACCOUNT] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        for folder in ["bin", "lib", "lib64"] {
            match std::fs::read_link(Path::new("/").join(folder)) {
                Ok(target) => symlink(target, root.join(folder)).unwrap(),
                Err(_) => std::fs::create_dir_all(root.join(folder)).unwrap(),
            }
        }
        for mount in self.container()["volumeMounts"].as_array().unwrap() {
            let path = mount["mountPath"].as_str().unwrap().trim_start_matches('/');
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        std::fs::write(root.join("fleetmesh"), "").unwrap();
        let names = format!("127.0.0.1 localhost {}\n", cluster.names.join(" "));
        std::fs::write(root.join("etc/hosts"), names).unwrap();
        std::fs::copy(&cluster.authority, root.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
        std::fs::write(root.join("etc/nsswitch.conf"), "hosts: files\n").unwrap();
        root
    }

    /// Starts the container and awaits that its readiness probe succeeds. `server` is the API server's address.
    pub async fn start(&mut self, kubectl: &Kubectl, cluster: &InCluster, run: &RunDir) {
        self.sync(kubectl).await;
        let root = self.root(cluster);
        let mut enter = Command::new("unshare");
        enter.args(["--mount", "--propagation", "private", "--", "sh", "-c", ENTER, "sh"]).arg(root);
        enter.args(["/usr", "usr"]).arg(tools::fleetmesh().unwrap()).arg("fleetmesh");
        for folder in ["lib", "lib64"] {
            let folder = Path::new("/").join(folder);
            if folder.is_dir() && !folder.is_symlink() {
                enter.arg(&folder).arg(folder.strip_prefix("/").unwrap());
            }
        }
        for mount in self.container()["volumeMounts"].as_array().unwrap() {
            let path = mount["mountPath"].as_str().unwrap().trim_start_matches('/');
            enter.arg(self.volume(mount["name"].as_str().unwrap())).arg(path);
        }
        if self.template["automountServiceAccountToken"] == true {
            self.account(kubectl, &cluster.authority).await;
            enter.arg(self.volume("account")).arg(ACCOUNT);
        }
        enter.args(["--", "/usr/bin/env", "-i"]).args(self.environment(cluster));
        let id = self.id().to_string();
        enter.args(["/usr/bin/setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "--no-new-privs"]);
        enter.args([
            "--bounding-set",
            "-all",
            "--inh-caps",
            "-all",
            "--pdeathsig",
            "KILL",
            "--",
            "/fleetmesh",
        ]);
        enter.args(self.container()["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()));
        self.process = Some(Process::spawn(&self.name, &enter, run).unwrap());
        self.ready().await;
    }

    fn environment(&self, cluster: &InCluster) -> Vec<String> {
        let given = self.container()["env"].as_array().into_iter().flatten();
        let given =
            given.map(|one| format!("{}={}", one["name"].as_str().unwrap(), one["value"].as_str().unwrap()));
        let own = [
            format!("HOSTNAME={}", self.name),
            "KUBERNETES_SERVICE_HOST=127.0.0.1".to_owned(),
            format!("KUBERNETES_SERVICE_PORT={}", cluster.port),
        ];
        given.chain(own).collect()
    }

    /// Awaits that the readiness probe succeeds, as the template writes it.
    async fn ready(&mut self) {
        let container = self.container();
        let probe = &container["readinessProbe"]["httpGet"];
        let ports = container["ports"].as_array().unwrap();
        let port = ports.iter().find(|port| port["name"] == probe["port"]).expect("a port of that name");
        let scheme = probe["scheme"].as_str().unwrap_or("HTTP").to_lowercase();
        let url =
            format!("{scheme}://127.0.0.1:{}{}", port["containerPort"], probe["path"].as_str().unwrap());
        let process = self.process.as_mut().unwrap();
        process
            .until("its readiness probe succeeds", START, async |_| {
                let mut python = Command::new(tools::tool("python")?);
                python.args(["-c", PROBE, &url]);
                command::run(python).await.map(Some)
            })
            .await
            .unwrap();
    }

    /// Kills the container (SIGKILL).
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Fails when the container has ended.
    pub fn ensure_running(&mut self) {
        self.process.as_mut().expect("a started Pod").ensure_running().unwrap();
    }

    /// Loses the volume that outlives Pods.
    pub fn lose(&self, volume: &str) {
        std::fs::remove_dir_all(self.volume(volume)).unwrap();
    }
}

/// What Pods know of the cluster.
pub struct InCluster {
    /// The API server's port on loopback.
    pub port: u16,
    /// The file with the API server's authority.
    pub authority: PathBuf,
    /// The names of Services.
    pub names: Vec<String>,
}
