//! How programs find their Kubernetes cluster, as kubectl does. Reads files and the environment; makes no calls.

use std::path::Path;

use kube::Config;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};

/// Why there is no cluster to connect to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig{path} cannot be used: {}. Give another one with --kubeconfig{also}", reason(.source))]
    Kubeconfig {
        /// The file with a blank before it; empty when the environment names it.
        path: String,
        /// Why.
        source: Box<KubeconfigError>,
        /// What else may help; empty when nothing does.
        also: &'static str,
    },
    /// Neither a kubeconfig nor a service account was found.
    #[error(
        "no Kubernetes cluster is configured: {}. Give a kubeconfig with --kubeconfig, or run inside a cluster",
        reason_of_both(.0)
    )]
    Infer(#[from] Box<InferConfigError>),
    /// The client could not be built.
    #[error("the Kubernetes client cannot be built: {0}")]
    Client(#[from] Box<kube::Error>),
}

/// What is wrong with a kubeconfig, in words that quote nothing of it: a file that is none may have a token in any place.
fn reason(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        KubeconfigError::LoadContext(name) => format!("it has no context {name}"),
        KubeconfigError::LoadClusterOfContext(name) => format!("it has no cluster {name}"),
        KubeconfigError::CurrentContextNotSet => "it has no current context".to_owned(),
        _ => "it is none, or its certificates cannot be read".to_owned(),
    }
}

/// The same of both places where a cluster is looked for.
fn reason_of_both(error: &InferConfigError) -> String {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    let kubeconfig = cause.map_or_else(|| "it cannot be used".to_owned(), reason);
    format!("there is no service account of a pod, and of the kubeconfig: {kubeconfig}")
}

/// The configuration for the cluster of the `kubeconfig` file and its `context`, or of its current one; without a file that of the
/// environment: `KUBECONFIG`, `~/.kube/config`, or, when no context is asked for, the pod's service account.
///
/// # Errors
/// It is missing or malformed, or has no such context; never [`ConnectError::Client`].
pub async fn config(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Config, ConnectError> {
    let options =
        KubeConfigOptions { context: context.map(ToOwned::to_owned), ..KubeConfigOptions::default() };
    let failed = |source| ConnectError::Kubeconfig {
        path: kubeconfig.map(|path| format!(" {}", path.display())).unwrap_or_default(),
        source: Box::new(source),
        also: if context.is_some() { ", or another --context" } else { "" },
    };
    match (kubeconfig, context) {
        (Some(path), _) => {
            let file = Kubeconfig::read_from(path).map_err(failed)?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(failed)
        }
        (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(failed),
        (None, None) => Ok(Config::infer().await.map_err(Box::new)?),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    const FILE: &str = "{apiVersion: v1, kind: Config, current-context: a, \
        contexts: [{name: a, context: {cluster: one, user: u, namespace: shop}}, {name: b, context: {cluster: two, user: u}}], \
        users: [{name: u, user: {}}], \
        clusters: [{name: one, cluster: {server: 'http://127.0.0.1:1'}}, {name: two, cluster: {server: 'http://127.0.0.1:2'}}]}";

    #[tokio::test]
    async fn a_file_and_its_context_say_which_cluster_and_what_is_wrong_is_said_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        std::fs::write(&path, FILE).unwrap();
        let current = config(Some(&path), None).await.unwrap();
        assert_eq!(current.cluster_url, "http://127.0.0.1:1/");
        assert_eq!(current.default_namespace, "shop");
        assert_eq!(config(Some(&path), Some("b")).await.unwrap().cluster_url, "http://127.0.0.1:2/");
        let shown = path.display().to_string();
        let error = config(Some(&path), Some("c")).await.expect_err("no such context").to_string();
        assert!(error.starts_with(&format!("the kubeconfig {shown} cannot be used: ")), "{error}");
        assert!(error.ends_with(". Give another one with --kubeconfig, or another --context"), "{error}");
        std::fs::write(&path, "[ {token: hush").unwrap();
        let error = config(Some(&path), None).await.expect_err("no kubeconfig").to_string();
        assert!(error.ends_with(". Give another one with --kubeconfig"), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}
