//! Routes and gateway routes. The last of each router and gateway takes what the others leave, so every request is for one.

use fleetmesh_model::ResourceId;
use serde_json::{Map, Value, json};

use super::specs::Generator;
use super::{NODES, SERVICES, host};
use crate::spec::{gateway_route, route};

/// How many routes a router or gateway has before the last one.
const DRAWN: usize = 3;
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
const HTTP_EVENTS: [&str; 4] = ["server-error", "gateway-error", "client-error", "stream-error"];
const GRPC_EVENTS: [&str; 5] =
    ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"];
const REGEXES: [&str; 5] = ["/a.*", "/[a-z]{1,9}/?", "(?i)/A/b", "/(x|y)+z?", ".*\\.html"];

impl Generator<'_> {
    /// All routes and gateway routes.
    pub fn routes(&mut self) -> Vec<(ResourceId, Value)> {
        let mut routes = Vec::new();
        for (name, protocol, router_port, port) in SERVICES {
            for index in 0..DRAWN {
                let matcher = self.matcher(protocol, router_port);
                let spec = self.route(protocol, port, &matcher);
                routes.push((route(name, &format!("r{index}")), spec));
            }
            let all = if protocol.starts_with("http") { json!({ "prefix": "/" }) } else { json!({}) };
            let mut last = self.route(protocol, port, &all);
            last["priority"] = json!(1000);
            routes.push((route(name, "last"), last));
        }
        routes.extend(self.gateway_routes());
        routes
    }

    fn route(&mut self, protocol: &str, port: u16, matcher: &Value) -> Value {
        let targets: Vec<Value> = NODES
            .iter()
            .take(self.rng.usize(1..=NODES.len()))
            .enumerate()
            // The first always has a weight: all of them may not be 0.
            .map(|(index, name)| json!({ "virtualNode": name, "port": port, "weight": self.rng.u8(u8::from(index == 0)..=100) }))
            .collect();
        let mut of = json!({ "action": { "weightedTargets": targets } });
        if matcher.as_object().is_some_and(|members| !members.is_empty()) || protocol != "tcp" {
            of["match"] = matcher.clone();
        }
        if self.often(40) {
            of["timeout"] = self.timeout(protocol)[protocol].take();
        }
        if protocol != "tcp" && self.often(40) {
            of["retryPolicy"] = self.retries(protocol);
        }
        let mut spec = json!({ format!("{protocol}Route"): of });
        if self.often(50) {
            spec["priority"] = json!(self.rng.u32(0..1000));
        }
        spec
    }

    fn retries(&mut self, protocol: &str) -> Value {
        let mut retries = json!({
            "maxRetries": self.rng.u8(0..=5),
            "perRetryTimeout": { "unit": "s", "value": self.rng.u8(1..=30) } });
        if protocol == "grpc" {
            retries["grpcRetryEvents"] = json!([self.pick(&GRPC_EVENTS)]);
        }
        if protocol != "grpc" || self.often(50) {
            retries["httpRetryEvents"] = json!([self.pick(&HTTP_EVENTS)]);
        }
        if self.often(50) {
            retries["tcpRetryEvents"] = json!(["connection-error"]);
        }
        retries
    }

    fn matcher(&mut self, protocol: &str, port: u16) -> Value {
        let mut matcher = match protocol {
            "tcp" => json!({ "port": port }),
            "grpc" => self.grpc_match(),
            _ => self.http_match(),
        };
        if self.often(20) {
            matcher["port"] = json!(port);
        }
        if protocol.starts_with("http") && self.often(20) {
            matcher["scheme"] = json!(self.pick(&["http", "https"]));
        }
        matcher
    }

    fn grpc_match(&mut self) -> Value {
        let mut matcher = json!({});
        if self.often(70) {
            matcher["serviceName"] = json!(self.pick(&["a.B", "shop.Orders"]));
            if self.often(50) {
                matcher["methodName"] = json!(self.pick(&["C", "Create"]));
            }
        }
        if self.often(50) {
            matcher["metadata"] = self.headers();
        }
        matcher
    }

    fn http_match(&mut self) -> Value {
        let mut matcher = match self.rng.u8(..3) {
            0 => json!({ "path": { "regex": self.pick(&REGEXES) } }),
            1 => json!({ "path": { "exact": format!("/{}", self.path()) } }),
            _ => json!({ "prefix": format!("/{}", self.path()) }),
        };
        if self.often(40) {
            matcher["headers"] = self.headers();
        }
        if self.often(30) {
            matcher["method"] = json!(self.pick(&METHODS));
        }
        if self.often(30) {
            let mut parameter = json!({ "name": self.text(20) });
            if self.often(50) {
                parameter["match"] = json!({ "exact": self.text(20) });
            }
            matcher["queryParameters"] = json!([parameter]);
        }
        matcher
    }

    /// Half of the time one that requests of the test have.
    fn path(&mut self) -> String {
        if self.rng.bool() {
            self.pick(&["a", "a/", "a/b"]).to_owned()
        } else {
            self.text(30).replace(['?', '#'], "-")
        }
    }

    fn headers(&mut self) -> Value {
        let count = self.rng.usize(1..=3);
        let headers = (0..count).map(|index| {
            let mut header =
                Map::from_iter([("name".to_owned(), json!(format!("x-{}{index}", self.rng.lowercase())))]);
            if self.often(70) {
                header.insert("match".to_owned(), self.value_match());
            }
            if self.often(40) {
                header.insert("invert".to_owned(), json!(self.rng.bool()));
            }
            Value::Object(header)
        });
        headers.collect()
    }

    fn value_match(&mut self) -> Value {
        match self.rng.u8(..5) {
            0 => json!({ "exact": self.text(40) }),
            1 => json!({ "prefix": self.text(40) }),
            2 => json!({ "suffix": self.text(40) }),
            3 => json!({ "regex": self.pick(&["[a-z]+", "a|b", "x{1,20}"]) }),
            _ => {
                let start = self.rng.i32(..);
                json!({ "range": { "start": start, "end": i64::from(start) + i64::from(self.rng.u16(1..)) } })
            }
        }
    }

    fn gateway_routes(&mut self) -> Vec<(ResourceId, Value)> {
        let mut routes = Vec::new();
        for (protocol, port) in [("http", 8088), ("grpc", 8089)] {
            for index in 0..DRAWN {
                let matcher = self.gateway_match(protocol, port);
                let spec = self.gateway_route(protocol, &matcher);
                routes.push((gateway_route("edge", &format!("{protocol}{index}")), spec));
            }
            let all = if protocol == "http" { json!({ "prefix": "/" }) } else { json!({}) };
            let mut last = self.gateway_route(protocol, &all);
            last["priority"] = json!(1000);
            routes.push((gateway_route("edge", &format!("{protocol}-last")), last));
        }
        routes
    }

    fn gateway_match(&mut self, protocol: &str, port: u16) -> Value {
        let mut matcher = if protocol == "grpc" { self.grpc_match() } else { self.http_match() };
        if let Some(members) = matcher.as_object_mut() {
            members.remove("methodName");
        }
        if self.often(20) {
            matcher["port"] = json!(port);
        }
        if self.often(20) {
            let name = self.host_name();
            matcher["hostname"] = if self.rng.bool() {
                json!({ "exact": name })
            } else {
                json!({ "suffix": format!(".{name}") })
            };
        }
        matcher
    }

    fn gateway_route(&mut self, protocol: &str, matcher: &Value) -> Value {
        let service = if protocol == "grpc" { "rpc" } else { "web" };
        let mut action = json!({ "target": { "virtualService": { "virtualServiceName": host(service) } } });
        if self.often(40) {
            let enabled = self.pick(&["ENABLED", "DISABLED"]);
            action["rewrite"] = json!({ "hostname": { "defaultTargetHostname": enabled } });
            if let Some(prefix) = matcher["prefix"].as_str() {
                let value = if prefix.ends_with('/') { "/a/" } else { "/a" };
                action["rewrite"]["prefix"] = if self.rng.bool() {
                    json!({ "defaultPrefix": enabled })
                } else {
                    json!({ "value": value })
                };
            }
        }
        let mut spec = json!({ format!("{protocol}Route"): { "match": matcher, "action": action } });
        if self.often(50) {
            spec["priority"] = json!(self.rng.u32(0..1000));
        }
        spec
    }
}
