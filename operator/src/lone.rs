//! An operator without leader election keeps a Lease by which others see it, and ends when it sees that another one works in the
//! cluster. May read and write that Lease and list those of operators; [`fleetmesh_core::lone`] makes the decisions.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmesh_core::lease::Timing;
use fleetmesh_core::lone::{Lone, LoneMove};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::{Api, Client};
use tracing::{info, warn};

use crate::config::LeaderElection;
use crate::leader::{self, LEASE_LABEL, LeaseFailure, Lost, limited, now};

/// For how long its Lease holds at most: who starts after it was killed has to see that it is renewed no more.
const LEASE: Duration = Duration::from_secs(6);
/// What an operator that cannot look says.
const BLIND: &str = "cannot see whether another operator works in this cluster, so two may overwrite each other: this one may not read and \
                     write its Lease (operator/leader-election-rbac.yaml)";

/// The look-out of an operator without leader election.
pub struct LookOut {
    own: Api<Lease>,
    all: Option<Api<Lease>>,
    namespace: String,
    name: String,
    lone: Lone,
    /// Whether it may not look.
    blind: bool,
}

impl std::fmt::Debug for LookOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LookOut").field("lone", &self.lone).finish_non_exhaustive()
    }
}

impl LookOut {
    /// Keeps the Lease that `config` names. Nothing is called yet.
    pub fn new(client: Client, config: LeaderElection) -> Self {
        let LeaderElection { namespace, name, lease_duration } = config;
        let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        let own = format!("{namespace}/{name}");
        let lone = Lone::new(leader::identity(), own, Timing::of(lease_duration.min(LEASE)));
        let all = Some(Api::all(client.clone()));
        Self { own: Api::namespaced(client, &namespace), all, namespace, name, lone, blind: false }
    }

    /// Looks until nobody else is seen to work, or this operator may not look.
    ///
    /// # Errors
    /// Another operator works in the cluster.
    pub async fn until_alone(&mut self) -> Result<(), Lost> {
        let mut waiting = false;
        loop {
            match self.turn().await {
                Ok(Some(lost)) => return Err(lost),
                Ok(None) if self.lone.may_begin(now()) => {
                    info!(
                        lease = %self.lease(),
                        "working without leader election: if another operator works in this cluster, this one ends; several need --leader-elect"
                    );
                    return Ok(());
                }
                Ok(None) if !waiting => {
                    info!(lease = %self.lease(), "another operator left a Lease; waiting to see whether it is at work");
                    waiting = true;
                }
                Ok(None) => {}
                Err(error) if error.is_final() => {
                    warn!(lease = %self.lease(), %error, "{BLIND}");
                    self.blind = true;
                    return Ok(());
                }
                Err(error) => {
                    warn!(lease = %self.lease(), %error, "cannot look for other operators; trying on")
                }
            }
            tokio::time::sleep(self.lone.timing().look).await;
        }
    }

    /// Looks until another operator is seen to work; never ends where nothing can be seen.
    pub async fn until_in_company(&mut self) -> Lost {
        while !self.blind {
            tokio::time::sleep(self.lone.timing().renew).await;
            match self.turn().await {
                Ok(None) => {}
                Ok(Some(lost)) => return lost,
                Err(error) if error.is_final() => {
                    warn!(lease = %self.lease(), %error, "{BLIND}");
                    self.blind = true;
                }
                Err(error) => {
                    warn!(lease = %self.lease(), %error, "cannot look for other operators; trying on")
                }
            }
        }
        std::future::pending().await
    }

    /// Lets go of the Lease, so that the next operator has it at once. Best effort.
    pub async fn release(&self) {
        let Some(held) = self.lone.held() else { return };
        let (version, spec) = (held.resource_version.clone(), leader::released(held.transitions));
        let lease = leader::lease(&self.namespace, &self.name, Some(version), spec);
        if let Err(error) = leader::put(&self.own, lease).await {
            warn!(lease = %self.lease(), %error, "cannot release the Lease; it ends by itself");
        }
    }

    fn lease(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    async fn turn(&mut self) -> Result<Option<Lost>, LeaseFailure> {
        let leases = self.leases().await?;
        let held = leases.get(&self.lease()).cloned();
        let seen = leases.iter().map(|(name, lease)| (name.clone(), leader::seen(lease))).collect();
        let (version, transitions) = match self.lone.look(seen, now()) {
            LoneMove::Wait => return Ok(None),
            LoneMove::Leave { lease, holder } => return Ok(Some(Lost::InCompany { lease, holder })),
            LoneMove::Write { resource_version, transitions } => (resource_version, transitions),
        };
        let (identity, timing) = (self.lone.identity(), self.lone.timing());
        let acquired = held.and_then(|lease| leader::acquired(lease, identity));
        let spec = leader::spec(identity, timing.lease, transitions, acquired);
        let sent = now();
        let written =
            leader::put(&self.own, leader::lease(&self.namespace, &self.name, version, spec)).await?;
        self.lone.wrote(leader::seen(&written), sent);
        Ok(None)
    }

    /// The Leases of the operators of the cluster, by `namespace/name`; its own alone where it may not list others'.
    async fn leases(&mut self) -> Result<BTreeMap<String, Lease>, LeaseFailure> {
        let mut leases = BTreeMap::new();
        if let Some(all) = &self.all {
            let labelled = ListParams::default().labels(&format!("{}={}", LEASE_LABEL.0, LEASE_LABEL.1));
            match limited(all.list(&labelled)).await {
                Ok(list) => leases.extend(list.into_iter().map(|lease| (path(&lease), lease))),
                Err(LeaseFailure::Forbidden) => self.all = None,
                Err(error) => return Err(error),
            }
        }
        // One that an earlier version wrote has no label.
        if !leases.contains_key(&self.lease()) {
            leases.extend(limited(self.own.get_opt(&self.name)).await?.map(|lease| (self.lease(), lease)));
        }
        Ok(leases)
    }
}

fn path(lease: &Lease) -> String {
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}/{}", part(&lease.metadata.namespace), part(&lease.metadata.name))
}
