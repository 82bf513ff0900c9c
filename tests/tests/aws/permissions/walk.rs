//! A life in which the operator lacks one right after the other. Each time it must be refused exactly that, and the
//! resource must say so; that it comes to the next refusal shows that the last one was mended when the right came back.

use std::collections::BTreeSet;

use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::moto::Moto;
use fleetmesh_testbed::wait;
use fleetmesh_tests::objects::Objects;
use serde_json::Value;

use super::actions;
use super::gate::Gate;
use crate::bed::LIMIT;

pub struct PermissionWalk<'a> {
    pub policy: &'a Value,
    pub gate: &'a Gate,
    /// Where the policy counts for what is not App Mesh's.
    pub moto: Option<&'a Moto>,
    pub kubectl: &'a Kubectl,
    pub objects: Objects,
    pub namespace: &'a str,
    /// The actions that were refused.
    pub refused: BTreeSet<String>,
}

impl PermissionWalk<'_> {
    /// The operator lacks `action` from now on, and nothing else.
    async fn lacks(&self, action: &str) {
        let mut rest = actions(self.policy);
        assert!(rest.remove(action), "the policy has no {action}");
        self.gate.allow(&rest);
        if let Some(moto) = self.moto.filter(|_| !action.starts_with("appmesh:")) {
            moto.allow("operator", &less(self.policy, action)).await.unwrap();
        }
    }

    /// The operator lacks nothing any more.
    pub async fn lacks_nothing(&self) {
        self.gate.allow(&actions(self.policy));
        if let Some(moto) = self.moto {
            moto.allow("operator", self.policy).await.unwrap();
        }
    }

    /// Lets the operator lack `action`, and then do what comes next: the object says that it is refused.
    pub async fn meets(&mut self, object: &str, action: &str) -> String {
        self.meets_when(object, action, async || {}).await
    }

    /// The same after a `change`; gives the message.
    pub async fn meets_when(&mut self, object: &str, action: &str, change: impl AsyncFnOnce()) -> String {
        self.lacks(action).await;
        change().await;
        let words = format!("is not authorized to perform: {action} on");
        let what = format!("{object} says that {action} is refused");
        let message = wait::until(&what, LIMIT, async || {
            let found = self.get(object).await;
            let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let said = conditions.iter().find(|condition| {
                let denied =
                    ["AccessDenied", "LaunchFailed"].iter().any(|reason| condition["reason"] == *reason);
                denied && condition["message"].as_str().is_some_and(|message| message.contains(&words))
            });
            anyhow::ensure!(said.is_some(), "{conditions:?}");
            Ok(said.and_then(|condition| condition["message"].as_str()).map(str::to_owned))
        });
        let message = message.await.unwrap();
        self.refused.insert(action.to_owned());
        message
    }

    pub async fn get(&self, object: &str) -> Value {
        self.objects.get(self.namespace, object).await.unwrap()
    }

    /// kubectl in the namespace.
    pub async fn run(&self, arguments: &[&str]) {
        self.kubectl.run(&[&["--namespace", self.namespace], arguments].concat()).await.unwrap();
    }

    /// Every action of the policy that `belongs` was refused once.
    pub fn is_complete(&self, belongs: impl Fn(&str) -> bool) {
        let left: Vec<_> = actions(self.policy).into_iter().filter(|action| belongs(action)).collect();
        let left: Vec<_> = left.iter().filter(|action| !self.refused.contains(*action)).collect();
        assert!(left.is_empty(), "nobody needs {left:?}");
    }
}

/// The policy less one action.
fn less(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    let statements = policy["Statement"].as_array_mut().unwrap();
    for statement in &mut *statements {
        statement["Action"].as_array_mut().unwrap().retain(|one| one != action);
    }
    statements.retain(|statement| statement["Action"].as_array().is_some_and(|actions| !actions.is_empty()));
    policy
}
