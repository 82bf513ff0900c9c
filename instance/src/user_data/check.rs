//! Turns unchecked options into values that are valid for their fields. Pure.

use std::collections::BTreeSet;

use fleetmesh_api::ports;
use fleetmesh_model::ResourceId;

use super::error::UserDataError;
use super::join::{self, Join};
use super::options::{Application, DataPart, InstanceOptions, ProxyImage};
use crate::bootstrap::{ADMIN_PORT, ControlPlaneAddress};
use crate::interception::{Interception, MAX_ID, Network, Options};
use crate::registry::{APP_MESH_IMAGE, ENVOY_IMAGE, Registry};

/// Where EC2 and ECS serve an instance's metadata and credentials. The application must reach them past the proxy.
const METADATA: [&str; 3] = ["169.254.169.254", "169.254.170.2", "fd00:ec2::254"];
/// The group that the application's container runs in: the firewall recognizes it by that, also when its user is root. Nothing
/// else runs in it.
pub(super) const APP_GID: u32 = 51337;

/// App Mesh's bound on the names of meshes and virtual nodes, in characters.
const MAX_NAME: usize = 255;
/// Longer than any reference of an image can be: 255 of its name, 128 of its tag, 71 of its digest.
const MAX_IMAGE: usize = 512;
/// Longer than any region's name.
const MAX_REGION: usize = 32;
/// Longer than any registered media type can be: 127 characters on each side of the slash.
const MAX_CONTENT_TYPE: usize = 255;

/// Options that passed every check.
#[derive(Debug)]
pub(super) struct Checked<'a> {
    /// The virtual node or gateway, as `mesh/apps/virtualNode/serviceB`.
    pub resource: String,
    /// The region.
    pub region: &'a str,
    /// What kind of image the proxy's is.
    pub kind: &'a ProxyImage,
    /// The proxy's image, in full.
    pub proxy_image: String,
    /// The user it runs as.
    pub uid: u32,
    /// Where its control plane is.
    pub control_plane: Option<ControlPlaneAddress>,
    /// How it gets a certificate for it.
    pub join: Option<Join<'a>>,
    /// Which traffic is made to go through it; none where it is a gateway's.
    pub interception: Option<Interception>,
    /// Whether the names of services are resolved here.
    pub dns: bool,
    /// The application's image.
    pub app_image: Option<&'a str>,
    /// Whether it may reach the metadata service.
    pub metadata: bool,
    /// The user's own parts.
    pub parts: &'a [DataPart],
}

impl Checked<'_> {
    /// Whether the proxy may be AWS's, which can do mutual TLS by no files of ours: then a socket is served that does.
    pub fn serves_unix(&self) -> bool {
        self.join.is_some() && *self.kind != ProxyImage::Envoy
    }

    /// The ECR registries that the images come from.
    pub fn registries(&self) -> BTreeSet<Registry> {
        self.images().filter_map(Registry::of_image).collect()
    }

    /// All images, the proxy's first.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        let join = self.join.as_ref().map(|join| join.image);
        [Some(self.proxy_image.as_str()), join, self.app_image].into_iter().flatten()
    }
}

/// Checks every value of `options`.
pub(super) fn check(options: &InstanceOptions) -> Result<Checked<'_>, UserDataError> {
    name("mesh", &options.mesh)?;
    let resource = resource(options);
    name(resource.kind().info().segment, resource.name())?;
    region(&options.region)?;
    let (app_image, parts) = application(&options.application)?;
    let control_plane = options.control_plane.as_deref().map(control_plane).transpose()?;
    let join = join::check(options.join.as_ref(), control_plane.as_ref())?;
    let kind = &options.proxy.image;
    if *kind == ProxyImage::Envoy && control_plane.is_none() {
        return Err(UserDataError::NoControlPlane);
    }
    if options.proxy.dns && join.is_none() {
        let demand = "names are resolved by the image that instances join by, and there is none: give the operator one (--proxy-join-image), or leave proxy.dns out";
        return Err(UserDataError::invalid("proxy.dns", "true", demand));
    }
    Ok(Checked {
        resource: resource.to_string(),
        region: &options.region,
        kind,
        proxy_image: proxy_image(kind, &options.region)?,
        uid: uid(options.proxy.uid)?,
        control_plane,
        join,
        interception: has_app(options).then(|| interception(options)).transpose()?,
        dns: options.proxy.dns && has_app(options),
        app_image,
        metadata: options.metadata,
        parts,
    })
}

/// Whether there is an application, whose traffic is intercepted.
fn has_app(options: &InstanceOptions) -> bool {
    match options.application {
        Application::Container(_) | Application::Parts(_) => true,
        Application::Nothing => false,
    }
}

fn resource(options: &InstanceOptions) -> ResourceId {
    let InstanceOptions { mesh, name, .. } = options;
    if has_app(options) {
        ResourceId::virtual_node(mesh, name)
    } else {
        ResourceId::virtual_gateway(mesh, name)
    }
}

fn name(field: &str, name: &str) -> Result<(), UserDataError> {
    let invalid = |demand: &str| Err(UserDataError::invalid(field, name, demand));
    if name.is_empty() || name.chars().count() > MAX_NAME {
        invalid("a name has 1 to 255 characters")
    } else if name.chars().any(|c| c.is_control() || c == '/') {
        invalid("a name has neither control characters nor slashes")
    } else {
        Ok(())
    }
}

