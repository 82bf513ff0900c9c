//! Formats of access logs: Envoy's command operators, as in `%REQ(:METHOD)%`. Envoy makes no listener with a format that it does
//! not take, so a proxy that starts with one has none. The operators and what they take are those of Envoy 1.40, found by
//! asking it. Pure.

/// Operators that take neither arguments nor a length.
const PLAIN: &str = "ACCESS_LOG_TYPE BYTES_RECEIVED BYTES_RETRANSMITTED BYTES_SENT CONNECTION_ID \
    CONNECTION_TERMINATION_DETAILS CUSTOM_FLAGS DOWNSTREAM_CX_RTT \
    DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT \
    DOWNSTREAM_DETECTED_CLOSE_TYPE DOWNSTREAM_DIRECT_LOCAL_ADDRESS \
    DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID DOWNSTREAM_DIRECT_LOCAL_PORT \
    DOWNSTREAM_DIRECT_REMOTE_ADDRESS DOWNSTREAM_DIRECT_REMOTE_PORT DOWNSTREAM_HANDSHAKE_DURATION \
    DOWNSTREAM_HEADER_BYTES_RECEIVED DOWNSTREAM_HEADER_BYTES_SENT DOWNSTREAM_LOCAL_ADDRESS \
    DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID DOWNSTREAM_LOCAL_CLOSE_REASON DOWNSTREAM_LOCAL_DNS_SAN \
    DOWNSTREAM_LOCAL_EMAIL_SAN DOWNSTREAM_LOCAL_IP_SAN DOWNSTREAM_LOCAL_OTHERNAME_SAN DOWNSTREAM_LOCAL_PORT \
    DOWNSTREAM_LOCAL_SUBJECT DOWNSTREAM_LOCAL_URI_SAN DOWNSTREAM_PEER_CERT \
    DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1 DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256 \
    DOWNSTREAM_PEER_CHAIN_SERIALS DOWNSTREAM_PEER_DNS_SAN DOWNSTREAM_PEER_EMAIL_SAN \
    DOWNSTREAM_PEER_FINGERPRINT_1 DOWNSTREAM_PEER_FINGERPRINT_256 DOWNSTREAM_PEER_IP_SAN \
    DOWNSTREAM_PEER_ISSUER DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256 DOWNSTREAM_PEER_ISSUER_SERIAL \
    DOWNSTREAM_PEER_OTHERNAME_SAN DOWNSTREAM_PEER_SERIAL DOWNSTREAM_PEER_SUBJECT DOWNSTREAM_PEER_URI_SAN \
    DOWNSTREAM_REMOTE_ADDRESS DOWNSTREAM_REMOTE_PORT DOWNSTREAM_TLS_CIPHER DOWNSTREAM_TLS_GROUP \
    DOWNSTREAM_TLS_SESSION_ID DOWNSTREAM_TLS_VERSION DOWNSTREAM_TRANSPORT_FAILURE_REASON \
    DOWNSTREAM_WIRE_BYTES_RECEIVED DOWNSTREAM_WIRE_BYTES_SENT DURATION FILTER_CHAIN_NAME GRPC_STATUS_NUMBER \
    HOSTNAME LISTENER_NAME LOCAL_REPLY_BODY PACKETS_RETRANSMITTED PROTOCOL REQUEST_DURATION \
    REQUEST_HEADERS_BYTES REQUEST_TX_DURATION RESPONSE_CODE RESPONSE_DURATION RESPONSE_FLAGS \
    RESPONSE_FLAGS_LONG RESPONSE_HEADERS_BYTES RESPONSE_TRAILERS_BYTES RESPONSE_TX_DURATION \
    ROUNDTRIP_DURATION ROUTE_NAME ROUTE_RESOLUTION_COUNT ROUTE_RESOLUTION_TIME_US SPAN_ID STREAM_ID \
    TLS_JA3_FINGERPRINT TLS_JA4_FINGERPRINT TRACE_ID UNIQUE_ID UPSTREAM_CLUSTER UPSTREAM_CLUSTER_RAW \
    UPSTREAM_CONNECTION_ID UPSTREAM_CONNECTION_IDS_ATTEMPTED UPSTREAM_CONNECTION_POOL_READY_DURATION \
    UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT \
    UPSTREAM_DETECTED_CLOSE_TYPE UPSTREAM_HEADER_BYTES_RECEIVED UPSTREAM_HEADER_BYTES_SENT UPSTREAM_HOST \
    UPSTREAM_HOSTS_ATTEMPTED UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT UPSTREAM_HOST_NAME \
    UPSTREAM_HOST_NAMES_ATTEMPTED UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT UPSTREAM_HOST_NAME_WITHOUT_PORT \
    UPSTREAM_LOCAL_ADDRESS UPSTREAM_LOCAL_CLOSE_REASON UPSTREAM_LOCAL_DNS_SAN UPSTREAM_LOCAL_IP_SAN \
    UPSTREAM_LOCAL_PORT UPSTREAM_LOCAL_URI_SAN UPSTREAM_PEER_CERT UPSTREAM_PEER_DNS_SAN UPSTREAM_PEER_IP_SAN \
    UPSTREAM_PEER_ISSUER UPSTREAM_PEER_SUBJECT UPSTREAM_PEER_URI_SAN UPSTREAM_PROTOCOL \
    UPSTREAM_REMOTE_ADDRESS UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID UPSTREAM_REMOTE_PORT \
    UPSTREAM_REQUEST_ATTEMPT_COUNT UPSTREAM_SERVER_NAME UPSTREAM_TLS_CIPHER UPSTREAM_TLS_GROUP \
    UPSTREAM_TLS_SESSION_ID UPSTREAM_TLS_VERSION UPSTREAM_TRANSPORT_FAILURE_REASON \
    UPSTREAM_WIRE_BYTES_RECEIVED UPSTREAM_WIRE_BYTES_SENT VIRTUAL_CLUSTER_NAME";

