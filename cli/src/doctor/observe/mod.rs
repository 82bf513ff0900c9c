//! Sees what there is. Each question has a limit of time, and one that takes longer than two seconds is named on standard error.

mod host;

use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, SystemTime};

use fleetmesh_client::{SurveyError, Surveyed};
use fleetmesh_crds::GROUP;
use fleetmesh_operator::cloud::{CloudEndpoint, EndpointError, EndpointProbe};

use super::api::{ApiFacts, DefinitionFact};
use super::app_mesh::{AppMeshFacts, Fault, is_aws, without_user};
use super::args::DoctorArgs;
use crate::client::place;

pub use host::host;

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(10);
/// After which a person is shown what is waited for.
const SILENT: Duration = Duration::from_secs(2);
/// What we have to be able to do with our kinds.
const VERBS: [&str; 2] = ["list", "patch"];

/// What `future` gives; `None` after `limit`.
async fn within<T>(what: &str, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    if let Ok(given) = tokio::time::timeout(SILENT.min(limit), &mut future).await {
        return Some(given);
    }
    // Nobody reads it, perhaps.
    let _ = writeln!(io::stderr(), "waiting for {what}, for {limit:?} at most");
    tokio::time::timeout(limit.saturating_sub(SILENT), future).await.ok()
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// What names the Kubernetes API; empty when nothing does.
fn source_of_api(args: &DoctorArgs) -> String {
    let config = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
    match (&args.place.kubeconfig, &args.place.data_dir) {
        (Some(file), _) => format!("--kubeconfig {}", file.display()),
        (None, Some(folder)) => format!("--data-dir {}", folder.display()),
        _ if is_set("KUBECONFIG") => "KUBECONFIG".to_owned(),
        _ if config().is_some_and(|file| file.exists()) => "~/.kube/config".to_owned(),
        _ if is_set("KUBERNETES_SERVICE_HOST") => "the pod's service account".to_owned(),
        _ => String::new(),
    }
}

/// The Kubernetes API.
pub async fn api(args: &DoctorArgs) -> ApiFacts {
    let late = || SurveyError::Unreachable(format!("no answer within {LIMIT:?}"));
    let place = place(&args.place);
    let mut facts = ApiFacts {
        source: source_of_api(args),
        place: place.clone(),
        is_standalone: args.place.kubeconfig.is_none() && args.place.data_dir.is_some(),
        server: String::new(),
        greeting: Err(late()),
        asked: (SystemTime::now(), SystemTime::now()),
        definitions: Err(late()),
        denied: Err(late()),
    };
    let api = match within("the kubeconfig", LIMIT, Surveyed::find(&place, LIMIT)).await {
        Some(Ok(api)) => api,
        Some(Err(error)) => return ApiFacts { greeting: Err(error), ..facts },
        None => return facts,
    };
    facts.server = without_user(&api.server);
    facts.greeting = within(&facts.server, LIMIT, api.greet()).await.unwrap_or_else(|| Err(late()));
    facts.asked.1 = SystemTime::now();
    if facts.greeting.is_ok() {
        let found = within("the definitions", LIMIT, definitions(&api)).await;
        facts.definitions = found.unwrap_or_else(|| Err(late()));
        facts.denied = within("rights", LIMIT, denied(&api)).await.unwrap_or_else(|| Err(late()));
    }
    facts
}

async fn definitions(api: &Surveyed) -> Result<Vec<DefinitionFact>, SurveyError> {
    let mut facts = Vec::new();
    for definition in fleetmesh_crds::all() {
        let name = definition.metadata.name.clone().unwrap_or_default();
        let found = api.definition(&name).await?;
        let wanted = serde_json::to_value(&definition.spec);
        let wanted = wanted.map_err(|error| SurveyError::Unusable(error.to_string()))?;
        facts.push(DefinitionFact { name, wanted, found });
    }
    Ok(facts)
}

async fn denied(api: &Surveyed) -> Result<Vec<String>, SurveyError> {
    let mut denied = Vec::new();
    for definition in fleetmesh_crds::all() {
        let plural = &definition.spec.names.plural;
        for verb in VERBS {
            if !api.may(verb, GROUP, plural).await? {
                denied.push(format!("{verb} {plural}"));
            }
        }
    }
    Ok(denied)
}

/// The endpoint that is given, with what gives it; none when nobody does.
fn given(args: &DoctorArgs) -> (Option<String>, String) {
    let flag = match env::var("FLEETMESH_APP_MESH_ENDPOINT") {
        Ok(value) if Some(&value) == args.app_mesh.app_mesh_endpoint.as_ref() => {
            "FLEETMESH_APP_MESH_ENDPOINT"
        }
        _ => "--app-mesh-endpoint",
    };
    if let Some(url) = &args.app_mesh.app_mesh_endpoint {
        return (Some(url.clone()), flag.to_owned());
    }
    for variable in ["AWS_ENDPOINT_URL_APP_MESH", "AWS_ENDPOINT_URL"] {
        if let Ok(url) = env::var(variable)
            && !url.is_empty()
        {
            return (Some(url), variable.to_owned());
        }
    }
    (None, String::new())
}

/// The App Mesh endpoint, and credentials.
pub async fn app_mesh(args: &DoctorArgs) -> AppMeshFacts {
    let (url, source) = given(args);
    let mut facts = AppMeshFacts {
        source,
        is_standalone: false,
        url: without_user(url.as_deref().unwrap_or_default()),
        region: args.app_mesh.region.clone().unwrap_or_default(),
        answer: None,
        credentials: None,
        ready: None,
    };
    let endpoint = CloudEndpoint { url, ..args.app_mesh.endpoint() };
    let probe = match find(args.place.data_dir.as_deref(), endpoint, &mut facts).await {
        Ok(probe) => probe,
        Err(fault) => return AppMeshFacts { answer: Some(Err(fault)), ..facts },
    };
    facts.url = without_user(&probe.url);
    facts.region.clone_from(&probe.region);
    if is_aws(&probe.url) {
        return facts;
    }
    facts.credentials = within("credentials", LIMIT, probe.credentials()).await;
    facts.credentials.get_or_insert_with(|| Err(format!("no answer within {LIMIT:?}")));
    ask(&probe, facts).await
}

/// What is given, else what the profile has, else the standalone of `data_dir`.
async fn find(
    data_dir: Option<&Path>,
    mut endpoint: CloudEndpoint,
    facts: &mut AppMeshFacts,
) -> Result<EndpointProbe, Fault> {
    let found = probe(&endpoint).await?;
    if !facts.source.is_empty() {
        return Ok(found);
    }
    if !is_aws(&found.url) {
        facts.source = "the AWS profile".to_owned();
        return Ok(found);
    }
    let Some(folder) = data_dir else { return Ok(found) };
    (facts.source, facts.is_standalone) = (format!("--data-dir {}", folder.display()), true);
    of_standalone(folder, &mut endpoint).await?;
    probe(&endpoint).await
}

async fn probe(endpoint: &CloudEndpoint) -> Result<EndpointProbe, Fault> {
    let found = within("AWS's configuration", LIMIT, EndpointProbe::find(endpoint)).await;
    found.ok_or(Fault::Late(LIMIT))?.map_err(|error| usage(&error))
}

/// Fills in where the standalone of `folder` serves; a region that was asked for stays.
async fn of_standalone(folder: &Path, endpoint: &mut CloudEndpoint) -> Result<(), Fault> {
    let path = folder.to_owned();
    let read = tokio::task::spawn_blocking(move || fleetmesh_client::addresses(&path));
    let read = within(&folder.display().to_string(), LIMIT, read).await.ok_or(Fault::Late(LIMIT))?;
    let found = read.map_err(|error| Fault::Ended(error.to_string()))?;
    let found = found.map_err(|error| Fault::Ended(error.to_string()))?;
    endpoint.url = Some(found.app_mesh);
    endpoint.region.get_or_insert(found.region);
    Ok(())
}

/// What is wrong with an endpoint, without the password that its address may have.
fn usage(error: &EndpointError) -> Fault {
    if error.reason.contains('@') {
        return Fault::Usage(format!(
            "cannot use {}, which has a user in it and is not repeated here",
            error.given_by
        ));
    }
    Fault::Usage(error.to_string())
}

async fn ask(probe: &EndpointProbe, facts: AppMeshFacts) -> AppMeshFacts {
    let answer = match within(&facts.url, LIMIT, probe.list()).await {
        None => Err(Fault::Late(LIMIT)),
        Some(Err(error)) => Err(usage(&error)),
        Some(Ok(answer)) => answer.map_err(Fault::Call),
    };
    let is_fleetmesh = answer.as_ref().is_ok_and(|list| list.is_fleetmesh);
    let ready = if is_fleetmesh { Some(probe.page("/readyz", LIMIT).await) } else { None };
    AppMeshFacts { answer: Some(answer), ready, ..facts }
}