fn region(region: &str) -> Result<(), UserDataError> {
    let parts: Vec<&str> = region.split('-').collect();
    let number =
        parts.last().is_some_and(|last| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()));
    let words = parts.split_last().is_some_and(|(_, words)| {
        words.len() >= 2
            && words.iter().all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
    });
    if number && words && region.len() <= MAX_REGION {
        Ok(())
    } else {
        Err(UserDataError::invalid("region", region, "a region is named like us-west-2"))
    }
}

pub(super) fn image(field: &str, image: &str) -> Result<(), UserDataError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/:@-".contains(&byte);
    let starts = image.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if starts && image.len() <= MAX_IMAGE && image.bytes().all(allowed) {
        Ok(())
    } else {
        let demand = "an image is written registry/image:tag, with letters, digits and ._/:@- and at most 512 characters";
        Err(UserDataError::invalid(field, image, demand))
    }
}

fn proxy_image(kind: &ProxyImage, region: &str) -> Result<String, UserDataError> {
    match kind {
        ProxyImage::AppMesh => Ok(format!("{}/{APP_MESH_IMAGE}", Registry::of_app_mesh(region))),
        ProxyImage::Envoy => Ok(ENVOY_IMAGE.to_owned()),
        ProxyImage::Custom(custom) => image("proxy.image", custom).map(|()| custom.clone()),
    }
}

fn uid(uid: u32) -> Result<u32, UserDataError> {
    if uid <= MAX_ID {
        return Ok(uid);
    }
    Err(UserDataError::invalid("proxy.uid", &uid.to_string(), format!("a user id is 0 to {MAX_ID}")))
}

pub(super) fn control_plane(text: &str) -> Result<ControlPlaneAddress, UserDataError> {
    let invalid = |demand: String| UserDataError::invalid("controlPlane", text, demand);
    let address: ControlPlaneAddress = text.parse().map_err(invalid)?;
    if let ControlPlaneAddress::Unix(path) = &address {
        // Docker takes the folder as SOURCE:TARGET; the root itself cannot be one.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
        if !path.bytes().all(allowed) || path.rfind('/') == Some(0) {
            let demand = "a socket's path has letters, digits and ._/- only and is in a folder: unix:///run/ads/ads.sock";
            return Err(invalid(demand.to_owned()));
        }
    }
    Ok(address)
}

fn application(application: &Application) -> Result<(Option<&str>, &[DataPart]), UserDataError> {
    match application {
        Application::Container(container) => {
            image("app.container", container)?;
            Ok((Some(container), &[]))
        }
        Application::Parts(parts) => {
            for (index, part) in parts.iter().enumerate() {
                content_type(index, &part.content_type)?;
            }
            Ok((None, parts))
        }
        Application::Nothing => Ok((None, &[])),
    }
}

fn content_type(index: usize, text: &str) -> Result<(), UserDataError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
    let token = |token: &str| !token.is_empty() && token.bytes().all(allowed);
    let valid = text.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    if valid && text.len() <= MAX_CONTENT_TYPE {
        return Ok(());
    }
    let field = format!("app.userData[{index}].contentType");
    let demand = "a content type is written TYPE/SUBTYPE, without parameters, for example text/cloud-config";
    Err(UserDataError::invalid(field, text, demand))
}

fn interception(options: &InstanceOptions) -> Result<Interception, UserDataError> {
    let InstanceOptions { proxy, app_port, .. } = options;
    let own = [ports::INGRESS, ports::EGRESS, ADMIN_PORT];
    if *app_port == 0 || own.contains(app_port) {
        let own = own.map(|port| port.to_string()).join(", ");
        let demand = format!(
            "the application listens on a port from 1 to 65535 that is none of the proxy's own ({own})"
        );
        return Err(UserDataError::invalid("app.port", &app_port.to_string(), demand));
    }
    if proxy.egress_ignored_ports.contains(&0) {
        let demand = "a port is a number from 1 to 65535";
        return Err(UserDataError::invalid("proxy.egressIgnoredPorts", "0", demand));
    }
    let own = proxy.egress_ignored_ips.iter().map(String::as_str);
    let networks = METADATA.into_iter().chain(own).map(|text| {
        text.parse::<Network>()
            .map_err(|demand| UserDataError::invalid("proxy.egressIgnoredIps", text, demand))
    });
    Ok(Interception::new(Options {
        ignored_uids: [proxy.uid].into(),
        app_ports: [*app_port].into(),
        ingress_port: Some(ports::INGRESS),
        egress_port: Some(ports::EGRESS),
        ignored_networks: networks.collect::<Result<_, _>>()?,
        ignored_egress_ports: proxy.egress_ignored_ports.iter().copied().collect(),
        ipv6: proxy.ipv6,
        guard_metadata: !options.metadata,
        guard_ports: [ADMIN_PORT].into(),
        // What joins is the proxy's user as well.
        guard_uids: [0, proxy.uid].into(),
        guard_denied_gids: (!options.metadata).then_some(APP_GID).into_iter().collect(),
        ..Options::default()
    })?)
}
