//! What keys and values of labels may be, with the words in which the API server says what is wrong with one.

/// The longest name of a key and the longest value, in bytes.
const LABEL: usize = 63;
/// The longest prefix of a key, in bytes.
const SUBDOMAIN: usize = 253;

const NAME_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                         alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                         '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
                          must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', \
                          regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const PREFIX_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                           must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation \
                           is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// What is wrong with `key` as the key of a label; nothing if it is empty.
pub(super) fn faults_of_key(key: &str) -> Vec<String> {
    let (prefix, name) = match key.split_once('/') {
        None => (None, key),
        Some((_, rest)) if rest.contains('/') => {
            return vec![format!(
                "a valid label key {NAME_RULE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
        Some((prefix, name)) => (Some(prefix), name),
    };
    let mut faults = prefix.map(faults_of_prefix).unwrap_or_default();
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL {
        faults.push(format!("name part must be no more than {LABEL} bytes"));
    }
    if !is_name(name) {
        faults.push(format!("name part {NAME_RULE}"));
    }
    faults
}

fn faults_of_prefix(prefix: &str) -> Vec<String> {
    if prefix.is_empty() {
        return vec!["prefix part must be non-empty".to_owned()];
    }
    let mut faults = Vec::new();
    if prefix.len() > SUBDOMAIN {
        faults.push(format!("prefix part must be no more than {SUBDOMAIN} bytes"));
    }
    if !prefix.split('.').all(is_dns_label) {
        faults.push(format!("prefix part {PREFIX_RULE}"));
    }
    faults
}

/// What is wrong with `value` as the value of a label; nothing if it is empty.
pub(super) fn faults_of_value(value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if value.len() > LABEL {
        faults.push(format!("must be no more than {LABEL} bytes"));
    }
    if !value.is_empty() && !is_name(value) {
        faults.push(VALUE_RULE.to_owned());
    }
    faults
}

fn is_name(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.bytes().all(inside) && has_ends(text, |byte| byte.is_ascii_alphanumeric())
}

fn is_dns_label(text: &str) -> bool {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().all(|byte| edge(byte) || byte == b'-') && has_ends(text, edge)
}

/// Whether there is a first and a last byte, and both are of a kind.
fn has_ends(text: &str, edge: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|&byte| edge(byte)) && bytes.last().is_some_and(|&byte| edge(byte))
}
