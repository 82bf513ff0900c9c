//! The control plane's long-lived tasks. Pure.

use fleetmesh_tasks::task_names;

task_names! {
    /// A long-lived task. If it panics or ends unasked, `/livez` fails and the control plane ends with its name.
    pub enum Task {
        /// Reads the files of TLS again when they change.
        Certificates = "certificates",
        /// Reads the access keys again when they change.
        AccessKeys = "access keys",
        /// Renews the keys of versions.
        VersionKeys = "keys of versions",
        /// Forgets client tokens that are over.
        ClientTokens = "client tokens",
        /// Reads the file of shares again when it changes.
        MeshShares = "mesh shares",
        /// Reads the file of denied instances again when it changes.
        DeniedInstances = "denied instances",
        /// Watches over the thread that stores.
        Store = "store",
        /// A listener of App Mesh's API.
        Api = "App Mesh's API",
        /// A listener where instances join.
        Joining = "joining",
        /// Asks Cloud Map.
        CloudMap = "Cloud Map",
        /// Asks ACM PCA.
        Authorities = "authorities of ACM PCA",
        /// A listener of ADS.
        Ads = "ADS",
        /// Keeps the snapshots of the proxies up to date.
        Snapshots = "snapshots of the proxies",
    }
}
