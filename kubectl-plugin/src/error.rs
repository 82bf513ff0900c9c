//! Why a command failed, with a message for people, and the exit status.

use std::io;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no cluster to ask.
    #[error(transparent)]
    Connect(#[from] fleetmesh_cluster::ConnectError),
    /// The Kubernetes API did not do what was asked of it.
    #[error("cannot {doing}: {}", said(source))]
    Kubernetes {
        /// What was asked, as in "cannot …".
        doing: String,
        /// What it said.
        source: Box<kube::Error>,
    },
    /// The Route does not exist.
    #[error("the Route {0} does not exist: see `kubectl get routes --all-namespaces`")]
    NoRoute(String),
    /// There is no rollout to act on.
    #[error("{0}")]
    NoRollout(String),
    /// The operator refused.
    #[error("refused: {0}")]
    Refused(String),
    /// There was no answer in time.
    #[error("{0}")]
    TimedOut(String),
    /// The rollout did not end as it was to.
    #[error("{0}")]
    EndedOtherwise(String),
    /// A file cannot be used.
    #[error("{0}")]
    File(String),
    /// What was asked for cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// The answer could not be put into JSON.
    #[error("cannot render the answer: {0}")]
    Render(#[from] serde_json::Error),
    /// The process has no runtime.
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    /// The answer could not be written.
    #[error("cannot write to standard output: {0}")]
    Write(#[from] io::Error),
}

impl Error {
    /// The exit status: 1 failed, 2 wrong usage, 3 refused, 4 no answer in time.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::NoRollout(_) | Self::Refused(_) => 3,
            Self::TimedOut(_) => 4,
            _ => 1,
        }
    }

    /// Whether nobody reads the answer any more, which is no failure.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// What the Kubernetes API said to `doing`, as in "cannot …".
    pub fn kubernetes(doing: impl Into<String>, source: kube::Error) -> Self {
        Self::Kubernetes { doing: doing.into(), source: Box::new(source) }
    }
}

/// What the Kubernetes API said, and the way out where there is one.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.is_forbidden() => {
            format!(
                "{}. kubectl-plugin/rbac.yaml has the roles that the canary commands need",
                status.message
            )
        }
        // The answer is about the address, not about an object.
        kube::Error::Api(status) if status.code == 404 && status.details.is_none() => {
            "the cluster does not know the kind: `fleetmesh crds | kubectl apply -f -` installs it".to_owned()
        }
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
