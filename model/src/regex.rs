//! The regular expressions of routes and gateway routes: their rule, and which of them not all proxies take. Pure.

use schemars::Schema;

use crate::re2::{self, DEFAULT_PROGRAM_SIZE_LIMIT};
use crate::rule::{Rule, Violations};
use crate::schema;
use crate::spec::Spec;

/// The API server's engine, Go's, has RE2's syntax, and what it does not take is an error of the rule. The Rust twin
/// ([`re2::check`]) knows the size of Envoy's program, too.
const REGEX: Rule = Rule {
    cel: "''.matches(self) in [true, false]",
    message: "must be a regular expression that Envoy's engine, RE2, takes",
};

pub(crate) fn rules(schema: &mut Schema) {
    schema::add_rule(schema, &REGEX);
}

/// Checks the regular expression at `path`.
pub(crate) fn check(pattern: &str, path: &str, violations: &mut Violations) {
    match re2::check(pattern) {
        Err(fault) => violations.found(path, &format!("{}: {fault}", REGEX.message), re2::shown(pattern)),
        Ok(size) if size > DEFAULT_PROGRAM_SIZE_LIMIT => violations.large(path, size),
        Ok(_) => {}
    }
}

/// The regular expressions of `spec` whose programs may be larger than proxies with Envoy's default take, in the order of their
/// paths: each with its path and the most instructions that it may have.
pub fn large(spec: &Spec) -> Vec<(String, u32)> {
    let mut large = spec.checked().into_large();
    large.sort();
    large
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kind::Kind;

    fn paths(kind: Kind, spec: Value) -> Vec<String> {
        let spec = Spec::from_json(kind, spec).expect("a spec");
        large(&spec).into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn an_expression_that_only_our_bootstrap_allows_for_is_found_wherever_it_stands() {
        let (small, large) = (json!({"regex": "/?a{90}"}), json!({"regex": "/?a{120}"}));
        let http =
            json!({"path": large, "headers": [{"name": "a", "match": small}, {"name": "b", "match": large}]});
        let grpc = json!({"metadata": [{"name": "a"}, {"name": "b", "match": large}, {"name": "c", "match": {"exact": "a{120}"}}]});
        let targets = json!({"weightedTargets": [{"virtualNode": "a", "weight": 1}]});
        let service = json!({"target": {"virtualService": {"virtualServiceName": "s.local"}}});
        for (kind, action) in [(Kind::Route, targets), (Kind::GatewayRoute, service)] {
            assert_eq!(
                paths(kind, json!({"http2Route": {"match": http, "action": action}})),
                ["spec.http2Route.match.headers[1].match.regex", "spec.http2Route.match.path.regex"]
            );
            assert_eq!(
                paths(kind, json!({"grpcRoute": {"match": grpc, "action": action}})),
                ["spec.grpcRoute.match.metadata[1].match.regex"]
            );
            assert!(
                paths(kind, json!({"httpRoute": {"match": {"path": small}, "action": action}})).is_empty()
            );
        }
    }
}
