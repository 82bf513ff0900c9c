//! The messages of secret discovery, as far as they are used: Envoy's `DiscoveryRequest`, `DiscoveryResponse` and `Secret`. A crate
//! with all of Envoy's messages would be most of what instances download. Pure.

use std::fmt;

use prost::Message;

/// The type of the resources.
const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// A subscription, an acknowledgement, or a refusal (`envoy.service.discovery.v3.DiscoveryRequest`).
#[derive(Clone, PartialEq, Message)]
pub struct DiscoveryRequest {
    /// The secrets that the proxy wants.
    #[prost(string, repeated, tag = "3")]
    pub resource_names: Vec<String>,
    /// Why the answer was refused; absent when it was not.
    #[prost(message, optional, tag = "6")]
    pub error_detail: Option<Refused>,
}

/// Why an answer was refused (`google.rpc.Status`).
#[derive(Clone, PartialEq, Message)]
pub struct Refused {
    /// The proxy's words.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// Secrets (`envoy.service.discovery.v3.DiscoveryResponse`).
#[derive(Clone, PartialEq, Message)]
pub struct DiscoveryResponse {
    /// Their version.
    #[prost(string, tag = "1")]
    pub version_info: String,
    /// The secrets.
    #[prost(message, repeated, tag = "2")]
    pub resources: Vec<Packed>,
    /// Their type.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// What the proxy repeats when it acknowledges or refuses.
    #[prost(string, tag = "5")]
    pub nonce: String,
}

/// A message with its type (`google.protobuf.Any`).
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Packed {
    /// The type.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The encoded message.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// A certificate with its key, or authorities (`envoy.extensions.transport_sockets.tls.v3.Secret`).
#[derive(Clone, PartialEq, Message)]
pub struct Secret {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// A certificate with its key.
    #[prost(message, optional, tag = "2")]
    tls_certificate: Option<TlsCertificate>,
    /// Authorities.
    #[prost(message, optional, tag = "4")]
    validation_context: Option<ValidationContext>,
}

/// `TlsCertificate`.
#[derive(Clone, PartialEq, Message)]
struct TlsCertificate {
    #[prost(message, optional, tag = "1")]
    certificate_chain: Option<Inline>,
    #[prost(message, optional, tag = "2")]
    private_key: Option<Inline>,
}

/// `CertificateValidationContext`.
#[derive(Clone, PartialEq, Message)]
struct ValidationContext {
    #[prost(message, optional, tag = "1")]
    trusted_ca: Option<Inline>,
}

/// A text that is here itself (`envoy.config.core.v3.DataSource`).
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Inline {
    #[prost(string, tag = "3")]
    inline_string: String,
}

// Both may hold a key, which is printed nowhere.
impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed").field("type_url", &self.type_url).finish_non_exhaustive()
    }
}

impl fmt::Debug for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inline").finish_non_exhaustive()
    }
}

fn inline(text: &str) -> Option<Inline> {
    Some(Inline { inline_string: text.to_owned() })
}

impl Secret {
    /// A certificate with its key, both in PEM.
    pub fn certificate(name: &str, chain: &str, key: &str) -> Self {
        let certificate = TlsCertificate { certificate_chain: inline(chain), private_key: inline(key) };
        Self { name: name.to_owned(), tls_certificate: Some(certificate), validation_context: None }
    }

    /// Authorities, in PEM.
    pub fn trust(name: &str, authorities: &str) -> Self {
        let context = ValidationContext { trusted_ca: inline(authorities) };
        Self { name: name.to_owned(), tls_certificate: None, validation_context: Some(context) }
    }
}

impl DiscoveryResponse {
    /// The answer number `count` of a stream, with these secrets.
    pub fn of(secrets: &[Secret], count: u64) -> Self {
        let packed = |secret: &Secret| Packed { type_url: SECRET.to_owned(), value: secret.encode_to_vec() };
        Self {
            version_info: count.to_string(),
            resources: secrets.iter().map(packed).collect(),
            type_url: SECRET.to_owned(),
            nonce: count.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
    use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
    use envoy_types::pb::envoy::service::discovery::v3 as envoy;
    use envoy_types::pb::google::rpc::Status;
    use prost::Name as _;

    use super::*;

    /// Envoy's own messages, from their definition.
    #[test]
    fn envoy_reads_what_is_written_and_writes_what_is_read() {
        let sent = envoy::DiscoveryRequest {
            version_info: "1".into(),
            resource_names: vec!["fleetmesh".into()],
            type_url: "t".into(),
            response_nonce: "1".into(),
            error_detail: Some(Status { code: 3, message: "no".into(), details: Vec::new() }),
            ..envoy::DiscoveryRequest::default()
        };
        let read = DiscoveryRequest::decode(sent.encode_to_vec().as_slice()).expect("a request");
        assert_eq!(read.resource_names, ["fleetmesh"]);
        assert_eq!(read.error_detail, Some(Refused { message: "no".into() }));

        let secrets = [Secret::certificate("a", "CHAIN", "KEY"), Secret::trust("b", "CA")];
        let written = DiscoveryResponse::of(&secrets, 7).encode_to_vec();
        let read = envoy::DiscoveryResponse::decode(written.as_slice()).expect("an answer");
        assert_eq!((&*read.version_info, &*read.nonce), ("7", "7"));
        assert_eq!(read.type_url, tls::Secret::type_url());
        let unpacked = |any: &envoy_types::pb::google::protobuf::Any| {
            assert_eq!(any.type_url, tls::Secret::type_url());
            tls::Secret::decode(any.value.as_slice()).expect("a secret")
        };
        let found: Vec<tls::Secret> = read.resources.iter().map(unpacked).collect();
        let text = |source: &Option<envoy_types::pb::envoy::config::core::v3::DataSource>| {
            let Some(Specifier::InlineString(text)) = source.clone().and_then(|source| source.specifier)
            else {
                panic!("{source:?}")
            };
            text
        };
        let Some(tls::secret::Type::TlsCertificate(certificate)) = &found[0].r#type else { panic!() };
        assert_eq!(text(&certificate.certificate_chain), "CHAIN");
        assert_eq!(text(&certificate.private_key), "KEY");
        let Some(tls::secret::Type::ValidationContext(context)) = &found[1].r#type else { panic!() };
        assert_eq!(text(&context.trusted_ca), "CA");
        assert_eq!(found.iter().map(|secret| secret.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(!format!("{secrets:?}{:?}", DiscoveryResponse::of(&secrets, 7)).contains("KEY"));
    }
}
