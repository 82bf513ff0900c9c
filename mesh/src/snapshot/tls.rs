//! TLS between proxies: transport sockets of listeners and of clusters, and the secrets that they name. Pure.
//!
//! - **Nothing is open that was to be closed.** What cannot be served (certificates of ACM, trust in a private authority of
//!   ACM PCA that cannot be read) is [`ServerTls::Closed`] or [`ClientTls::Closed`], never plaintext: [`unavailable`] names it.
//! - **Files** of the proxy's host are secrets that come on the stream ([`secret`]) and name the files; Envoy reads them again when
//!   one is moved in their place. A name says what the secret holds, so the content of a name never changes.
//! - **SDS** secrets come from the Unix socket of the proxy's host, by the cluster that bootstraps of App Mesh have for it.
//! - **The mesh's own** authorities are one of these secrets ([`MESH_TRUST`]). They sign for every node of every mesh, so whoever
//!   trusts them without naming anybody means somebody in particular: a client the node that it calls, a listener its own mesh.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::{
    ApiConfigSource, ApiVersion, ConfigSource, GrpcService, TransportSocket, api_config_source,
    config_source, grpc_service, transport_socket,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::downstream_tls_context::SessionTicketKeysType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::tls_parameters::TlsProtocol;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, SdsSecretConfig, Secret,
    SubjectAltNameMatcher, TlsParameters, UpstreamTlsContext,
};
use envoy_types::pb::envoy::r#type::matcher::v3::{StringMatcher, string_matcher};
use envoy_types::pb::google::protobuf::{Any, BoolValue};
use envoy_types::util::pack_any;
use fleetmesh_api::bootstrap::{MESH_TRUST, SDS_CLUSTER};
use fleetmesh_model::common::PortProtocol;
use fleetmesh_model::service_discovery::ServiceDiscovery;
use fleetmesh_model::tls::{
    ClientPolicy, ClientPolicyTls, ClientTlsCertificate, ListenerTls, ListenerTlsCertificate,
    ListenerTlsMode, ListenerTlsValidationContextTrust, SubjectAlternativeNames, TlsAcmTrust,
    TlsValidationContextTrust,
};

use super::inputs::Reader;
use super::{proto, secret};

/// The longest name that is sent as the one that is asked for, in bytes: DNS has no longer one.
const LONGEST_SNI: usize = 253;

/// What a listener does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerTls<'a> {
    /// Plaintext alone.
    Plaintext,
    /// TLS alone.
    Strict(&'a ListenerTls),
    /// TLS, and plaintext beside it.
    Permissive(&'a ListenerTls),
    /// No connection at all: its certificate cannot be had.
    Closed,
}

impl<'a> ServerTls<'a> {
    /// What `tls` of a listener asks for.
    pub(super) fn of(tls: Option<&'a ListenerTls>) -> Self {
        match tls {
            None | Some(ListenerTls { mode: ListenerTlsMode::Disabled, .. }) => Self::Plaintext,
            Some(ListenerTls { certificate: ListenerTlsCertificate::Acm(_), .. }) => Self::Closed,
            Some(tls @ ListenerTls { mode: ListenerTlsMode::Strict, .. }) => Self::Strict(tls),
            Some(tls @ ListenerTls { mode: ListenerTlsMode::Permissive, .. }) => Self::Permissive(tls),
        }
    }

    /// Whether it has to be looked into what a connection begins with.
    pub(super) fn inspects(self) -> bool {
        matches!(self, Self::Permissive(_))
    }
}

/// What a client does with connections to one port of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientTls<'a> {
    /// Plaintext.
    Plaintext,
    /// TLS with whoever answers, because the node's listener has it and the client says nothing about it.
    Unverified,
    /// TLS by the client's policy, with the authorities of ACM PCA that it trusts.
    Verified(&'a ClientPolicyTls, AcmAuthorities<'a>),
    /// No connection at all: what it is to trust cannot be had.
    Closed,
}

/// The certificates of the authorities of ACM PCA that a policy trusts, each in PEM; App Mesh has at most three. None where it
/// trusts others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AcmAuthorities<'a>([Option<&'a Arc<str>>; 3]);

