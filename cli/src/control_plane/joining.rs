//! The flags about proxies of other hosts, of `fleetmesh control-plane` and `fleetmesh standalone`: certificates, and how instances
//! join.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use fleetmesh_control_plane::JoinConfig;
use fleetmesh_control_plane::join::{CaFiles, CaKey, IdentityCertificates, InstanceIdentity, Instances};
use fleetmesh_control_plane::kms::{AwsKey, KeyArn, KmsKeyHandle};
use fleetmesh_control_plane::listen::Listen;
use fleetmesh_control_plane::tls::TlsFiles;
use tokio::runtime::Handle;

use crate::duration::whole_seconds_within;

/// Who vouches for the control plane and for the proxies of other hosts, and how these join.
#[derive(Args, Clone, Debug)]
pub struct JoiningArgs {
    /// Where instances join (`fleetmesh proxy join`), and nothing else is served: HOST:PORT or unix:PATH. May be repeated.
    ///
    /// An address that other hosts reach needs --tls-cert and --tls-key. Give it to instances and keep --listen from them.
    #[arg(
        long,
        env = "FLEETMESH_JOIN_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ',',
        requires = "ca_signer"
    )]
    pub join_listen: Vec<Listen>,

    /// The server's certificate, followed by those between it and its CA (PEM); read again when it changes.
    #[arg(long, env = "FLEETMESH_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The server's key (PEM); read again when it changes.
    #[arg(long, env = "FLEETMESH_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// The CA that signs the certificates of proxies (PEM); read again when it changes.
    ///
    /// It may hold several, one of which replaces the other: what either signs is trusted meanwhile.
    ///
    /// A certificate names the virtual nodes that its holder may run by their ARNs, as URIs among its subject alternative
    /// names; `fleetmesh certs issue` makes such certificates.
    #[arg(long, env = "FLEETMESH_CA_CERT", value_name = "FILE", requires = "tls_cert")]
    pub ca_cert: Option<PathBuf>,

    /// The CA's key (PEM): lets instances join by their IAM role (`fleetmesh proxy join`) at --join-listen.
    ///
    /// Whoever has the role of a virtual node's tag fleetmesh.dev/proxy-principals gets a certificate for that node, for
    /// --join-certificate-validity at a time.
    #[arg(
        long,
        env = "FLEETMESH_CA_KEY",
        value_name = "FILE",
        group = "ca_signer",
        requires_all = ["ca_cert", "join_listen"]
    )]
    pub ca_key: Option<PathBuf>,

    /// The CA's key, held by AWS KMS, in the place of --ca-key: the ARN of a key of ECC_NIST_P256 or ECC_NIST_P384 for
    /// SIGN_VERIFY.
    ///
    /// KMS signs each certificate, so that nobody can copy the key from here. It belongs to the first certificate of
    /// --signing-cert, or else of --ca-cert; `fleetmesh certs intermediate --kms-key` and `certs ca --kms-key` make one. The
    /// credentials need kms:Sign for it. While KMS cannot be asked no instance joins, and all else goes on.
    #[arg(
        long,
        env = "FLEETMESH_CA_KMS_KEY",
        value_name = "ARN",
        group = "ca_signer",
        requires_all = ["ca_cert", "join_listen"]
    )]
    pub ca_kms_key: Option<KeyArn>,

    /// The intermediate that signs (PEM), followed by those between it and a root of --ca-cert.
    ///
    /// Without it the key that signs is that of a certificate in --ca-cert. `fleetmesh certs init` makes a root, whose key can
    /// stay offline, and an intermediate.
    #[arg(long, env = "FLEETMESH_SIGNING_CERT", value_name = "FILE", requires = "ca_signer")]
    pub signing_cert: Option<PathBuf>,

    /// How long the certificates of instances that join are valid, 10s to 24h; they are renewed at half of it.
    ///
    /// It is also how long one that got out is of use. Each renewal asks STS once.
    #[arg(
        long,
        env = "FLEETMESH_JOIN_CERTIFICATE_VALIDITY",
        value_name = "DURATION",
        default_value = "1h",
        value_parser = certificate_validity,
        requires = "ca_signer"
    )]
    pub join_certificate_validity: Duration,

    /// How often one source, an IPv4 address or an IPv6 /64, may try to join a second, and four times that at once: 1 to 1000.
    ///
    /// Each try asks STS once. Further tries are refused with 429, and `fleetmesh proxy join` tries again.
    #[arg(
        long,
        env = "FLEETMESH_JOIN_RATE_PER_SOURCE",
        value_name = "COUNT",
        default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    pub join_rate_per_source: u32,

    /// The certificates that EC2 signs instance identity documents with: `aws` for AWS's own, which are built in, or a file of
    /// them (PEM, RSA-2048). Several are given by repeating the flag, or with commas between them in the variable.
    ///
    /// A line `region: REGION` before a certificate in a file says that it counts for documents of that region alone. With the
    /// flag, an instance that joins has to send its document, and the instance that it names has to be the one that STS
    /// knows; the instance is then bound to its key for as long as its certificate is valid.
    #[arg(
        long,
        env = "FLEETMESH_IDENTITY_CERTIFICATES",
        value_name = "aws|FILE",
        value_delimiter = ',',
        requires = "ca_signer"
    )]
    pub identity_certificates: Vec<IdentityCertificates>,

    /// Whether an instance that joins has to send its identity document: required, optional (an attacker sends none: for the
    /// while until all joiners are of a release that does) or off.
    #[arg(
        long,
        env = "FLEETMESH_INSTANCE_IDENTITY",
        value_name = "WHETHER",
        default_value = "required",
        requires = "identity_certificates"
    )]
    pub instance_identity: InstanceIdentity,

    /// Ask EC2 about each instance that joins: it has to be one of the account of the control plane's own AWS credentials, in
    /// --region, that is starting or running and whose instance profile holds the role that it joins with.
    ///
    /// The credentials need ec2:DescribeInstances and iam:GetInstanceProfile. While EC2 cannot be asked, instances that it
    /// verified in the last 24 hours, since the start of this process, renew their certificates, and no others get one.
    #[arg(long, env = "FLEETMESH_VERIFY_INSTANCES", requires = "ca_signer")]
    pub verify_instances: bool,

    /// Instances that may neither join nor stream any more: a file with one id a line, read again when it changes.
    ///
    /// Streams of an instance that is added end within 5 s.
    #[arg(long, env = "FLEETMESH_DENIED_INSTANCES", value_name = "FILE")]
    pub denied_instances: Option<PathBuf>,

    /// The STS that knows these roles, https://HOST or https://HOST:PORT; AWS's in --region by default. http:// is for an
    /// address of loopback alone.
    #[arg(long, env = "FLEETMESH_STS_ENDPOINT", value_name = "URL")]
    pub sts_endpoint: Option<String>,
}

