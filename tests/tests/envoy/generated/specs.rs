//! Virtual nodes, gateways and meshes, drawn by a seed from all that the API takes and that leaves them reachable.

use fleetmesh_model::ResourceId;
use serde_json::{Value, json};

use super::{NODES, SERVICES, host};
use crate::certificates::Folder;
use crate::spec::{MESH, gateway, mapping, node};

/// What a virtual gateway's listeners speak.
const GATEWAY: [(&str, u16); 2] = [("http", 8088), ("grpc", 8089)];

/// Draws objects.
pub struct Generator<'a> {
    pub rng: fastrand::Rng,
    folder: &'a Folder,
    /// What all listeners of the virtual nodes say of TLS: nothing, or a mode.
    tls: Option<&'static str>,
    /// Whether they ask for a certificate.
    mutual: bool,
}

impl<'a> Generator<'a> {
    pub fn new(seed: u64, folder: &'a Folder) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let tls = rng.choice([None, Some("DISABLED"), Some("PERMISSIVE"), Some("STRICT")]).flatten();
        let mutual = tls.is_some_and(|mode| mode != "DISABLED") && rng.bool();
        Self { rng, folder, tls, mutual }
    }

    /// Everything that is drawn. The objects are the same for every seed.
    pub fn all(&mut self) -> Vec<(ResourceId, Value)> {
        let mut objects = vec![(ResourceId::mesh(MESH), self.mesh())];
        objects.extend(NODES.map(|name| (node(name), self.node())));
        objects.push((node("client"), self.client()));
        objects.push((gateway("edge"), self.gateway()));
        objects.extend(self.routes());
        objects
    }