impl<'a> AcmAuthorities<'a> {
    /// Those that `trust` names; `None` unless all of them are known.
    fn of(reader: &Reader<'a>, trust: &TlsAcmTrust) -> Option<Self> {
        let mut found = Self::default();
        let arns = &trust.certificate_authority_arns;
        if arns.is_empty() || arns.len() > found.0.len() {
            return None;
        }
        // All of them are looked up: each is what the snapshot was made from.
        let known: Vec<_> = arns.iter().map(|arn| reader.authority(arn)).collect();
        for (place, known) in found.0.iter_mut().zip(known) {
            *place = Some(known?);
        }
        Some(found)
    }

    /// The certificates, one after the other.
    fn pem(self) -> String {
        self.0.into_iter().flatten().map(|pem| format!("{}\n", pem.trim_end())).collect()
    }
}

impl<'a> ClientTls<'a> {
    /// What a client with `policy` does on a port whose listener has `server`. As App Mesh has it: a policy that does not
    /// name the port is none; without one, the listener decides. A policy that is not enforced lets plaintext pass where the
    /// listener has no TLS; whoever has TLS has to be who the policy says. Whoever has no policy has no certificate either, so where
    /// a listener asks for one and takes plaintext beside that, it is plaintext.
    pub(super) fn towards(
        reader: &Reader<'a>,
        policy: Option<&'a ClientPolicyTls>,
        port: i32,
        server: Option<&ListenerTls>,
    ) -> Self {
        let server = ServerTls::of(server);
        let asks = matches!(server, ServerTls::Permissive(tls) if tls.validation.is_some());
        let applies = |policy: &&ClientPolicyTls| {
            policy.ports.as_ref().is_none_or(|ports| ports.is_empty() || ports.contains(&port))
        };
        match policy.filter(applies) {
            Some(policy) if is_enforced(policy) || server != ServerTls::Plaintext => {
                match policy.validation.trust {
                    TlsValidationContextTrust::Acm(ref trust) => AcmAuthorities::of(reader, trust)
                        .map_or(Self::Closed, |found| Self::Verified(policy, found)),
                    TlsValidationContextTrust::File(_) | TlsValidationContextTrust::Sds(_) => {
                        Self::Verified(policy, AcmAuthorities::default())
                    }
                }
            }
            None if server == ServerTls::Closed => Self::Closed,
            None if server != ServerTls::Plaintext && !asks => Self::Unverified,
            Some(_) | None => Self::Plaintext,
        }
    }

    /// What distinguishes the cluster of these connections from that of others to the same port; the same in every process.
    pub(super) fn mark(&self) -> String {
        match self {
            Self::Plaintext => "plaintext".to_owned(),
            Self::Unverified => "tls".to_owned(),
            Self::Verified(policy, _) => secret::hash([serde_json::to_vec(policy).unwrap_or_default()]),
            Self::Closed => "closed".to_owned(),
        }
    }
}

/// Whether `policy` demands TLS; App Mesh's default.
fn is_enforced(policy: &ClientPolicyTls) -> bool {
    policy.enforce != Some(false)
}

/// The TLS of a client's policy for a backend: its own, or the defaults. An own policy that says nothing of TLS leaves the
/// defaults in force.
pub(super) fn effective<'a>(
    own: Option<&'a ClientPolicy>,
    defaults: Option<&'a ClientPolicy>,
) -> Option<&'a ClientPolicyTls> {
    let tls = |policy: &'a ClientPolicy| policy.tls.as_ref();
    own.and_then(tls).or_else(|| defaults.and_then(tls))
}

/// A transport socket, and the secrets that it needs on the stream.
#[derive(Debug, Default)]
pub(super) struct TlsSocket {
    /// How connections are made or taken; `None` for plaintext.
    pub(super) socket: Option<TransportSocket>,
    /// The secrets of files that it names.
    pub(super) secrets: Vec<Secret>,
}