/// Operators that take arguments of any kind, or none.
const OPTIONAL: &str = "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT \
    DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_PEER_CERT_V_END DOWNSTREAM_PEER_CERT_V_START \
    DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT EMIT_TIME EMIT_TIME_LOCAL RESPONSE_CODE_DETAILS START_TIME \
    START_TIME_LOCAL UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT UPSTREAM_PEER_CERT_V_END UPSTREAM_PEER_CERT_V_START \
    UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT";

/// Operators whose argument is a header's name, or two with `?` between them; they take a length.
const HEADERS: &str = "REQ REQUEST_HEADER RESP RESPONSE_HEADER RESPONSE_TRAILER STREAM_INFO_REQ TRAILER";

/// Operators that need arguments of any kind and take a length.
const NEEDED: &str = "DYNAMIC_METADATA ENVIRONMENT QUERY_PARAM";

/// Operators that need arguments of any kind.
const NEEDED_WHOLE: &str = "CLUSTER_METADATA UPSTREAM_METADATA";

/// Operators that take some words as arguments, or none.
const WORDS: [(&str, &str); 4] = [
    ("GRPC_STATUS", "CAMEL_STRING SNAKE_STRING NUMBER"),
    ("PATH", "WQ NQ WQ:ORIG WQ:PATH WQ:ORIG_OR_PATH NQ:ORIG NQ:PATH NQ:ORIG_OR_PATH"),
    ("QUERY_PARAMS", "ORIG DECODED"),
    ("REQUESTED_SERVER_NAME", "SNI_ONLY SNI_FIRST HOST_FIRST HOST_FIRST:ORIG HOST_FIRST:HOST"),
];

/// What the argument of `METADATA` begins with.
const METADATA: &str = "DYNAMIC CLUSTER ROUTE UPSTREAM_HOST LISTENER VIRTUAL_HOST LISTENER_FILTER_CHAIN";

/// Operators whose arguments are a language of their own.
const JUDGED_BY_ENVOY: &str = "CEL TYPED_CEL COALESCE";

/// An operator and what stands between its name and the percent sign that ends it.
#[derive(Debug)]
struct Operator<'a> {
    name: &'a str,
    arguments: Option<&'a str>,
    has_length: bool,
}

