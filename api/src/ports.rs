//! Ports on which a proxy listens, as in AWS's image: interception redirects connections to them, and the control plane
//! configures listeners there.

/// Where the proxy takes connections for its application.
pub const INGRESS: u16 = 15000;
/// Where the proxy takes its application's connections.
pub const EGRESS: u16 = 15001;