/// The TLS that a listener of `protocol` takes, in the mesh with this ARN. Its certificate is none of ACM's ([`ServerTls`]).
pub(super) fn server_socket(tls: &ListenerTls, protocol: PortProtocol, mesh_arn: &str) -> TlsSocket {
    let ListenerTls { certificate, mode: _, validation } = tls;
    let mut context = Context::new(protocol);
    match certificate {
        ListenerTlsCertificate::Acm(_) => {}
        ListenerTlsCertificate::File(file) => {
            context.certificate(Source::File(Box::new(secret::certificate(file))))
        }
        ListenerTlsCertificate::Sds(sds) => context.certificate(Source::Sds(&sds.secret_name)),
    }
    if let Some(validation) = validation {
        let trust = match &validation.trust {
            ListenerTlsValidationContextTrust::File(file) => Source::File(Box::new(secret::trust(file))),
            ListenerTlsValidationContextTrust::Sds(sds) => Source::Sds(&sds.secret_name),
        };
        let given = names(validation.subject_alternative_names.as_ref());
        // Without names anybody will do whom the authorities know; of the mesh's own that is whoever is in this mesh.
        let members = || san(SanType::Uri, string_matcher::MatchPattern::Prefix(format!("{mesh_arn}/")));
        let any = given.is_empty() && trust.is_mesh();
        context.trust(trust, if any { vec![members()] } else { given });
    }
    let verified = validation.is_some();
    let downstream = DownstreamTlsContext {
        common_tls_context: Some(context.common),
        require_client_certificate: Some(BoolValue { value: verified }),
        // Whoever continues an old session shows no certificate, so one that has ended since would still do.
        disable_stateful_session_resumption: verified,
        session_ticket_keys_type: verified
            .then_some(SessionTicketKeysType::DisableStatelessSessionResumption(true)),
        ..DownstreamTlsContext::default()
    };
    TlsSocket { socket: socket(pack_any(downstream)), secrets: context.secrets }
}

/// The names of the secrets of the stream that a listener with `tls` needs.
pub(super) fn server_secrets(tls: &ListenerTls) -> BTreeSet<String> {
    let secrets = server_socket(tls, PortProtocol::Tcp, "").secrets.into_iter();
    secrets.map(|secret| secret.name).collect()
}

/// The TLS that a client speaks to a port of `protocol` of the node with the ARN `node`, which is found by `discovery`; none in
/// plaintext.
pub(super) fn client_socket(
    tls: ClientTls<'_>,
    protocol: PortProtocol,
    node: &str,
    discovery: &ServiceDiscovery,
) -> TlsSocket {
    let policy = match tls {
        ClientTls::Plaintext | ClientTls::Closed => return TlsSocket::default(),
        ClientTls::Unverified => None,
        ClientTls::Verified(policy, authorities) => Some((policy, authorities)),
    };
    let host = discovered_name(discovery);
    let mut context = Context::new(protocol);
    if let Some((ClientPolicyTls { certificate, enforce: _, ports: _, validation }, authorities)) = policy {
        match certificate {
            None => {}
            Some(ClientTlsCertificate::File(file)) => {
                context.certificate(Source::File(Box::new(secret::certificate(file))));
            }
            Some(ClientTlsCertificate::Sds(sds)) => context.certificate(Source::Sds(&sds.secret_name)),
        }
        let trust = match &validation.trust {
            TlsValidationContextTrust::Acm(_) => Source::File(Box::new(secret::acm_trust(authorities.pem()))),
            TlsValidationContextTrust::File(file) => Source::File(Box::new(secret::trust(file))),
            TlsValidationContextTrust::Sds(sds) => Source::Sds(&sds.secret_name),
        };
        let given = names(validation.subject_alternative_names.as_ref());
        // Without names the certificate has to be for what the node is discovered by; the mesh's own are for the node itself.
        let expected = matcher(if trust.is_mesh() { node } else { &host });
        context.trust(trust, if given.is_empty() { vec![expected] } else { given });
    }
    let is_name = host.parse::<IpAddr>().is_err() && host.len() <= LONGEST_SNI;
    let upstream = UpstreamTlsContext {
        common_tls_context: Some(context.common),
        sni: if is_name { host } else { String::new() },
        ..UpstreamTlsContext::default()
    };
    TlsSocket { socket: socket(pack_any(upstream)), secrets: context.secrets }
}

/// The name that the certificate of a node is for unless a policy names others.
pub(super) fn discovered_name(discovery: &ServiceDiscovery) -> String {
    match discovery {
        ServiceDiscovery::Dns(dns) => dns.hostname.trim_end_matches('.').to_owned(),
        ServiceDiscovery::AwsCloudMap(map) => format!("{}.{}", map.service_name, map.namespace_name),
    }
}

/// Where a certificate or the authorities come from.
enum Source<'a> {
    /// Files on the proxy's host, or authorities of ACM PCA, as a secret on the stream.
    File(Box<Secret>),
    /// The secret of this name at the socket of the proxy's host.
    Sds(&'a str),
}

impl Source<'_> {
    /// Whether it is the authorities of the mesh.
    fn is_mesh(&self) -> bool {
        matches!(self, Self::Sds(MESH_TRUST))
    }
}