/// What of `format` Envoy does not take, and what to write instead; `None` when it takes it.
pub(crate) fn fault(format: &str) -> Option<String> {
    let mut rest = format;
    while let Some((_, after)) = rest.split_once('%') {
        if let Some(after) = after.strip_prefix('%') {
            rest = after;
            continue;
        }
        let Some((operator, after)) = operator(after) else {
            let shown: String = after.chars().take(20).collect();
            return Some(format!(
                "\"%{}\" begins no operator that ends with %; an operator is %NAME%, %NAME(ARGUMENTS)% or %NAME(ARGUMENTS):LENGTH%, and a percent sign is %%",
                shown.escape_debug()
            ));
        };
        if let Some(fault) = operator.fault() {
            return Some(format!("%{}% {fault}", operator.name));
        }
        rest = after;
    }
    None
}

/// The operator whose percent sign stands before `text`, and what follows it.
fn operator(text: &str) -> Option<(Operator<'_>, &str)> {
    let length = text.find(|letter: char| !matches!(letter, 'A'..='Z' | '0'..='9' | '_'))?;
    let (name, rest) = text.split_at(length);
    if name.is_empty() {
        return None;
    }
    let Some(inner) = rest.strip_prefix('(') else {
        let (has_length, after) = end(rest)?;
        return Some((Operator { name, arguments: None, has_length }, after));
    };
    let line = inner.split('\n').next().unwrap_or_default();
    line.match_indices(')').find_map(|(at, _)| {
        let (has_length, after) = end(inner.get(at + 1..)?)?;
        let arguments = inner.get(..at).filter(|arguments| !arguments.is_empty());
        Some((Operator { name, arguments, has_length }, after))
    })
}

/// What ends an operator: a length, or none, and a percent sign. Whether there is a length, and what follows.
fn end(text: &str) -> Option<(bool, &str)> {
    if let Some(after) = text.strip_prefix('%') {
        return Some((false, after));
    }
    let (digits, after) = text.strip_prefix(':')?.split_once('%')?;
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit()) && digits.parse::<u64>().is_ok();
    is_number.then_some((true, after))
}

fn among(list: &str, name: &str) -> bool {
    list.split(' ').any(|word| word == name)
}

