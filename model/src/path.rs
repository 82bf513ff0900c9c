//! The paths of requests: what a match says of them, so that some request can fulfil it, and what they are rewritten to. Pure.
//!
//! A path begins with a slash, and Envoy compares it without the query. No request has a fragment: clients keep it, and Envoy answers
//! 400 to one that is sent.

use schemars::Schema;

use crate::header;
use crate::re2;
use crate::regex;
use crate::rule::{Rule, Violations};
use crate::schema;

const SLASH: Rule =
    Rule { cel: "self.startsWith('/')", message: "must begin with /, as the path of every request does" };

const NO_QUERY: Rule = Rule {
    cel: r#"!self.matches(r"[?#]")"#,
    message: "must have no ? or #: the path is compared without its query, which queryParameters match, and without a fragment, which no request has",
};

const REWRITE: Rule = Rule {
    cel: r#"!self.matches(r"[?#]")"#,
    message: "must have no ? or #: the path alone is rewritten, and the query stays as the client sent it",
};

/// CEL finds what begins with a character that has to be there, where there are no alternatives. Rust finds all ([`re2::reach`]).
const REGEX_SLASH: Rule = Rule {
    cel: r#"!self.matches(r"^\^?[0-9A-Za-z_-]([^?*{|][^|]*)?$")"#,
    message: "must match a path, and every path begins with /: put it, or .* for any beginning, before the rest",
};

/// For Rust alone: what an expression needs is not said by how it looks.
const REGEX_QUERY: &str = "must match a path without ? and #: the path is compared without its query, which queryParameters match, and without a fragment, which no request has";

pub(crate) fn exact_rules(schema: &mut Schema) {
    header::plain_rules(schema);
    schema::add_rule(schema, &SLASH);
    schema::add_rule(schema, &NO_QUERY);
}

pub(crate) fn prefix_rules(schema: &mut Schema) {
    header::plain_rules(schema);
    schema::add_rule(schema, &NO_QUERY);
}

pub(crate) fn regex_rules(schema: &mut Schema) {
    regex::rules(schema);
    schema::add_rule(schema, &REGEX_SLASH);
}

pub(crate) fn rewrite_rules(schema: &mut Schema) {
    schema::add_rule(schema, &REWRITE);
}

/// Checks a whole path, which stands at `path` in the spec.
pub(crate) fn check_exact(exact: &str, path: &str, violations: &mut Violations) {
    header::check_plain(exact, path, violations);
    if !exact.starts_with('/') {
        violations.broken(path, &SLASH, format!("{exact:?}"));
    }
    check_query(exact, path, &NO_QUERY, violations);
}

/// Checks the beginning of a path. That it begins with a slash is said by its pattern.
pub(crate) fn check_prefix(prefix: &str, path: &str, violations: &mut Violations) {
    header::check_plain(prefix, path, violations);
    check_query(prefix, path, &NO_QUERY, violations);
}

/// Checks what a path or its beginning becomes.
pub(crate) fn check_rewrite(new: &str, path: &str, violations: &mut Violations) {
    check_query(new, path, &REWRITE, violations);
}

fn check_query(text: &str, path: &str, rule: &Rule, violations: &mut Violations) {
    if text.contains(['?', '#']) {
        violations.broken(path, rule, format!("{text:?}"));
    }
}

/// Checks an expression for a whole path.
pub(crate) fn check_regex(pattern: &str, path: &str, violations: &mut Violations) {
    regex::check(pattern, path, violations);
    // What RE2 does not take was found already.
    let Ok(reach) = re2::reach(pattern) else { return };
    if !reach.slash {
        violations.broken(path, &REGEX_SLASH, re2::shown(pattern));
    }
    if reach.query {
        violations.found(path, REGEX_QUERY, re2::shown(pattern));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(check: impl Fn(&str, &str, &mut Violations), text: &str) -> Vec<String> {
        let mut violations = Violations::default();
        check(text, "p", &mut violations);
        violations.into_vec().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_path_that_no_request_has_is_refused_with_the_way_out() {
        for good in ["/", "/a", "/a/b.c~%20;x=1&y,z"] {
            assert_eq!(found(check_exact, good), [""; 0]);
            assert_eq!(found(check_prefix, good), [""; 0]);
            assert_eq!(found(check_rewrite, good), [""; 0]);
        }
        for (bad, way_out) in [
            (
                "/x?y=1",
                r#"which queryParameters match, and without a fragment, which no request has (found "/x?y=1")"#,
            ),
            ("/x#y", r#"(found "/x#y")"#),
            ("x", r#"p: must begin with /, as the path of every request does (found "x")"#),
            ("*", "must begin with /"),
        ] {
            let said = found(check_exact, bad);
            assert!(said.len() == 1 && said[0].ends_with(way_out) || said[0].contains(way_out), "{said:?}");
        }
        assert_eq!(found(check_prefix, "/x?").len(), 1);
        let said = found(check_rewrite, "/q?y=2");
        assert!(said.len() == 1 && said[0].contains("the query stays as the client sent it"), "{said:?}");
    }

    #[test]
    fn an_expression_is_refused_only_when_no_path_can_match_it() {
        for good in [
            "/items/[0-9]+",
            ".*green.*",
            "a?/x",
            "a*/x",
            "a{0,2}/x",
            "a{0}/x",
            "(a|/)b",
            "a|/b",
            "[^a]x",
            r"\x2fx",
            r"\W",
            "^/x",
            "(?:)/x",
            "(?i)/x",
            r"/x(\?y)?",
            r"/x[?#/]y",
            "/x|/y\\?",
            "/x?y=1",
            r"/\\?x",
        ] {
            assert_eq!(found(check_regex, good), [""; 0], "{good}");
        }
        for slashless in [
            "x",
            "items/.*",
            "^v1/.*",
            "a{996}",
            "(?i)a/",
            r"\.x",
            "[a-z]+/x",
            "(a|b)/x",
            "a+/",
            "[[:alpha:]]/",
        ] {
            let said = found(check_regex, slashless);
            assert!(said.len() == 1 && said[0].contains("every path begins with /"), "{slashless}: {said:?}");
        }
        for queried in [r"/x\?y=.*", "/x[?]y", r"/x(\?a|\?b)", r"/x#.*", r"/x\?+", "/[?#]"] {
            let said = found(check_regex, queried);
            assert!(said.len() == 1 && said[0].contains("without ? and #"), "{queried}: {said:?}");
        }
    }
}