impl JoiningArgs {
    /// The files of TLS, if there are any.
    pub fn tls_files(&self) -> Option<TlsFiles> {
        let (certificate, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { certificate, key, ca: self.ca_cert.clone() })
    }

    /// How instances join, when the CA's key is here or KMS signs with it.
    pub fn config(&self, instances: Option<Arc<dyn Instances>>, kms: &Handle) -> Option<JoinConfig> {
        let held = |arn: &KeyArn| KmsKeyHandle::new(Arc::new(AwsKey::new(arn.clone())), kms.clone());
        let key = match (&self.ca_key, &self.ca_kms_key) {
            (Some(file), _) => CaKey::File(file.clone()),
            (None, arn) => CaKey::Held(held(arn.as_ref()?)),
        };
        Some(JoinConfig {
            listen: self.join_listen.clone(),
            ca: CaFiles { certificate: self.ca_cert.clone()?, signing: self.signing_cert.clone(), key },
            certificate_validity: self.join_certificate_validity,
            rate_per_source: self.join_rate_per_source,
            identity_certificates: self.identity_certificates.clone(),
            instance_identity: self.instance_identity,
            instances: instances.filter(|_| self.verify_instances),
            sts_endpoint: self.sts_endpoint.clone(),
        })
    }
}

/// Who asks EC2 about instances of `region`, where that is wanted.
#[cfg(feature = "aws")]
pub fn instances(args: &JoiningArgs, region: &str) -> anyhow::Result<Option<Arc<dyn Instances>>> {
    Ok(args.verify_instances.then(|| super::instances::of(region.to_owned())))
}

/// The same in a program that cannot.
#[cfg(not(feature = "aws"))]
pub fn instances(args: &JoiningArgs, _: &str) -> anyhow::Result<Option<Arc<dyn Instances>>> {
    anyhow::ensure!(
        !args.verify_instances,
        "--verify-instances: this program was built without EC2's client (the feature `aws`)"
    );
    Ok(None)
}

fn certificate_validity(text: &str) -> Result<Duration, String> {
    // Certificates and answers count whole seconds.
    whole_seconds_within(text, "10s", "24h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validity_outside_of_its_bounds_is_refused_with_them() {
        assert_eq!(certificate_validity("24h"), Ok(Duration::from_secs(24 * 3600)));
        for text in ["9s", "25h"] {
            assert_eq!(certificate_validity(text), Err(format!("{text} is out of bounds: from 10s to 24h")));
        }
        assert!(certificate_validity("10500ms").is_err());
    }
}
