//! Rules beyond bounds: each is worded once, as CEL for the API server and as a message, and checked in Rust beside
//! the type it is about. Pure.

use std::collections::BTreeSet;
use std::fmt;

/// A rule that a JSON schema cannot say. `cel` is evaluated by the Kubernetes API server with `self` bound to the
/// object the rule is attached to; the Rust twin lives beside the type and reports the same `message`.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The CEL expression; true when the rule holds.
    pub cel: &'static str,
    /// What is demanded, naming the field and the bound.
    pub message: &'static str,
}

/// One broken rule: where, and what was demanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the member in the request, for example `spec.http2Route.action.weightedTargets[0].port`.
    pub path: String,
    /// What is demanded, and what was found.
    pub message: String,
}

impl Violation {
    /// A violation of what `message` demands, at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Collects violations below a path, and what is none but worth saying.
#[derive(Debug, Default)]
pub struct Violations {
    broken: Vec<Violation>,
    large: Vec<(String, u32)>,
}

impl Violations {
    /// Records `rule` as broken at `path`, with what was found there.
    pub fn broken(&mut self, path: &str, rule: &Rule, found: impl fmt::Display) {
        self.found(path, rule.message, found);
    }

    /// Records what only Rust can find, at `path`: what is demanded, and what was found there.
    pub fn found(&mut self, path: impl Into<String>, demanded: &str, found: impl fmt::Display) {
        self.broken.push(Violation::new(path, format!("{demanded} (found {found})")));
    }

    /// Records a regular expression at `path` that not all proxies take, with the most instructions that its program may have.
    pub(crate) fn large(&mut self, path: &str, size: u32) {
        self.large.push((path.to_owned(), size));
    }

    /// Everything recorded, in the order of the members.
    pub fn into_vec(self) -> Vec<Violation> {
        self.broken
    }

    /// The regular expressions that not all proxies take.
    pub(crate) fn into_large(self) -> Vec<(String, u32)> {
        self.large
    }
}

/// Listeners, whatever they belong to, are distinguished by their ports.
pub(crate) const LISTENER_PORTS: Rule = Rule {
    cel: "!has(self.listeners) || self.listeners.all(a, self.listeners.exists_one(b, b.portMapping.port == a.portMapping.port))",
    message: "listeners must have different ports",
};

/// The Rust twin of [`LISTENER_PORTS`]: the ports of the listeners so far.
#[derive(Debug, Default)]
pub(crate) struct ListenerPorts(BTreeSet<i32>);

impl ListenerPorts {
    /// Checks the next listener, whose path is `listener` and whose port is `port`.
    pub(crate) fn check(&mut self, port: i32, listener: &str, violations: &mut Violations) {
        if !self.0.insert(port) {
            let at = format!("{listener}.portMapping.port");
            violations.broken(&at, &LISTENER_PORTS, format!("{port} twice"));
        }
    }
}
