//! The fleet's spec as the input of `fleetmesh-instance`, which makes user data from it. Pure.

use fleetmesh_crds::fleet::{App, Fleet, Proxy};
use fleetmesh_instance::user_data::{
    Application, DataPart, InstanceOptions, JoinOptions, ProxyImage, ProxyOptions, user_data,
};
use serde_json::{Value, json};

use crate::object::Object;

/// Where instances run, and what their proxies connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetPlace {
    /// The region.
    pub region: String,
    /// The control plane's address as instances see it: `https://HOST:PORT` with `join`, else `HOST:PORT` or
    /// `unix:///PATH`.
    pub control_plane: Option<String>,
    /// How instances get their proxies' certificates; they get none without.
    pub join: Option<JoinOptions>,
}

/// What the user data of the fleet's instances is made from: equal recipes give user data that does the same. What is not
/// used is not in it, so that an upgrade to a program that could use it replaces no instance.
pub fn recipe(object: &Object, fleet: &Fleet, place: &FleetPlace) -> Value {
    let mut recipe = json!({
        "resource": object.id.to_string(),
        "region": place.region,
        "controlPlane": place.control_plane,
        "proxy": fleet.proxy.clone().unwrap_or_default(),
        "app": fleet.app,
    });
    if let Some(JoinOptions { image, control_plane, authority }) = &place.join {
        recipe["join"] = json!({ "image": image, "controlPlane": control_plane, "authority": authority });
    }
    recipe
}

/// The user data of the fleet's instances, not encoded. It asks the metadata service by IMDSv2 alone, which the template
/// demands.
///
/// # Errors
/// A value that cannot be: the field, what was found, and what it takes.
pub fn render(object: &Object, fleet: &Fleet, place: &FleetPlace) -> Result<String, String> {
    if fleet.app.is_none() && object.extension.node().is_some() {
        return Err("fleet.app must be set when replicas is".to_owned());
    }
    let proxy = fleet.proxy.clone().unwrap_or_default();
    user_data(&options(object, fleet.app.as_ref(), &proxy, place)?).map_err(|error| error.to_string())
}

/// Without an application they are those of a gateway.
fn options(
    object: &Object,
    app: Option<&App>,
    proxy: &Proxy,
    place: &FleetPlace,
) -> Result<InstanceOptions, String> {
    let port = |field: &str, value: i32| {
        u16::try_from(value).map_err(|_| format!("{field} is {value}: a port is 1 to 65535"))
    };
    let ports = proxy.egress_ignored_ports.iter();
    let ports: Result<Vec<u16>, String> =
        ports.map(|value| port("fleet.proxy.egressIgnoredPorts", *value)).collect();
    let application = match app.map(|app| (&app.container, &app.user_data)) {
        Some((Some(container), _)) => Application::Container(container.clone()),
        Some((None, parts)) => Application::Parts(parts.iter().flatten().map(part).collect()),
        None => Application::Nothing,
    };
    Ok(InstanceOptions {
        mesh: object.id.mesh_name().name().to_owned(),
        name: object.id.name().to_owned(),
        region: place.region.clone(),
        proxy: ProxyOptions {
            image: match proxy.image.as_str() {
                "AppMesh" => ProxyImage::AppMesh,
                "Envoy" => ProxyImage::Envoy,
                image => ProxyImage::Custom(image.to_owned()),
            },
            uid: u32::try_from(proxy.uid)
                .map_err(|_| format!("fleet.proxy.uid is {}: a user id is 0 to 2147483647", proxy.uid))?,
            egress_ignored_ips: proxy.egress_ignored_ips.clone(),
            egress_ignored_ports: ports?,
            ipv6: proxy.ipv6,
            dns: proxy.dns,
        },
        control_plane: place.control_plane.clone(),
        join: place.join.clone(),
        app_port: app.map_or(Ok(0), |app| port("fleet.app.port", app.port))?,
        application,
        metadata: app.is_some_and(|app| app.metadata),
    })
}

fn part(part: &fleetmesh_crds::fleet::UserDataPart) -> DataPart {
    DataPart { content_type: part.content_type.clone(), content: part.content.clone() }
}
