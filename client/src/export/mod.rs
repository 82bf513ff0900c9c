//! export: everything of ours in an API, as manifests for another one. `object` and `export` of this module are pure; [`export`] asks.

mod object;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::error::Error;
use crate::fetch::{Query, Target};
use crate::resources::Resource;
use crate::session::{JSON, Place, Session, Streams};
use crate::yaml;

use object::{Kept, judge};

/// The group of our kinds.
const GROUP: &str = "fleetmesh.dev";
/// The namespace whose uid is the name of a cluster that has no other.
const CLUSTER: &str = "/api/v1/namespaces/kube-system";

/// The resources that ours lie in or refer to, in the order of applying.
const BESIDE: [&str; 3] = ["namespaces", "configmaps", "secrets"];

/// What is exported beside our objects.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions {
    /// Whether Secrets are.
    pub secrets: bool,
    /// Whether routes are whose rollouts are under way.
    pub rollouts: bool,
}

/// A file of manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportFile {
    /// Without a folder; in the order of their names they can be applied.
    pub name: String,
    /// YAML.
    pub text: String,
    /// Whether it is for its owner alone.
    pub is_private: bool,
}

/// All that is exported, in the order in which it is to be applied.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// The objects of each resource, by its plural.
    kinds: Vec<(String, Vec<Value>)>,
    /// What a person has to know, in words.
    pub notes: Vec<String>,
    /// The name of the cluster whose operator had these objects, where it has no other.
    pub cluster: String,
}

/// Reads everything of ours in the API of `place`, with the namespaces, the ConfigMaps and, if asked for, the Secrets beside it. Writes
/// nothing.
///
/// # Errors
/// The API does not give all of it, or a rollout is under way.
pub async fn export(place: &Place, streams: Streams<'_>, options: ExportOptions) -> Result<Export, Error> {
    let mut session = Session::open(place, streams).await?;
    let ours = session.resources.of_group(GROUP);
    if ours.is_empty() {
        return Err(Error::message(format!(
            "the server has no kinds of {GROUP}: name another with --kubeconfig or --data-dir"
        )));
    }
    let mut read = Vec::new();
    for resource in ours {
        read.push((resource.clone(), list(&mut session, &resource).await?));
    }
    let (mut beside, mut notes) = (Vec::new(), Vec::new());
    for name in BESIDE {
        let resource = session.resources.find(name).cloned();
        let resource = resource.ok_or_else(|| Error::message(format!("the server has no {name}")))?;
        match list(&mut session, &resource).await {
            Ok(targets) => beside.push((resource, targets)),
            // Who may not read them can export everything else.
            Err(_) if name == "secrets" && !options.secrets => {
                notes.push("which Secrets are left out is not known: they cannot be listed".to_owned());
            }
            Err(error) => return Err(error),
        }
    }
    let cluster = session.read(CLUSTER, JSON).await?;
    let cluster = cluster["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let export = Export { cluster, notes, ..Export::default() };
    export.with(beside, read, options)
}

async fn list(session: &mut Session<'_>, resource: &Resource) -> Result<Vec<Target>, Error> {
    let name = format!("{}.{}", resource.plural, resource.group).trim_end_matches('.').to_owned();
    let query = Query { arguments: vec![name], all_namespaces: true, ..Query::default() };
    let found = query.objects(session, true).await?;
    Error::all(found.errors)?;
    Ok(found.targets)
}

impl Export {
    /// With what was read: our objects, and of `beside` what is in their namespaces.
    fn with(
        mut self,
        beside: Vec<(Resource, Vec<Target>)>,
        ours: Vec<(Resource, Vec<Target>)>,
        options: ExportOptions,
    ) -> Result<Self, Error> {
        let mut ours = ours;
        // What others lie in comes first.
        ours.sort_by(|(one, _), (other, _)| {
            (one.is_namespaced, &one.plural).cmp(&(other.is_namespaced, &other.plural))
        });
        let mut errors = Vec::new();
        let mut kept = Vec::new();
        for (resource, targets) in ours {
            let objects = self.kept(targets, options, &mut errors);
            kept.push((resource, objects));
        }
        Error::all(errors)?;
        let of = |object: &Value| object["metadata"]["namespace"].as_str().map(str::to_owned);
        let namespaces: std::collections::BTreeSet<String> =
            kept.iter().flat_map(|(_, objects)| objects.iter().filter_map(of)).collect();
        let is_wanted = |target: &Target| match target.namespace.as_str() {
            "" => namespaces.contains(&target.name),
            namespace => namespaces.contains(namespace),
        };
        for (resource, mut targets) in beside {
            targets.retain(is_wanted);
            let objects = self.kept(targets, options, &mut Vec::new());
            self.add(&resource, objects);
        }
        for (resource, objects) in kept {
            self.add(&resource, objects);
        }
        Ok(self)
    }

    fn kept(&mut self, targets: Vec<Target>, options: ExportOptions, errors: &mut Vec<Error>) -> Vec<Value> {
        let mut objects = Vec::new();
        for target in targets {
            let shown = match target.namespace.as_str() {
                "" => format!("{}/{}", target.resource.plural, target.name),
                namespace => format!("{}/{} in {namespace}", target.resource.plural, target.name),
            };
            match judge(target.object, options) {
                Kept::Yes(object, notes) => {
                    self.notes.extend(notes.iter().map(|note| format!("{shown}: {note}")));
                    objects.push(object);
                }
                Kept::No(reason) => self.notes.push(format!("{shown} is left out: {reason}")),
                Kept::Silent => {}
                Kept::Refused(reason) => errors.push(Error::message(format!("{shown}: {reason}"))),
            }
        }
        objects
    }

    fn add(&mut self, resource: &Resource, objects: Vec<Value>) {
        if !objects.is_empty() {
            self.kinds.push((resource.plural.clone(), objects));
        }
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.kinds.iter().map(|(_, objects)| objects.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// What has to be done where they are applied, in words.
    pub fn way_in(&self) -> String {
        format!(
            "the operator there takes over the App Mesh objects that there are if it is started with --cluster-name {} \
             (operator.clusterName of the chart), or with the name that the one here had",
            self.cluster
        )
    }

    /// One file for each kind, whose name does not depend on what else there is: a later export writes over it.
    pub fn files(&self) -> Vec<ExportFile> {
        let file = |(plural, objects): &(String, Vec<Value>)| {
            let namespaced = || objects.iter().any(|object| object["metadata"]["namespace"].is_string());
            let at = match BESIDE.iter().position(|name| name == plural) {
                Some(at) => at,
                None => BESIDE.len() + usize::from(namespaced()),
            };
            let is_private = plural == "secrets";
            ExportFile { name: format!("{at:02}-{plural}.yaml"), text: documents(objects.iter()), is_private }
        };
        self.kinds.iter().map(file).collect()
    }

    /// All of it in one text.
    pub fn text(&self) -> String {
        let objects = self.kinds.iter().flat_map(|(_, objects)| objects);
        format!("# By fleetmesh export: {}.\n{}", self.way_in(), documents(objects))
    }
}

fn documents<'o>(objects: impl Iterator<Item = &'o Value>) -> String {
    objects.map(yaml::document).collect::<Vec<_>>().join("---\n")
}
