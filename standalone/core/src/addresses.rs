//! Where a standalone serves: what its process writes into the data directory, and commands on the same host read there.

use serde::{Deserialize, Serialize};

/// The file in a data directory. Its process holds an exclusive lock on it: one without is of a process that has ended.
pub const FILE: &str = "addresses.json";

/// Where a standalone serves. Readers ignore members that they do not know.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Addresses {
    /// The id of its process.
    pub process: u32,
    /// The URL of the Kubernetes-style API.
    pub kubernetes_api: String,
    /// The URL of the App Mesh API that its own operator uses.
    pub app_mesh: String,
    /// The AWS region of its ARNs.
    pub region: String,
    /// Everything that its control plane listens at: HOST:PORT or unix:PATH, the App Mesh API first.
    pub control_plane: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_as_other_versions_read_it() {
        let text = r#"{"process":7,"kubernetesApi":"https://127.0.0.1:6443","appMesh":"http://127.0.0.1:9080","region":"us-west-2","controlPlane":["127.0.0.1:9080","unix:/run/ads"]}"#;
        let addresses = Addresses {
            process: 7,
            kubernetes_api: "https://127.0.0.1:6443".to_owned(),
            app_mesh: "http://127.0.0.1:9080".to_owned(),
            region: "us-west-2".to_owned(),
            control_plane: vec!["127.0.0.1:9080".to_owned(), "unix:/run/ads".to_owned()],
        };
        assert_eq!(serde_json::to_string(&addresses).expect("JSON"), text);
        let newer = text.replacen('{', r#"{"more":1,"#, 1);
        assert_eq!(serde_json::from_str::<Addresses>(&newer).expect("addresses"), addresses);
    }
}
