//! The uid that identifies a cluster.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use tracing::warn;

/// The pause between tries.
const PAUSE: Duration = Duration::from_secs(1);

/// The uid of kube-system, which is as old and as unique as the cluster; an API server that does not return it is asked again.
pub async fn uid(client: &Client) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut complained = false;
    loop {
        match namespaces.get_metadata("kube-system").await {
            Ok(namespace) => match namespace.metadata.uid {
                Some(uid) => return uid,
                None => warn!("the namespace kube-system has no uid"),
            },
            Err(error) if !std::mem::replace(&mut complained, true) => {
                warn!(%error, "cannot read the namespace kube-system, whose uid identifies the cluster; trying on. Or give --cluster-name");
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}
