//! Rights per verb: `samples/canary-access` on a real API server, asked by users who have some verbs, none, and no right at all.

use std::path::PathBuf;

use fleetmesh_testbed::cluster::{Cluster, ClusterOptions, User};
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{stack, tools, wait};
use serde_json::json;

use crate::bed::LIMIT;

/// Every verb.
const VERBS: [&str; 7] = ["Promote", "PromoteFull", "Pause", "Resume", "SkipStep", "Abort", "Retry"];

struct AccessBed {
    cluster: Cluster,
    run: RunDir,
}

impl AccessBed {
    /// The API server's answer to `user`, who sends a rollout `verb`; a dry run.
    async fn send(&self, user: &User, verb: &str) -> Result<(), String> {
        let file = self.action(verb);
        let kubectl = Kubectl::new(&self.cluster.kubeconfig(user).unwrap()).unwrap();
        let create = ["create", "--dry-run=server", "-f", file.to_str().unwrap()];
        let said = kubectl.capture(&create).await.unwrap();
        if said.status.success() { Ok(()) } else { Err(said.stderr) }
    }

    fn action(&self, verb: &str) -> PathBuf {
        let file = self.run.join(format!("{verb}.json"));
        let action = json!({
            "apiVersion": "fleetmesh.dev/v1alpha1",
            "kind": "RouteAction",
            "metadata": { "namespace": "apps", "generateName": "service-b-" },
            "spec": { "routeName": "service-b", "rolloutId": "1", "stepIndex": 1, "verb": verb },
        });
        std::fs::write(&file, action.to_string()).unwrap();
        file
    }
}

#[tokio::test]
async fn a_user_sends_a_rollout_the_verbs_of_his_roles_and_no_other() {
    let in_group = |name: &str, group: &str| User { groups: vec![group.to_owned()], ..User::named(name) };
    let (ann, ben) = (in_group("ann", "on-call"), in_group("ben", "release-managers"));
    // Who may create RouteActions, and has no verb.
    let eve = User::named("eve");
    let stranger = User::named("stranger");
    let run = RunDir::new("canary-access").unwrap();
    let users = vec![ann.clone(), ben.clone(), eve.clone(), stranger.clone()];
    let cluster =
        Cluster::start_with(&run, ClusterOptions { users, audit: false, ..ClusterOptions::default() })
            .await
            .unwrap();
    let kubectl = cluster.kubectl().unwrap();
    stack::install_crds(&kubectl, &run).await.unwrap();
    let bed = AccessBed { cluster, run };
    let samples = tools::workspace_dir().unwrap().join("samples");
    kubectl.apply(&samples.join("canary-access/00-namespace.yaml")).await.unwrap();
    let role =
        ["create", "role", "creator", "-n", "apps", "--verb=create", "--resource=routeactions.fleetmesh.dev"];
    kubectl.run(&role).await.unwrap();
    let binding = ["create", "rolebinding", "creator", "-n", "apps", "--role=creator", "--user=eve"];
    kubectl.run(&binding).await.unwrap();
    // Without the policy whoever may create one may use every verb.
    assert_eq!(bed.send(&eve, "PromoteFull").await, Ok(()));

    kubectl.apply(&samples.join("canary-access")).await.unwrap();
    wait::until("the policy is in force", LIMIT, async || Ok(bed.send(&eve, "Promote").await.err()))
        .await
        .unwrap();
    for verb in VERBS {
        let said = bed.send(&eve, verb).await.unwrap_err();
        let names = [format!("user \"eve\" may not {verb} rollouts of the namespace \"apps\"")];
        assert!(names.iter().all(|name| said.contains(name)), "{said}");
        assert_eq!(bed.send(&ben, verb).await, Ok(()), "{verb}");
        assert_eq!(bed.send(&ann, verb).await.is_ok(), ["Pause", "Abort"].contains(&verb), "{verb}");
        let said = bed.send(&stranger, verb).await.unwrap_err();
        assert!(said.contains("cannot create resource \"routeactions\""), "RBAC speaks first: {said}");
    }
}
