//! Leader election among operators: holds the Lease (`coordination.k8s.io/v1`) that they share, and a fence around every write that
//! opens for the leader only. May read and write that Lease; [`fleetmesh_core::lease`] makes the decisions.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fleetmesh_core::lease::{Contender, Lease as Seen, LeaseMove, Timing};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use rustix::time::{ClockId, clock_gettime};
use tracing::{info, warn};
use uuid::Uuid;

use crate::config::LeaderElection;
use crate::write_hook::{Write, WriteHook};

/// The label of the Leases of operators, by which one without an election finds those of others.
pub const LEASE_LABEL: (&str, &str) = ("fleetmesh.dev/lease", "operator");

/// A request for the Lease that takes longer is given up: the next look shows the result.
const PATIENCE: Duration = Duration::from_secs(3);

/// What has passed on a clock that also runs while the process is stopped and while the machine sleeps.
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Until when writes may be sent. Shared by all clients.
#[derive(Debug, Default)]
pub struct Fence {
    /// Milliseconds of [`now`]; 0 when this operator does not lead.
    until: AtomicU64,
}

impl Fence {
    /// Whether a write may be sent now.
    pub fn is_open(&self) -> bool {
        now().as_millis() < u128::from(self.until.load(Ordering::Acquire))
    }

    fn set(&self, until: Option<Duration>) {
        let until = until.map_or(0, |until| u64::try_from(until.as_millis()).unwrap_or(u64::MAX));
        self.until.store(until, Ordering::Release);
    }
}

/// A write that comes after the lease was lost is never sent. It waits until its task is cut off, which follows:
/// [`Operator::run`](crate::Operator::run) ends all of them with an error.
#[async_trait]
impl WriteHook for Fence {
    async fn before(&self, write: &Write) {
        if !self.is_open() {
            warn!(method = %write.method, path = %write.path, "not sent: this operator does not lead any more");
            std::future::pending::<()>().await;
        }
    }
}

/// Why an operator does not lead any more.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Lost {
    /// Another one has the Lease.
    #[error(
        "the Lease {lease} went to {holder}, so this operator stopped writing; start it again and it waits for its turn"
    )]
    Taken {
        /// The Lease, `namespace/name`.
        lease: String,
        /// Who has it.
        holder: String,
    },
    /// Another one works in the cluster, and this one takes no part in an election.
    #[error(
        "another operator ({holder}) works in this cluster, as its Lease {lease} shows, and two without leader election overwrite \
         each other, so this one stopped: stop the other one, or start both with --leader-elect and one --leader-election-namespace"
    )]
    InCompany {
        /// The Lease, `namespace/name`.
        lease: String,
        /// Who has it.
        holder: String,
    },
    /// It could not be renewed in time.
    #[error(
        "the Lease {lease} could not be renewed within {within:?}, so this operator stopped writing; see whether the API \
         server answers and whether the operator may update leases"
    )]
    NotRenewed {
        /// The Lease, `namespace/name`.
        lease: String,
        /// The time that it had.
        within: Duration,
    },
}

/// This operator's part in the election.
pub struct Election {
    api: Api<Lease>,
    namespace: String,
    name: String,
    contender: Contender,
    fence: Arc<Fence>,
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Election").field("contender", &self.contender).finish_non_exhaustive()
    }
}

impl Election {
    /// Takes part as `config` says. `client` must be one without the fence, which is opened by what this one writes.
    pub fn new(client: Client, config: LeaderElection, fence: Arc<Fence>) -> Self {
        let LeaderElection { namespace, name, lease_duration } = config;
        let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        let contender = Contender::new(identity(), Timing::of(lease_duration));
        Self { api: Api::namespaced(client, &namespace), namespace, name, contender, fence }
    }

