//! The permissions boundary of the roles that the operator makes: the most that their instances need. A role's policies allow
//! nothing beyond it, whoever attached them. Pure.

use fleetmesh_model::KINDS;
use serde_json::{Value, json};

/// The repositories from which AWS serves App Mesh's own images, in accounts of its own, another one in each region.
const APP_MESH_IMAGES: [&str; 2] = ["aws-appmesh-envoy", "aws-appmesh-proxy-route-manager"];

/// What the boundary is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// The partition, for example `aws`.
    pub partition: String,
    /// The region of the instances; `*` for every one.
    pub region: String,
    /// Their account; `*` for every one.
    pub account: String,
    /// The repositories of images beside App Mesh's, by ARN, with IAM's wildcards; every one of the account in the region when
    /// empty.
    pub repositories: Vec<String>,
    /// Whether people may open sessions on instances by Systems Manager.
    pub session_manager: bool,
}

/// The policy document of the boundary. `sts:GetCallerIdentity`, by which an instance proves who it is when it joins, needs no
/// permission.
pub fn boundary(of: &Boundary) -> Value {
    let Boundary { partition, region, account, repositories, session_manager } = of;
    let own = format!("arn:{partition}:ecr:{region}:{account}:repository/*");
    let repositories = if repositories.is_empty() { vec![own] } else { repositories.clone() };
    let app_mesh = APP_MESH_IMAGES.iter().map(|name| format!("arn:{partition}:ecr:*:*:repository/{name}"));
    let repositories: Vec<String> = repositories.into_iter().chain(app_mesh).collect();
    let proxied = KINDS.iter().filter(|kind| kind.has_proxies);
    let resource = |kind: &str| format!("arn:{partition}:appmesh:{region}:{account}:mesh/*/{kind}/*");
    let mut statements = vec![
        // The proxy reads its configuration; a node's own policy says which.
        json!({
            "Sid": "Proxy", "Effect": "Allow", "Action": ["appmesh:StreamAggregatedResources"],
            "Resource": proxied.map(|kind| resource(kind.segment)).collect::<Vec<_>>(),
        }),
        // Images are pulled; to log in knows no resource.
        json!({
            "Sid": "Registry", "Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": ["*"],
        }),
        json!({
            "Sid": "Images", "Effect": "Allow",
            "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Resource": repositories,
        }),
    ];
    if *session_manager {
        let instances = format!("arn:{partition}:ec2:{region}:{account}:instance/*");
        statements.extend([
            json!({
                "Sid": "Agent", "Effect": "Allow", "Action": ["ssm:UpdateInstanceInformation"],
                "Resource": [instances],
            }),
            // The agent's channels know no resource.
            json!({
                "Sid": "Sessions", "Effect": "Allow",
                "Action": [
                    "ssmmessages:CreateControlChannel",
                    "ssmmessages:CreateDataChannel",
                    "ssmmessages:OpenControlChannel",
                    "ssmmessages:OpenDataChannel",
                ],
                "Resource": ["*"],
            }),
        ]);
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}
