//! Each action in AWS is needed: without it an identity, a fleet or an enrolment stops with a condition that names it.

use std::collections::BTreeSet;

use fleetmesh_testbed::fleet_class;
use fleetmesh_testbed::moto::Moto;
use fleetmesh_tests::objects::Objects;
use serde_json::{Value, json};

use super::gate::Gate;
use super::generated;
use super::walk::PermissionWalk;
use crate::account::policy_arn;
use crate::bed::{AwsBed, CLUSTER, TIMEOUT};
use crate::space::Space;

const NODE: &str = "virtualnode/n";
const ENROLLED: &str = "virtualnode/e";

/// An AWS account, and a walk through the life of what is in it.
struct Life<'a> {
    walk: PermissionWalk<'a>,
    space: &'a Space,
    moto: &'a Moto,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_one_action_in_aws_the_operator_is_refused_just_that() {
    let policy = generated().await;
    let gate = Gate::start(&policy).await;
    let bed = AwsBed::start_between("less", |endpoint| gate.before(endpoint), "1s", &[]).await;
    let space = bed.space("less").await;
    let walk = PermissionWalk {
        policy: &policy,
        gate: &gate,
        moto: Some(&bed.moto),
        kubectl: &bed.kubectl,
        objects: Objects::of(&bed.kubectl),
        namespace: &space.name,
        refused: BTreeSet::new(),
    };
    let mut life = Life { walk, space: &space, moto: &bed.moto };
    life.the_identity_is_made().await;
    life.it_is_looked_at().await;
    life.it_is_changed().await;
    life.a_fleet_is_launched().await;
    life.an_instance_is_enrolled_and_let_go().await;
    life.the_fleet_is_registered_scaled_and_changed().await;
    life.everything_goes().await;
    life.walk.is_complete(|action| !action.starts_with("appmesh:"));
    let roles = bed.account().roles().await;
    assert!(!roles.iter().any(|role| role.starts_with("mesh-")), "{roles:?}");
}

/// `aws ARGUMENTS` as the administrator.
async fn aws(moto: &Moto, arguments: &str) -> Value {
    moto.aws(&arguments.split(' ').collect::<Vec<_>>()).await.unwrap()
}

