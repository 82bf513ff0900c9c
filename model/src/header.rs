//! What stands in HTTP requests: the names and values of headers, paths. What Envoy would refuse a whole configuration for is
//! refused here, and what no request can ever have. Pure.

use schemars::Schema;

use crate::rule::{Rule, Violations};
use crate::schema;

/// The name of a header, or a pseudo-header.
const NAME: Rule = Rule {
    cel: r#"self.matches(r"^(:(authority|method|path|protocol|scheme)|[!#$%&'*+.^_`|~0-9A-Za-z-]+)$")"#,
    message: "must be a header's name, of letters, digits and !#$%&'*+-.^_`|~ (RFC 9110), or one of :authority, :method, :path, :protocol and :scheme",
};
const PSEUDO_HEADERS: [&str; 5] = [":authority", ":method", ":path", ":protocol", ":scheme"];

/// The value of a header, or a part of it.
const VALUE: Rule = Rule {
    cel: r#"!self.matches(r"[\x00-\x08\x0a-\x1f\x7f]")"#,
    message: "must have no control characters but tabs, because no header's value has one",
};

/// A path, or another part of a request's first line or of a file's name.
const PLAIN: Rule =
    Rule { cel: r#"!self.matches(r"[\x00-\x1f\x7f]")"#, message: "must have no control characters" };

pub(crate) fn name_rules(schema: &mut Schema) {
    schema::add_rule(schema, &NAME);
}

pub(crate) fn value_rules(schema: &mut Schema) {
    schema::add_rule(schema, &VALUE);
}

pub(crate) fn plain_rules(schema: &mut Schema) {
    schema::add_rule(schema, &PLAIN);
}

/// Whether a header's name may have the byte (RFC 9110's `tchar`).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

pub(crate) fn check_name(name: &str, path: &str, violations: &mut Violations) {
    let token = !name.is_empty() && name.bytes().all(is_token_byte);
    if !token && !PSEUDO_HEADERS.contains(&name) {
        violations.broken(path, &NAME, format!("{name:?}"));
    }
}

pub(crate) fn check_value(value: &str, path: &str, violations: &mut Violations) {
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        violations.broken(path, &VALUE, format!("{value:?}"));
    }
}

pub(crate) fn check_plain(text: &str, path: &str, violations: &mut Violations) {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        violations.broken(path, &PLAIN, format!("{text:?}"));
    }
}
