//! Whose API serves the clusters of tests: kube-apiserver over etcd, or the embedded API of `fleetmesh standalone`. A suite is
//! run on either, unchanged; `cargo xtask test` runs those of [`ON_STANDALONE`] on both.

use anyhow::{Result, bail};

/// The variable that says it: `kube-apiserver`, which is the default, or `standalone`.
pub const VARIABLE: &str = "FLEETMESH_TEST_API";

/// Who serves the Kubernetes API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApiServer {
    /// kube-apiserver over etcd.
    #[default]
    Kubernetes,
    /// The API of `fleetmesh standalone`, alone: without its operator and control plane.
    Standalone,
}

impl ApiServer {
    /// The one that this run of the tests asks for.
    ///
    /// # Errors
    /// [`VARIABLE`] has another value.
    pub fn asked() -> Result<Self> {
        Self::named(std::env::var(VARIABLE).ok().as_deref())
    }

    fn named(name: Option<&str>) -> Result<Self> {
        match name {
            None | Some("kube-apiserver") => Ok(Self::Kubernetes),
            Some("standalone") => Ok(Self::Standalone),
            Some(other) => bail!("{VARIABLE}={other}: give kube-apiserver or standalone"),
        }
    }

    /// The value of [`VARIABLE`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kube-apiserver",
            Self::Standalone => "standalone",
        }
    }
}

/// A suite that `cargo xtask test` runs on [`ApiServer::Standalone`] as well.
#[derive(Clone, Copy, Debug)]
pub struct SecondRun {
    /// The file or folder of the suite in `tests/tests`.
    pub suite: &'static str,
    /// Whether only the long form runs it so.
    pub long: bool,
    /// What of it stays on kube-apiserver.
    pub stays: &'static [Stays],
}

/// Tests that need what standalone does not have.
#[derive(Clone, Copy, Debug)]
pub struct Stays {
    /// A test, or a module of the suite with all of its tests.
    pub tests: &'static str,
    /// What they need.
    pub needs: &'static str,
}

const fn stays(tests: &'static str, needs: &'static str) -> Stays {
    Stays { tests, needs }
}

/// Every suite that is run on standalone as well. All others run on kube-apiserver alone: they test the chart, RBAC and definitions of
/// a cluster, or proxies, to which the operator's API makes no difference.
pub const ON_STANDALONE: &[SecondRun] = &[
    SecondRun {
        suite: "kubernetes",
        long: false,
        stays: &[
            stays("canary_access::", "RBAC: users who may do some things and not others"),
            stays("rights::", "RBAC, and the audit log that shows which rights are used"),
            stays("definitions::", "an API without our definitions: standalone has them from the start"),
        ],
    },
    SecondRun { suite: "canary", long: true, stays: &[] },
    SecondRun { suite: "crash", long: true, stays: &[] },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_one_that_is_named() -> Result<()> {
        assert_eq!(ApiServer::named(None)?, ApiServer::default());
        for api in [ApiServer::Kubernetes, ApiServer::Standalone] {
            assert_eq!(ApiServer::named(Some(api.name()))?, api);
        }
        let wrong = ApiServer::named(Some("k3s")).unwrap_err().to_string();
        assert!(wrong.contains("FLEETMESH_TEST_API=k3s") && wrong.contains("standalone"), "{wrong}");
        Ok(())
    }
}