impl Life<'_> {
    fn node(&self, iam: Value, fleet: Option<(i32, &str)>) -> Value {
        let mut members = json!({ "iam": iam });
        if let Some((replicas, container)) = fleet {
            members["serviceDiscovery"] =
                json!({ "awsCloudMap": { "namespaceName": "less.local", "serviceName": "n" } });
            members["fleet"] = json!({
                "className": "less", "replicas": replicas, "capacity": { "instanceTypes": ["t3.small"] },
                "image": { "ssmParameter": "/images/app" }, "app": { "port": 8000, "container": container },
            });
        }
        self.space.node("n", members)
    }

    async fn the_identity_is_made(&mut self) {
        let node = self.node(json!({}), None);
        let space = self.space;
        self.walk.meets_when(NODE, "iam:GetRole", async || space.apply(&node).await).await;
        for action in [
            "CreateRole",
            "TagRole",
            "CreatePolicy",
            "TagPolicy",
            "AttachRolePolicy",
            "CreateInstanceProfile",
            "TagInstanceProfile",
            "AddRoleToInstanceProfile",
            "PassRole",
        ] {
            self.walk.meets(NODE, &format!("iam:{action}")).await;
        }
    }

    async fn it_is_looked_at(&mut self) {
        for action in [
            "ListAttachedRolePolicies",
            "ListRolePolicies",
            "GetPolicy",
            "ListPolicyVersions",
            "GetPolicyVersion",
            "GetInstanceProfile",
        ] {
            self.walk.meets(NODE, &format!("iam:{action}")).await;
        }
    }

    async fn it_is_changed(&mut self) {
        let role = self.space.role("n");
        let everything =
            r#""Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]"#;
        let arn = policy_arn(&role);
        let wide = format!(
            "iam create-policy-version --set-as-default --policy-arn {arn} --policy-document {{{everything}}}"
        );
        let trust = r#""Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]"#;
        let trust = format!("iam update-assume-role-policy --role-name {role} --policy-document {{{trust}}}");
        for (action, change) in [("iam:CreatePolicyVersion", wide), ("iam:UpdateAssumeRolePolicy", trust)] {
            let moto = self.moto;
            self.walk.meets_when(NODE, action, async || drop(aws(moto, &change).await)).await;
        }
        // The role's trust is put back only while it has the boundary.
        self.walk.lacks_nothing().await;
        self.space.until("n", "IdentityReady", "IdentityReady").await;
        let unbound = format!("iam delete-role-permissions-boundary --role-name {role}");
        let moto = self.moto;
        let unbind = async || drop(aws(moto, &unbound).await);
        self.walk.meets_when(NODE, "iam:PutRolePermissionsBoundary", unbind).await;
        self.walk_to("DetachRolePolicy", json!({ "managedPolicyArns": [] })).await;
    }

    /// Another `iam` leads to an action.
    async fn walk_to(&mut self, action: &str, iam: Value) {
        let (space, node) = (self.space, self.node(iam, None));
        self.walk.meets_when(NODE, &format!("iam:{action}"), async || space.apply(&node).await).await;
    }

    async fn a_fleet_is_launched(&mut self) {
        aws(self.moto, "ssm put-parameter --type String --name /images/app --value ami-12c6146b").await;
        let namespace = aws(self.moto, "servicediscovery create-http-namespace --name less.local").await;
        assert!(namespace["OperationId"].is_string(), "{namespace}");
        let namespaces = aws(self.moto, "servicediscovery list-namespaces").await;
        let id = namespaces["Namespaces"][0]["Id"].as_str().unwrap();
        aws(self.moto, &format!("servicediscovery create-service --name n --namespace-id {id}")).await;
        let image = aws(self.moto, "ec2 describe-images --image-ids ami-12c6146b").await;
        let owner = &image["Images"][0]["OwnerId"];
        let services = json!([{ "namespaceName": "less.local", "serviceName": "n" }]);
        let images = json!({ "owners": [owner], "ssmParameters": ["/images/app"] });
        let members = json!({ "cloudMapServices": services, "images": images });
        self.space.apply(&fleet_class::manifest("less", &members)).await;
        let (space, node) = (self.space, self.node(json!({}), Some((1, "app:v1"))));
        self.walk.meets_when(NODE, "ec2:DescribeInstances", async || space.apply(&node).await).await;
        for action in [
            "ec2:DescribeLaunchTemplates",
            "ec2:DescribeInstanceTypes",
            "ssm:GetParameter",
            "ec2:DescribeImages",
            "servicediscovery:ListNamespaces",
            "servicediscovery:ListServices",
            "servicediscovery:ListInstances",
            "ec2:CreateLaunchTemplate",
            "ec2:CreateTags",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:DescribeSubnets",
            "ec2:CreateFleet",
            // EC2 launches nothing; the operator tries again after half a minute, while it does the next thing.
            "ec2:RunInstances",
        ] {
            self.walk.meets(NODE, action).await;
        }
    }

    async fn an_instance_is_enrolled_and_let_go(&mut self) {
        self.walk.lacks_nothing().await;
        let launched = aws(self.moto, "ec2 run-instances --image-id ami-12c6146b").await;
        let id = launched["Instances"][0]["InstanceId"].as_str().unwrap().to_owned();
        let opt_in =
            format!("ec2 create-tags --resources {id} --tags Key=fleetmesh.dev/enroll,Value={CLUSTER}");
        aws(self.moto, &opt_in).await;
        let enroll = json!({ "iam": {}, "fleet": { "enroll": { "tags": { "app": "enrolled" } } } });
        self.space.apply(&self.space.node("e", enroll)).await;
        self.space.until("e", "IdentityReady", "IdentityReady").await;
        self.walk.meets(ENROLLED, "ec2:DescribeIamInstanceProfileAssociations").await;
        let moto = self.moto;
        let tag = async |verb: &str, tag: &str| {
            drop(aws(moto, &format!("ec2 {verb} --resources {id} --tags {tag}")).await);
        };
        let enrol = async || tag("create-tags", "Key=app,Value=enrolled").await;
        self.walk.meets_when(ENROLLED, "ec2:AssociateIamInstanceProfile", enrol).await;
        self.walk.meets(ENROLLED, "ec2:DescribeInstanceStatus").await;
        self.walk.lacks_nothing().await;
        self.space.until("e", "FleetReady", "FleetReady").await;
        let dismiss = async || tag("delete-tags", "Key=app").await;
        self.walk.meets_when(ENROLLED, "ec2:DisassociateIamInstanceProfile", dismiss).await;
        self.walk.lacks_nothing().await;
    }

    async fn the_fleet_is_registered_scaled_and_changed(&mut self) {
        self.walk.meets(NODE, "servicediscovery:RegisterInstance").await;
        self.walk.lacks_nothing().await;
        self.space.ready("n").await;
        let space = self.space;
        let scale = async || {
            space.run(&["scale", NODE, "--replicas", "0"]).await;
        };
        let message = self.walk.meets_when(NODE, "ec2:CreateTags", scale).await;
        assert!(message.contains(":instance/i-"), "to drain is to tag an instance: {message}");
        self.walk.meets(NODE, "servicediscovery:DeregisterInstance").await;
        let node = self.node(json!({}), Some((1, "app:v2")));
        let change = async || space.apply(&node).await;
        self.walk.meets_when(NODE, "ec2:CreateLaunchTemplateVersion", change).await;
        self.walk.meets(NODE, "ec2:ModifyLaunchTemplate").await;
    }

    async fn everything_goes(&mut self) {
        let space = self.space;
        let delete = async || {
            space.run(&["delete", NODE, "--wait=false"]).await;
        };
        self.walk.meets_when(NODE, "ec2:TerminateInstances", delete).await;
        for action in [
            "ec2:DeleteLaunchTemplate",
            "iam:RemoveRoleFromInstanceProfile",
            "iam:DeleteInstanceProfile",
            "iam:DeletePolicyVersion",
            "iam:DeletePolicy",
            "iam:DeleteRole",
        ] {
            self.walk.meets(NODE, action).await;
        }
        self.walk.lacks_nothing().await;
        self.space.run(&["wait", "--for=delete", NODE, TIMEOUT]).await;
        self.space.run(&["delete", ENROLLED, TIMEOUT]).await;
    }
}
