//! The tools built from Go: etcd, kube-apiserver, helm, the kubectl of Kubernetes 1.20 and, when the machine has none, today's; for
//! images, crane.
//!
//! Runs `go build` in `xtask/tools`, whose go.mod and go.sum pin every version, and writes `tools/bin`. crane and the old kubectl
//! have a go.mod of their own below it: a tool is built anew when its go.mod changes, and another crane is no reason to build
//! Kubernetes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Layout;
use super::stamp::{Stamp, digest};

/// Kubernetes binaries report this version; it is the one go.mod pins for `k8s.io/kubernetes`.
const KUBERNETES_MODULE: &str = "k8s.io/kubernetes";
/// The same of helm.
const HELM_MODULE: &str = "helm.sh/helm/v3";

/// Without symbols and debug information, which nobody looks at here.
const SMALL: &str = "-s -w";

/// One binary and the package it is built from.
struct Tool {
    name: &'static str,
    package: &'static str,
    /// The folder of its go.mod, in `xtask/tools`.
    module: &'static str,
    /// Time on two cores with an empty build cache, for the progress line.
    takes: &'static str,
}

const ETCD: Tool =
    Tool { name: "etcd", package: "go.etcd.io/etcd/server/v3", module: ".", takes: "1 minute" };
const KUBE_APISERVER: Tool = Tool {
    name: "kube-apiserver",
    package: "k8s.io/kubernetes/cmd/kube-apiserver",
    module: ".",
    takes: "4 minutes",
};
const HELM: Tool =
    Tool { name: "helm", package: "helm.sh/helm/v3/cmd/helm", module: ".", takes: "3 minutes" };
const KUBECTL: Tool =
    Tool { name: "kubectl", package: "k8s.io/kubernetes/cmd/kubectl", module: ".", takes: "1 minute" };
/// What Debian 12 and others with old packages have, of before aggregated discovery and OpenAPI v3.
const OLD_KUBECTL: Tool = Tool {
    name: "kubectl-1.20",
    package: "k8s.io/kubernetes/cmd/kubectl",
    module: "kubectl-1.20",
    takes: "1 minute",
};
const CRANE: Tool = Tool {
    name: "crane",
    package: "github.com/google/go-containerregistry/cmd/crane",
    module: "crane",
    takes: "half a minute",
};

/// Puts etcd, kube-apiserver, helm and both versions of kubectl into `tools/bin`.
///
/// # Errors
/// A build fails, or a file cannot be written.
pub fn ensure(layout: &Layout) -> Result<()> {
    build(&ETCD, layout)?;
    build(&KUBE_APISERVER, layout)?;
    build(&HELM, layout)?;
    build(&OLD_KUBECTL, layout)?;
    match super::system::on_path(KUBECTL.name).filter(|found| !found.starts_with(&layout.bin)) {
        Some(found) => super::link(&found, &layout.bin.join(KUBECTL.name)),
        None => build(&KUBECTL, layout),
    }
}

/// Puts crane, which makes images without a daemon, into `tools/bin`.
///
/// # Errors
/// As [`ensure`].
pub fn ensure_crane(layout: &Layout) -> Result<()> {
    build(&CRANE, layout)
}

fn build(tool: &Tool, layout: &Layout) -> Result<()> {
    let sources = layout.sources.join(tool.module);
    let go_mod = std::fs::read_to_string(sources.join("go.mod")).context("cannot read go.mod")?;
    let go_sum = std::fs::read(sources.join("go.sum")).context("cannot read go.sum")?;
    let product = layout.bin.join(tool.name);
    let inputs = digest([go_mod.as_bytes(), go_sum.as_slice(), tool.package.as_bytes()]);
    let stamp = Stamp::new(&layout.tools, tool.name, inputs);
    if stamp.is_fresh(&product) {
        return Ok(());
    }
    eprintln!("  {}: building from source, once (about {} on two cores)", tool.name, tool.takes);
    let partial = layout.bin.join(format!("{}.partial", tool.name));
    let mut command = Command::new("go");
    command.current_dir(&sources).env("CGO_ENABLED", "0").args(["build", "-ldflags"]);
    command.arg(link_flags(&go_mod)?).arg("-o").arg(&partial).arg(tool.package);
    crate::step::run(tool.name, &mut command, &layout.logs.join(format!("{}.log", tool.name)))?;
    replace(&partial, &product)?;
    stamp.write()
}

/// Puts the finished binary in place. A symbolic link there (an earlier kubectl) is replaced, not followed.
fn replace(partial: &Path, product: &Path) -> Result<()> {
    std::fs::rename(partial, product).with_context(|| format!("cannot write {}", product.display()))
}

/// Without the version, kube-apiserver calls itself v0.0.0 and clients refuse to talk to it; helm, which asks no cluster
/// when it renders a chart, then takes charts to be for Kubernetes 1.20. The linker passes over what a tool has not.
fn link_flags(go_mod: &str) -> Result<String> {
    let Some(kubernetes) = pinned_version(go_mod, KUBERNETES_MODULE) else {
        return Ok(SMALL.to_owned());
    };
    let Some(helm) = pinned_version(go_mod, HELM_MODULE) else {
        return Ok(format!("{SMALL} -X k8s.io/component-base/version.gitVersion={kubernetes}"));
    };
    let mut numbers = kubernetes.trim_start_matches('v').split('.');
    let (major, minor) =
        numbers.next().zip(numbers.next()).context("Kubernetes has a major and a minor version")?;
    let settings = [
        ("k8s.io/component-base/version.gitVersion", kubernetes),
        ("helm.sh/helm/v3/internal/version.version", helm),
        ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor", major),
        ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor", minor),
    ];
    let settings: Vec<String> = settings.iter().map(|(name, value)| format!("-X {name}={value}")).collect();
    Ok(format!("{SMALL} {}", settings.join(" ")))
}

/// The version a `require` line of go.mod gives `module`.
fn pinned_version<'a>(go_mod: &'a str, module: &str) -> Option<&'a str> {
    go_mod.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        (words.next()? == module).then(|| words.next()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_version_takes_the_exact_module() {
        let go_mod = "require (\n\tk8s.io/kubernetes/x v9.9.9\n\tk8s.io/kubernetes v1.36.3 // indirect\n)\n";
        assert_eq!(pinned_version(go_mod, KUBERNETES_MODULE), Some("v1.36.3"));
        assert_eq!(pinned_version("require k8s.io/kubernetes v1.2.3", KUBERNETES_MODULE), Some("v1.2.3"));
        assert_eq!(pinned_version("", KUBERNETES_MODULE), None);
    }

    #[test]
    fn link_flags_give_each_tool_its_version() -> Result<()> {
        let flags = link_flags("\thelm.sh/helm/v3 v3.22.0 // indirect\n\tk8s.io/kubernetes v1.36.3\n")?;
        assert!(flags.contains("version.gitVersion=v1.36.3"), "{flags}");
        assert!(flags.contains("internal/version.version=v3.22.0"), "{flags}");
        assert!(flags.contains("k8sVersionMajor=1 ") && flags.ends_with("k8sVersionMinor=36"), "{flags}");
        let kubectl = link_flags("\tk8s.io/kubernetes v1.20.2\n")?;
        assert!(kubectl.ends_with("version.gitVersion=v1.20.2"), "{kubectl}");
        Ok(())
    }
}
