//! Secrets in files, as Envoy's secret discovery (SDS) reads them: a proxy's certificate with its key, and the CA by which it
//! verifies its control plane. A certificate and its key are in one file, so that Envoy never sees one without the other. Pure.

use serde_json::{Value, json};

/// The file with the proxy's certificate and key. Whoever writes it makes it readable to the proxy's user alone.
pub const CERTIFICATE_FILE: &str = "sds-certificate.json";
/// The file with the CA's certificates.
pub const VALIDATION_FILE: &str = "sds-validation.json";

/// What the bootstrap calls the proxy's certificate.
const CERTIFICATE: &str = "certificate";
/// What the bootstrap calls the CA.
const VALIDATION: &str = "validation";

/// The content of [`CERTIFICATE_FILE`]: a certificate, what is between it and its CA, and its key, in PEM.
pub fn certificate(chain: &str, key: &str) -> String {
    secret(&json!({
        "name": CERTIFICATE,
        "tls_certificate": {
            "certificate_chain": { "inline_string": chain },
            "private_key": { "inline_string": key },
        },
    }))
}

/// The content of [`VALIDATION_FILE`]: the CA's certificates in PEM.
pub fn validation(authority: &str) -> String {
    secret(&json!({
        "name": VALIDATION,
        "validation_context": { "trusted_ca": { "inline_string": authority } },
    }))
}

fn secret(secret: &Value) -> String {
    const TYPE: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
    let mut resource = json!({ "@type": TYPE });
    if let (Some(resource), Some(secret)) = (resource.as_object_mut(), secret.as_object()) {
        resource.extend(secret.clone());
    }
    format!("{:#}\n", json!({ "resources": [resource] }))
}

/// Envoy's TLS with the server `host`, whose certificate must be for that name or address, by the files in `folder`.
pub(super) fn transport_socket(host: &str, folder: &str) -> Value {
    let address = host.parse::<std::net::IpAddr>().is_ok();
    let kind = if address { "IP_ADDRESS" } else { "DNS" };
    let mut context = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {
            "combined_validation_context": {
                "default_validation_context": {
                    "match_typed_subject_alt_names": [{ "matcher": { "exact": host }, "san_type": kind }],
                },
                "validation_context_sds_secret_config": source(VALIDATION, folder, VALIDATION_FILE),
            },
            "tls_certificate_sds_secret_configs": [source(CERTIFICATE, folder, CERTIFICATE_FILE)],
        },
    });
    if !address {
        context["sni"] = json!(host);
    }
    json!({ "name": "envoy.transport_sockets.tls", "typed_config": context })
}

/// A file of `folder` that Envoy reads again when another is moved in its place.
fn source(name: &str, folder: &str, file: &str) -> Value {
    let path = format!("{}/{file}", folder.trim_end_matches('/'));
    json!({
        "name": name,
        "sds_config": {
            "path_config_source": { "path": path, "watched_directory": { "path": folder } },
            "resource_api_version": "V3",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_holds_one_secret_of_the_name_that_the_bootstrap_asks_for() {
        let socket = transport_socket("mesh.example", "/certs/").to_string();
        for (content, name) in [(certificate("CHAIN", "KEY"), CERTIFICATE), (validation("CA"), VALIDATION)] {
            let content: Value = serde_json::from_str(&content).expect("JSON");
            let resources = content["resources"].as_array().expect("a list");
            assert_eq!(resources.len(), 1);
            assert_eq!(resources[0]["name"], name);
            assert!(socket.contains(&format!(r#""name":"{name}""#)), "{socket}");
        }
        assert!(socket.contains(r#""path":"/certs/sds-certificate.json""#), "{socket}");
    }

    #[test]
    fn an_address_is_checked_as_an_address() {
        assert!(transport_socket("10.0.0.1", "/c").to_string().contains("IP_ADDRESS"));
        let named = transport_socket("mesh.example", "/c").to_string();
        assert!(named.contains(r#""san_type":"DNS""#) && named.contains(r#""sni":"mesh.example""#));
    }
}