    /// Looks until this operator leads. Whatever fails is tried again: it has nothing else to do.
    pub async fn acquire(&mut self) {
        let mut known = None;
        while !self.contender.leads(now()) {
            match self.turn().await {
                Ok(Some(holder)) if known.as_ref() != Some(&holder) => {
                    info!(lease = %self.lease(), %holder, "another operator leads; waiting");
                    known = Some(holder);
                }
                Ok(_) => {}
                Err(error) => {
                    warn!(lease = %self.lease(), %error, "cannot take the Lease; trying on");
                }
            }
            if !self.contender.leads(now()) {
                tokio::time::sleep(self.contender.timing().look).await;
            }
        }
        info!(lease = %self.lease(), identity = self.contender.identity(), "leading");
    }

    /// Renews until the Lease is lost; from then on the fence is closed.
    pub async fn keep(&mut self) -> Lost {
        let Timing { deadline, renew, look, .. } = self.contender.timing();
        let mut pause = renew;
        loop {
            tokio::time::sleep(pause).await;
            pause = match self.turn().await {
                Ok(None) => renew,
                Ok(Some(holder)) => return Lost::Taken { lease: self.lease(), holder },
                Err(error) => {
                    warn!(lease = %self.lease(), %error, "cannot renew the Lease; trying again");
                    look
                }
            };
            if !self.contender.leads(now()) {
                self.fence.set(None);
                return Lost::NotRenewed { lease: self.lease(), within: deadline };
            }
        }
    }

    /// Closes the fence: from now on nothing is written, until the Lease is taken anew by another election.
    pub fn close(&self) {
        self.fence.set(None);
    }

    /// Lets go of the Lease, so that another one need not wait for its end. Best effort: it ends by itself.
    pub async fn release(&mut self) {
        self.fence.set(None);
        if !self.contender.leads(now()) {
            return;
        }
        let Some(seen) = self.contender.seen().cloned() else { return };
        match self.write(Some(seen.resource_version), released(seen.transitions)).await {
            Ok(_) => info!(lease = %self.lease(), "released"),
            Err(error) => warn!(lease = %self.lease(), %error, "cannot release the Lease; it ends by itself"),
        }
    }

    fn lease(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// One look and what follows from it; gives the holder when that is somebody else.
    async fn turn(&mut self) -> Result<Option<String>, LeaseFailure> {
        let lease = limited(self.api.get_opt(&self.name)).await?;
        let step = self.contender.look(lease.as_ref().map(seen), now());
        // Who lost it must not write, whatever comes next.
        self.fence.set(self.contender.until());
        let (version, transitions) = match step {
            LeaseMove::Wait { holder } => return Ok(Some(holder)),
            LeaseMove::Create => (None, 0),
            LeaseMove::Write { resource_version, transitions } => (Some(resource_version), transitions),
        };
        let acquired = lease.and_then(|lease| acquired(lease, self.contender.identity()));
        let spec = spec(self.contender.identity(), self.contender.timing().lease, transitions, acquired);
        let sent = now();
        let written = self.write(version, spec).await?;
        self.contender.wrote(seen(&written), sent);
        self.fence.set(self.contender.until());
        Ok(None)
    }

    async fn write(&self, version: Option<String>, spec: LeaseSpec) -> Result<Lease, LeaseFailure> {
        put(&self.api, lease(&self.namespace, &self.name, version, spec)).await
    }
}

/// Who a process is. The same Pod may start another one.
pub(crate) fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "fleetmesh-operator".to_owned());
    format!("{host}_{}", Uuid::new_v4())
}

/// A Lease to be written in place of the version that it names, or anew.
pub(crate) fn lease(namespace: &str, name: &str, version: Option<String>, spec: LeaseSpec) -> Lease {
    let (key, value) = LEASE_LABEL;
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        resource_version: version,
        labels: Some([(key.to_owned(), value.to_owned())].into()),
        ..ObjectMeta::default()
    };
    Lease { metadata, spec: Some(spec) }
}

/// Writes it.
pub(crate) async fn put(api: &Api<Lease>, lease: Lease) -> Result<Lease, LeaseFailure> {
    let parameters = PostParams::default();
    let name = lease.metadata.name.clone().unwrap_or_default();
    match lease.metadata.resource_version {
        None => limited(api.create(&parameters, &lease)).await,
        Some(_) => limited(api.replace(&name, &parameters, &lease)).await,
    }
}

