//! The options of user data, as plain data. Everything here may come from a person; [`super::user_data`] checks it.

/// What an instance shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceOptions {
    /// The mesh's name, as App Mesh has it: 1 to 255 characters.
    pub mesh: String,
    /// The name of the virtual node, as App Mesh has it: 1 to 255 characters. Of the virtual gateway when
    /// [`Self::application`] is [`Application::Nothing`].
    pub name: String,
    /// The region that the instance runs in, for example `us-west-2`.
    pub region: String,
    /// The proxy.
    pub proxy: ProxyOptions,
    /// Where the proxy finds its control plane: `https://HOST:PORT` with [`Self::join`]; without it `HOST:PORT` or
    /// `unix:///PATH`, the latter a socket on the instance.
    ///
    /// AWS's image goes to App Mesh itself without one; a stock Envoy needs one.
    pub control_plane: Option<String>,
    /// How the instance gets the certificate that `https://` asks for; it gets none without.
    pub join: Option<JoinOptions>,
    /// The port on which the application listens, 1 to 65535, and none of the proxy's (15000, 15001, 9901). Without an
    /// application it is not looked at.
    pub app_port: u16,
    /// What the instance runs beside the proxy.
    pub application: Application,
    /// Whether the application may reach the instance's metadata service, and with it the credentials of its role. Without,
    /// root, the proxy's user and what joins reach it and nobody else does, and a container of the application's runs in a
    /// group of its own, cannot change its user or group, and opens no raw sockets.
    pub metadata: bool,
}

/// The proxy of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyOptions {
    /// The image it is started from.
    pub image: ProxyImage,
    /// The user it runs as, 0 to 2147483647: whatever this user opens is not intercepted.
    pub uid: u32,
    /// Destinations that are not intercepted: addresses or ranges, beside those of the instance's metadata.
    pub egress_ignored_ips: Vec<String>,
    /// Destination ports that are not intercepted, each 1 to 65535, beside 22 (SSH).
    pub egress_ignored_ports: Vec<u16>,
    /// Whether IPv6 is intercepted too.
    pub ipv6: bool,
    /// Whether the machine resolves the names of the services that the virtual node may call, by `fleetmesh proxy dns` from the
    /// image that it joins by ([`InstanceOptions::join`]).
    pub dns: bool,
}

/// AWS's image as user 1337, nothing ignored beyond what always is.
impl Default for ProxyOptions {
    fn default() -> Self {
        Self {
            image: ProxyImage::AppMesh,
            uid: 1337,
            egress_ignored_ips: Vec::new(),
            egress_ignored_ports: Vec::new(),
            ipv6: false,
            dns: false,
        }
    }
}

/// How an instance gets its proxy's certificate: by its IAM role, so that nothing here is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinOptions {
    /// The image whose entry point is `fleetmesh`, with `proxy join` in it, as `registry/image:tag`.
    pub image: String,
    /// Where the control plane serves the App Mesh API and lets instances join: `https://HOST:PORT`.
    pub control_plane: String,
    /// The certificates, in PEM, of the CA that vouches for that address; those that the image trusts without.
    pub authority: Option<String>,
}

/// Which image the proxy is started from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyImage {
    /// AWS's, from the registry of the region. It makes its configuration from `APPMESH_RESOURCE_ARN`.
    AppMesh,
    /// Stock Envoy, with the configuration that `fleetmesh proxy bootstrap` renders.
    Envoy,
    /// A mirror of either, as `registry/image:tag`. It is given what both need: the variables of AWS's image and, when
    /// there is a control plane, the configuration where stock Envoy looks for it.
    Custom(String),
}

/// What an instance runs beside the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Application {
    /// A container, as `registry/image:tag`, on the instance's own network.
    Container(String),
    /// Parts of the user's own, which cloud-init runs after ours, in this order.
    Parts(Vec<DataPart>),
    /// Nothing: the proxy is a virtual gateway's, and takes requests on the gateway's own ports. No traffic is intercepted.
    Nothing,
}

/// A part of cloud-init user data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataPart {
    /// What it is to cloud-init, for example `text/cloud-config` or `text/x-shellscript`.
    pub content_type: String,
    /// Its text, which reaches cloud-init unchanged.
    pub content: String,
}