/// A context in the making.
struct Context {
    common: CommonTlsContext,
    secrets: Vec<Secret>,
}

impl Context {
    /// TLS 1.2 or 1.3 for `protocol`.
    fn new(protocol: PortProtocol) -> Self {
        let alpn: &[&str] = match protocol {
            PortProtocol::Http => &["http/1.1"],
            PortProtocol::Http2 | PortProtocol::Grpc => &["h2"],
            PortProtocol::Tcp => &[],
        };
        let params = TlsParameters {
            tls_minimum_protocol_version: TlsProtocol::TlSv12.into(),
            tls_maximum_protocol_version: TlsProtocol::TlSv13.into(),
            ..TlsParameters::default()
        };
        let common = CommonTlsContext {
            tls_params: Some(params),
            alpn_protocols: alpn.iter().map(ToString::to_string).collect(),
            ..CommonTlsContext::default()
        };
        Self { common, secrets: Vec::new() }
    }

    /// Shows this certificate.
    fn certificate(&mut self, source: Source<'_>) {
        let config = self.config(source);
        self.common.tls_certificate_sds_secret_configs.push(config);
    }

    /// Accepts whoever has a certificate of these authorities, for one of `names`; for any when there are none.
    fn trust(&mut self, source: Source<'_>, names: Vec<SubjectAltNameMatcher>) {
        let config = self.config(source);
        let combined = CombinedCertificateValidationContext {
            default_validation_context: Some(CertificateValidationContext {
                match_typed_subject_alt_names: names,
                ..CertificateValidationContext::default()
            }),
            validation_context_sds_secret_config: Some(config),
            ..CombinedCertificateValidationContext::default()
        };
        self.common.validation_context_type =
            Some(ValidationContextType::CombinedValidationContext(combined));
    }

    fn config(&mut self, source: Source<'_>) -> SdsSecretConfig {
        let (name, source) = match source {
            Source::File(secret) => {
                let name = secret.name.clone();
                self.secrets.push(*secret);
                (name, proto::ads())
            }
            Source::Sds(name) => (name.to_owned(), sds()),
        };
        SdsSecretConfig { name, sds_config: Some(source) }
    }
}

/// The Unix socket of the proxy's host.
fn sds() -> ConfigSource {
    let envoy_grpc = grpc_service::EnvoyGrpc {
        cluster_name: SDS_CLUSTER.to_owned(),
        ..grpc_service::EnvoyGrpc::default()
    };
    let service = GrpcService {
        target_specifier: Some(grpc_service::TargetSpecifier::EnvoyGrpc(envoy_grpc)),
        ..GrpcService::default()
    };
    let source = ApiConfigSource {
        api_type: api_config_source::ApiType::Grpc.into(),
        transport_api_version: ApiVersion::V3.into(),
        grpc_services: vec![service],
        ..ApiConfigSource::default()
    };
    ConfigSource {
        resource_api_version: ApiVersion::V3.into(),
        config_source_specifier: Some(config_source::ConfigSourceSpecifier::ApiConfigSource(source)),
        ..ConfigSource::default()
    }
}

fn names(names: Option<&SubjectAlternativeNames>) -> Vec<SubjectAltNameMatcher> {
    names.iter().flat_map(|names| &names.matchers.exact).map(|name| matcher(name)).collect()
}

/// Accepts a certificate for exactly `name`: an IP address, a URI, a mail address or a DNS name by what it looks like.
fn matcher(name: &str) -> SubjectAltNameMatcher {
    let kind = if name.parse::<IpAddr>().is_ok() {
        SanType::IpAddress
    } else if name.contains(':') {
        SanType::Uri
    } else if name.contains('@') {
        SanType::Email
    } else {
        SanType::Dns
    };
    san(kind, string_matcher::MatchPattern::Exact(name.to_owned()))
}

/// Accepts a certificate with a name of this kind that is like this.
fn san(kind: SanType, pattern: string_matcher::MatchPattern) -> SubjectAltNameMatcher {
    SubjectAltNameMatcher {
        san_type: kind.into(),
        matcher: Some(StringMatcher { match_pattern: Some(pattern), ..StringMatcher::default() }),
        ..SubjectAltNameMatcher::default()
    }
}

fn socket(context: Any) -> Option<TransportSocket> {
    Some(TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(context)),
    })
}