/// Why a request for the Lease failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseFailure {
    /// The operator lacks the right.
    #[error("forbidden")]
    Forbidden,
    /// It was answered with an error.
    #[error(transparent)]
    Answered(Box<kube::Error>),
    /// It was not answered.
    #[error("no answer within {PATIENCE:?}")]
    Silent,
}

impl LeaseFailure {
    /// Whether it is no use to try again: the operator lacks the right, or there is no such namespace.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Forbidden => true,
            Self::Answered(error) => matches!(&**error, kube::Error::Api(status) if status.code == 404),
            Self::Silent => false,
        }
    }
}

pub(crate) async fn limited<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, LeaseFailure> {
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => Err(LeaseFailure::Forbidden),
        Ok(answer) => answer.map_err(|error| LeaseFailure::Answered(Box::new(error))),
        Err(_) => Err(LeaseFailure::Silent),
    }
}

/// Since when `identity` has the Lease, if it has it already.
pub(crate) fn acquired(lease: Lease, identity: &str) -> Option<MicroTime> {
    lease.spec.filter(|spec| spec.holder_identity.as_deref() == Some(identity))?.acquire_time
}

/// What is decided by.
pub(crate) fn seen(lease: &Lease) -> Seen {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = u64::try_from(spec.lease_duration_seconds.unwrap_or_default()).unwrap_or_default();
    Seen {
        resource_version: lease.metadata.resource_version.clone().unwrap_or_default(),
        holder: spec.holder_identity,
        duration: Duration::from_secs(seconds),
        transitions: spec.lease_transitions.unwrap_or_default(),
    }
}

/// The times are for people to read; nobody decides by them.
pub(crate) fn spec(
    holder: &str,
    duration: Duration,
    transitions: i32,
    acquired: Option<MicroTime>,
) -> LeaseSpec {
    let time = MicroTime(Timestamp::now());
    LeaseSpec {
        acquire_time: Some(acquired.unwrap_or_else(|| time.clone())),
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: Some(i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)),
        lease_transitions: Some(transitions),
        renew_time: Some(time),
        ..LeaseSpec::default()
    }
}

/// An empty holder and the shortest duration, as client-go leaves them.
pub(crate) fn released(transitions: i32) -> LeaseSpec {
    spec("", Duration::from_secs(1), transitions, None)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use fleetmesh_aws::write_hook::{ReplyLost, WriteHooks, WriteTarget};
    use futures::FutureExt as _;

    use super::*;

    /// Counts, and loses each reply.
    #[derive(Debug, Default)]
    struct Loses(AtomicUsize);

    #[async_trait]
    impl WriteHook for Loses {
        async fn before(&self, _: &Write) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }

        async fn after(&self, _: &Write) -> Result<(), ReplyLost> {
            Err(ReplyLost)
        }
    }

    #[test]
    fn a_write_asks_the_fence_and_every_other_hook() {
        let (fence, loses) = (Arc::new(Fence::default()), Arc::new(Loses::default()));
        let hooks = WriteHooks::default().and(loses.clone()).and(fence.clone());
        for target in [WriteTarget::AppMesh, WriteTarget::Aws, WriteTarget::Kubernetes] {
            let write = Write { target, method: "PUT".to_owned(), path: "/".to_owned() };
            let sent = || hooks.before(&write).now_or_never().is_some();
            assert!(!sent(), "{target:?}: before this operator leads");
            fence.set(Some(now() + Duration::from_secs(60)));
            assert!(sent(), "{target:?}: while it leads");
            assert_eq!(hooks.after(&write).now_or_never(), Some(Err(ReplyLost)), "{target:?}");
            fence.set(Some(now()));
            assert!(!sent(), "{target:?}: once its time is over");
            fence.set(None);
            assert!(!sent(), "{target:?}: after it let go");
        }
        assert_eq!(loses.0.load(Ordering::SeqCst), 12);
    }
}