impl Operator<'_> {
    fn fault(&self) -> Option<String> {
        let name = self.name;
        let has_words = WORDS.iter().find(|(of, _)| *of == name);
        if among(JUDGED_BY_ENVOY, name) {
            return Some("cannot be judged before Envoy does; use another operator".to_owned());
        }
        let takes_length = among(HEADERS, name)
            || among(NEEDED, name)
            || matches!(name, "METADATA" | "FILTER_STATE" | "UPSTREAM_FILTER_STATE");
        let fault = if among(PLAIN, name) {
            self.arguments.map(|_| "takes no arguments".to_owned())
        } else if among(OPTIONAL, name) {
            None
        } else if among(HEADERS, name) {
            self.headers()
        } else if among(NEEDED, name) || among(NEEDED_WHOLE, name) {
            self.arguments.is_none().then(|| "needs arguments".to_owned())
        } else if let Some((_, words)) = has_words {
            let known = self.arguments.is_none_or(|arguments| among(words, arguments));
            (!known).then(|| format!("takes one of {words} as its arguments"))
        } else {
            self.parts()
        };
        fault.or_else(|| (self.has_length && !takes_length).then(|| "takes no length".to_owned()))
    }

    fn headers(&self) -> Option<String> {
        let names: Vec<&str> = self.arguments.unwrap_or_default().split('?').collect();
        let fit = |name: &&str| {
            let name = name.strip_prefix(':').unwrap_or(name);
            name.bytes().all(crate::header::is_token_byte)
        };
        let whole = self.arguments.is_some() && names.len() <= 2 && names.iter().all(fit);
        (!whole).then(|| "needs a header's name, or two with ? between them".to_owned())
    }

    /// Operators whose arguments have parts, with colons between them.
    fn parts(&self) -> Option<String> {
        let parts: Vec<&str> = self.arguments.unwrap_or_default().split(':').collect();
        match (self.name, &*parts) {
            ("COMMON_DURATION", [_, _] | [_, _, "ms" | "us" | "ns"]) => None,
            ("COMMON_DURATION", _) => {
                Some("needs two points in time, as in %COMMON_DURATION(DS_RX_BEG:DS_TX_END:ms)%".to_owned())
            }
            ("METADATA", [of, ..]) if among(METADATA, of) => None,
            ("METADATA", _) => Some(format!("needs arguments that begin with one of {METADATA}")),
            ("FILTER_STATE" | "UPSTREAM_FILTER_STATE", [key] | [key, "PLAIN" | "TYPED"])
                if !key.is_empty() =>
            {
                None
            }
            ("FILTER_STATE" | "UPSTREAM_FILTER_STATE", [key, "FIELD", field])
                if !key.is_empty() && !field.is_empty() =>
            {
                None
            }
            ("FILTER_STATE" | "UPSTREAM_FILTER_STATE", _) => {
                Some("needs a key, and may have PLAIN, TYPED or FIELD:NAME after it".to_owned())
            }
            _ => {
                Some("is no operator of Envoy's; see its access log documentation for their names".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_envoy_takes_is_no_fault() {
        let formats = [
            "",
            "plain",
            "%%",
            "a%%b",
            "%REQ(:METHOD)%",
            "%REQ(X?Y):5%",
            "%REQ(?Y)%",
            "%REQ(a)%%RESP(b)%\n",
            "%%REQ(a)%%",
            "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ%)%",
            "%START_TIME(a(b)c)%",
            "%START_TIME%",
            "%DURATION()%",
            "%DYNAMIC_METADATA(a:b:c):9%",
            "%METADATA(ROUTE:a:b):5%",
            "%FILTER_STATE(a:FIELD:b):3%",
            "%PATH(NQ:ORIG)%",
            "%GRPC_STATUS(NUMBER)%",
            "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ms)%",
            "%REQ(a?b):12%%%%DURATION%",
        ];
        for format in formats {
            assert_eq!(fault(format), None, "{format}");
        }
    }

    #[test]
    fn what_envoy_does_not_take_is_named_with_a_way_out() {
        let faults = [
            ("100%", r#""%" begins no operator"#, "a percent sign is %%"),
            ("%req%", r#""%req%" begins no operator"#, "%NAME%"),
            ("%DURATION%%", r#""%" begins no operator"#, "%%"),
            ("%REQ(a)", r#""%REQ(a)" begins no operator"#, "ends with %"),
            ("%REQ(a\n)%", r#""%REQ(a\n)%" begins no operator"#, "ends with %"),
            ("%REQ(a):99999999999999999999%", "begins no operator", "LENGTH"),
            ("%NO_SUCH_OPERATOR%", "%NO_SUCH_OPERATOR% is no operator of Envoy's", "documentation"),
            ("%DURATION(a)%", "%DURATION%", "takes no arguments"),
            ("%DURATION:5%", "%DURATION%", "takes no length"),
            ("%START_TIME(%s):5%", "%START_TIME%", "takes no length"),
            ("%REQ%", "%REQ%", "needs a header's name"),
            ("%REQ(a b)%", "%REQ%", "needs a header's name"),
            ("%REQ(a?b?c)%", "%REQ%", "or two with ?"),
            ("%DYNAMIC_METADATA()%", "%DYNAMIC_METADATA%", "needs arguments"),
            ("%PATH(X)%", "%PATH%", "takes one of WQ"),
            ("%METADATA(NONE:a)%", "%METADATA%", "begin with one of DYNAMIC"),
            ("%FILTER_STATE(a:FIELD)%", "%FILTER_STATE%", "FIELD:NAME"),
            ("%COMMON_DURATION(a)%", "%COMMON_DURATION%", "two points"),
            ("%CEL(request.path)%", "%CEL%", "another operator"),
        ];
        for (format, what, way_out) in faults {
            let fault = fault(format).expect(format);
            assert!(fault.contains(what) && fault.contains(way_out), "{format}: {fault}");
        }
    }
}