    pub fn often(&mut self, percent: u32) -> bool {
        self.rng.u32(..100) < percent
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())]
    }

    /// Any text of 1 to `most` characters: quotes, operators, other scripts.
    pub fn text(&mut self, most: usize) -> String {
        let length = self.rng.usize(1..=most);
        (0..length)
            .map(|_| match self.rng.u8(..5) {
                0 => self.pick(&['ä', 'é', '世']),
                1 => self.rng.char('!'..='~'),
                _ => self.rng.alphanumeric(),
            })
            .collect()
    }

    /// Nothing, for ever, or a time that no answer here takes.
    pub fn duration(&mut self) -> Value {
        match self.rng.u8(..3) {
            0 => json!({ "unit": "s", "value": self.rng.u32(5..=600) }),
            1 => json!({ "unit": "ms", "value": self.rng.u32(5_000..=600_000) }),
            _ => json!({ "unit": self.pick(&["s", "ms"]), "value": 0 }),
        }
    }

    fn some_duration(&mut self) -> Value {
        json!({ "unit": "ms", "value": self.rng.u32(1..=60_000) })
    }

    fn mesh(&mut self) -> Value {
        let mut spec = json!({ "egressFilter": { "type": self.pick(&["ALLOW_ALL", "DROP_ALL"]) } });
        if self.often(50) {
            spec["serviceDiscovery"] = json!({ "ipPreference": self.family() });
        }
        spec
    }

    /// There are no IPv6 addresses, so none may be the only ones.
    fn family(&mut self) -> &'static str {
        self.pick(&["IPv4_PREFERRED", "IPv6_PREFERRED", "IPv4_ONLY"])
    }

    fn node(&mut self) -> Value {
        let listeners: Vec<Value> =
            SERVICES.iter().map(|(_, protocol, _, port)| self.listener(protocol, *port)).collect();
        let mut dns = json!({ "hostname": "server.apps.local" });
        if self.often(50) {
            dns["responseType"] = json!(self.pick(&["LOADBALANCER", "ENDPOINTS"]));
        }
        if self.often(30) {
            dns["ipPreference"] = json!(self.family());
        }
        let mut spec = json!({ "listeners": listeners, "serviceDiscovery": { "dns": dns } });
        self.logging(&mut spec);
        spec
    }

    fn listener(&mut self, protocol: &str, port: u16) -> Value {
        let mut listener = json!({ "portMapping": mapping(protocol, port) });
        if self.often(50) {
            listener["timeout"] = self.timeout(protocol);
        }
        if self.often(30) {
            listener["healthCheck"] = self.health_check(&[protocol, "tcp"], port);
        }
        if self.often(30) {
            listener["outlierDetection"] = json!({
                "baseEjectionDuration": self.some_duration(), "interval": self.some_duration(),
                "maxEjectionPercent": self.rng.u8(0..=100), "maxServerErrors": self.rng.u32(1..=100) });
        }
        if self.often(30) {
            listener["connectionPool"] = self.pool(protocol);
        }
        if let Some(mode) = self.tls {
            listener["tls"] = json!({ "mode": mode, "certificate": self.folder.certificate("server") });
            if self.mutual {
                listener["tls"]["validation"] = json!({ "trust": self.folder.trust("ca") });
            }
        }
        listener
    }

    /// The timeouts of a listener or a route.
    pub fn timeout(&mut self, protocol: &str) -> Value {
        let mut of = json!({ "idle": self.duration() });
        if protocol != "tcp" && self.often(70) {
            of["perRequest"] = self.duration();
        }
        json!({ protocol: of })
    }

    fn health_check(&mut self, protocols: &[&str], port: u16) -> Value {
        let protocol = self.pick(protocols).to_owned();
        let mut check = json!({
            "protocol": protocol, "port": port,
            "healthyThreshold": self.rng.u8(2..=10), "unhealthyThreshold": self.rng.u8(2..=10),
            "intervalMillis": self.rng.u32(5_000..=300_000), "timeoutMillis": self.rng.u32(2_000..=60_000) });
        if protocol.starts_with("http") {
            check["path"] = json!(format!("/{}", self.rng.alphanumeric()));
        }
        check
    }

    fn pool(&mut self, protocol: &str) -> Value {
        let mut most = || self.rng.u32(1..=5_000);
        let of = match protocol {
            "http" => json!({ "maxConnections": most(), "maxPendingRequests": most() }),
            "tcp" => json!({ "maxConnections": most() }),
            _ => json!({ "maxRequests": most() }),
        };
        json!({ protocol: of })
    }

    fn logging(&mut self, spec: &mut Value) {
        if self.often(50) {
            let mut file = json!({ "path": "/dev/null" });
            if self.often(50) {
                file["format"] = match self.rng.bool() {
                    true => {
                        json!({ "text": format!("[%START_TIME%] {} %REQ(:PATH)%\n", self.rng.alphanumeric()) })
                    }
                    false => json!({ "json": [{ "key": self.text(20), "value": "%RESPONSE_CODE%" }] }),
                };
            }
            spec["logging"] = json!({ "accessLog": { "file": file } });
        }
    }

    /// How a client calls listeners of which all say the same of TLS.
    fn policy(&mut self) -> Option<Value> {
        let speaks = self.tls.is_some_and(|mode| mode != "DISABLED");
        if !self.mutual && self.often(40) {
            return None;
        }
        let mut tls = json!({ "validation": { "trust": self.folder.trust("ca") } });
        if !speaks || self.often(50) {
            tls["enforce"] = json!(speaks && self.rng.bool());
        }
        if self.mutual || self.often(30) {
            tls["certificate"] = self.folder.certificate("client");
        }
        if self.often(30) {
            tls["validation"]["subjectAlternativeNames"] =
                json!({ "match": { "exact": ["server.apps.local", self.host_name()] } });
        }
        Some(json!({ "tls": tls }))
    }

    pub fn host_name(&mut self) -> String {
        let part: String = (0..self.rng.usize(1..=10)).map(|_| self.rng.lowercase()).collect();
        format!("{part}.example.com")
    }

    fn client(&mut self) -> Value {
        let backends: Vec<Value> = SERVICES
            .iter()
            .map(|(name, ..)| {
                let mut backend = json!({ "virtualServiceName": host(name) });
                if let Some(policy) = self.policy() {
                    backend["clientPolicy"] = policy;
                }
                json!({ "virtualService": backend })
            })
            .collect();
        let mut spec = json!({ "backends": backends });
        if let Some(policy) = self.policy() {
            spec["backendDefaults"] = json!({ "clientPolicy": policy });
        }
        self.logging(&mut spec);
        spec
    }

    fn gateway(&mut self) -> Value {
        let listeners: Vec<Value> = GATEWAY
            .iter()
            .map(|(protocol, port)| {
                let mut listener = json!({ "portMapping": mapping(protocol, *port) });
                if self.often(40) {
                    listener["connectionPool"] = self.pool(protocol);
                }
                if self.often(40) {
                    listener["healthCheck"] = self.health_check(&[protocol], *port);
                }
                listener
            })
            .collect();
        let mut spec = json!({ "listeners": listeners });
        if let Some(policy) = self.policy() {
            spec["backendDefaults"] = json!({ "clientPolicy": policy });
        }
        self.logging(&mut spec);
        spec
    }
}
