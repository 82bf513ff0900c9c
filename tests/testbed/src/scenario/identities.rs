//! Who knows the roles of the instances: moto in the place of AWS, where the operator makes them, or a stand-in for STS alone, with
//! roles that each virtual node is given by its tag.

use anyhow::{Context as _, Result, ensure};
use http::Request;
use serde_json::json;

use super::installation::Installation;
use super::{LIMIT, MESH, Observer};
use crate::aws::REGION;
use crate::launch::Launch;
use crate::metadata::MetadataService;
use crate::moto::{self, Moto};
use crate::netns::NetnsInstance;
use crate::objects::Objects;
use crate::run_dir::RunDir;
use crate::sts::Sts;
use crate::{http as requests, wait};

/// The account in the ARNs of what is in the mesh.
const ACCOUNT: &str = "111122223333";
/// The tag that lists the roles whose instances may run a virtual node.
const PRINCIPALS: &str = "fleetmesh.dev/proxy-principals";

/// Who knows the roles.
#[derive(Debug)]
pub(super) enum Identities {
    /// AWS's APIs.
    Moto(Moto),
    /// STS alone.
    Sts(Sts),
}

impl Identities {
    /// Starts moto with the boundary of nodes' roles where `aws` is asked for, else STS alone.
    ///
    /// # Errors
    /// It does not start.
    pub(super) async fn start(aws: bool, run: &RunDir, observer: &mut dyn Observer) -> Result<Self> {
        if !aws {
            return Ok(Self::Sts(Sts::start().await?));
        }
        let moto = Moto::start(run).await?;
        observer.step(
            "fleetmesh iam boundary: the permissions boundary of the nodes' roles, as a policy of the account",
        );
        moto.boundary().await?;
        Ok(Self::Moto(moto))
    }

    /// Where STS is.
    pub(super) fn sts(&self) -> String {
        match self {
            Self::Moto(moto) => moto.endpoint(),
            Self::Sts(sts) => sts.endpoint(),
        }
    }

    /// How an operator is started with it.
    pub(super) fn operator(&self) -> Launch {
        match self {
            Self::Moto(moto) => Launch::with(["--iam-permissions-boundary", moto::BOUNDARY])
                .envs([("AWS_ENDPOINT_URL", moto.endpoint())]),
            Self::Sts(_) => Launch::default(),
        }
    }

    /// Gives `instance`, which EC2 calls `id`, the credentials of the role with this ARN.
    ///
    /// # Errors
    /// There is no such role, or a file cannot be written.
    pub(super) async fn give(
        &self,
        metadata: &MetadataService,
        (id, role): (&str, &str),
        instance: &NetnsInstance,
    ) -> Result<()> {
        let name = role.rsplit('/').next().unwrap_or(role);
        match self {
            Self::Moto(moto) => metadata.give(moto, role, id, instance).await.map(drop),
            Self::Sts(sts) => metadata.answer(instance, name, &sts.session(name, id)),
        }
    }
}

/// Awaits the ARN of the role that the operator makes for an object of ours that has `iam` (`VirtualNode`, `service-b`).
///
/// # Errors
/// There is none in time.
pub(super) async fn role_of(objects: &Objects, kind: &str, name: &str) -> Result<String> {
    let what = format!("{kind} {name} has a role");
    let found = wait::until(&what, LIMIT, async || {
        let object = objects.get(kind, MESH, name).await?;
        let role = &object["status"]["iam"]["roleArn"];
        Ok(Some(
            role.as_str().map(str::to_owned).with_context(|| format!("its status: {}", object["status"]))?,
        ))
    });
    found.await
}

/// Lets instances with the role of the name `role` run `resource` (`mesh/apps/virtualNode/serviceB`), as `aws appmesh tag-resource`
/// does; the role's ARN. Awaits that App Mesh has the resource.
///
/// # Errors
/// It has none in time.
pub(super) async fn grant(installation: &Installation, resource: &str, role: &str) -> Result<String> {
    let arn = Sts::role(role);
    let tags = json!({ "tags": [{ "key": PRINCIPALS, "value": arn }] }).to_string();
    let url = format!(
        "{}/v20190125/tag?resourceArn=arn:aws:appmesh:{REGION}:{ACCOUNT}:{resource}",
        installation.app_mesh
    );
    wait::until(&format!("{resource} names its role"), LIMIT, async || {
        let request = Request::put(&url).header("content-type", "application/json").body(tags.clone())?;
        requests::exchange(request).await.map(Some)
    })
    .await?;
    Ok(arn)
}

/// Whether an instance of the fleet in this status runs.
///
/// # Errors
/// It does not; the error has the status.
pub(super) fn runs(status: &serde_json::Value) -> Result<()> {
    ensure!(status["fleet"]["instances"][0]["state"] == "running", "its status: {status}");
    Ok(())
}
