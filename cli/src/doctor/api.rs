//! What is to be said of the Kubernetes API. Pure.

use std::time::{Duration, SystemTime};

use fleetmesh_client::{Greeting, Place, SurveyError};
use serde_json::Value;

use super::check::Check;

/// The names of the checks.
pub const API: &str = "kubernetes-api";
pub const DEFINITIONS: &str = "definitions";
pub const RIGHTS: &str = "rights";
pub const CLOCK: &str = "clock";
/// The way out when nobody answers.
const NOBODY: &str = "start it, for example `fleetmesh standalone --data-dir ~/fleetmesh`, or name another with --kubeconfig or --data-dir";
/// A signature of AWS holds for five minutes to either side.
const SKEW_FAILED: Duration = Duration::from_secs(300);
/// Times in logs and statuses mislead.
const SKEW_WARNING: Duration = Duration::from_secs(5);

/// What was seen of an API.
#[derive(Clone, Debug)]
pub struct ApiFacts {
    /// What names it, such as `--data-dir`; empty when nothing does.
    pub source: String,
    /// Where it is, as kubectl's flags name it.
    pub place: Place,
    /// Whether it is that of a `fleetmesh standalone`.
    pub is_standalone: bool,
    /// Its address; empty when it is not known.
    pub server: String,
    pub greeting: Result<Greeting, SurveyError>,
    /// When that was asked and answered, on this host's clock.
    pub asked: (SystemTime, SystemTime),
    /// Each definition of this program with what is there.
    pub definitions: Result<Vec<DefinitionFact>, SurveyError>,
    /// What we may not do, such as `patch meshes`.
    pub denied: Result<Vec<String>, SurveyError>,
}

/// A definition: what it should be, and what it is.
#[derive(Clone, Debug)]
pub struct DefinitionFact {
    pub name: String,
    pub wanted: Value,
    pub found: Option<Value>,
}

/// The checks of an API.
pub fn checks(facts: &ApiFacts) -> Vec<Check> {
    let answers = answers(facts);
    if facts.greeting.is_err() {
        let skip = |name| Check::skipped(name, "no API answers", "");
        return [vec![answers], [DEFINITIONS, RIGHTS, CLOCK].map(skip).to_vec()].concat();
    }
    vec![answers, definitions(facts), rights(facts), clock(facts)]
}

/// A command for the API that was asked, not for the one that kubectl would ask.
fn on_it(facts: &ApiFacts, command: &str) -> String {
    let kubeconfig = facts.place.kubeconfig.iter().map(|file| format!(" --kubeconfig {}", file.display()));
    let context = facts.place.context.iter().map(|context| format!(" --context {context}"));
    let flags: String = kubeconfig.chain(context).collect();
    command.replacen("kubectl", &format!("kubectl{flags}"), 1)
}

/// What starts the standalone whose API it is, if it is one's.
fn start(facts: &ApiFacts) -> Option<String> {
    facts.is_standalone.then(|| format!("fleetmesh standalone {}", facts.source))
}

fn answers(facts: &ApiFacts) -> Check {
    let place = format!("{} (of {})", facts.server, facts.source);
    match &facts.greeting {
        Ok(greeting) => Check::ok(API, format!("{place} answers, version {}", greeting.version)),
        Err(SurveyError::Unconfigured(_)) if facts.source.is_empty() => {
            let fix = "name one with --kubeconfig FILE or --data-dir DIR, or start `fleetmesh standalone --data-dir ~/fleetmesh`";
            Check::skipped(API, "no Kubernetes API is configured", fix)
        }
        Err(error @ (SurveyError::Unconfigured(_) | SurveyError::Unusable(_))) => {
            let other = "name another with --kubeconfig FILE or --data-dir DIR";
            let fix = start(facts).map_or_else(|| other.to_owned(), |start| format!("{start}, or {other}"));
            Check::failed(API, format!("{}: {error}", facts.source), fix)
        }
        Err(error @ SurveyError::Answered(401, _)) => {
            let fix = "take the kubeconfig as the server has written it: --data-dir DIR of `fleetmesh standalone`, or \
                       `aws eks update-kubeconfig --name CLUSTER`";
            Check::failed(API, format!("{place} does not know the token: {error}"), fix)
        }
        Err(error @ SurveyError::Answered(..)) => Check::failed(
            API,
            format!("{place}: {error}"),
            on_it(facts, "kubectl get --raw '/readyz?verbose'"),
        ),
        Err(error) => {
            let fix = start(facts).unwrap_or_else(|| NOBODY.to_owned());
            Check::failed(API, format!("{place} does not answer: {error}"), fix)
        }
    }
}

fn definitions(facts: &ApiFacts) -> Check {
    let apply = if facts.is_standalone {
        "stop `fleetmesh standalone`, and start it with this program: it has its definitions in it".to_owned()
    } else {
        on_it(facts, "fleetmesh crds | kubectl apply --server-side --force-conflicts -f -")
    };
    let definitions = match &facts.definitions {
        Ok(definitions) => definitions,
        Err(error) => {
            let fix = on_it(facts, "kubectl auth can-i get customresourcedefinitions");
            return Check::failed(DEFINITIONS, format!("they cannot be read: {error}"), fix);
        }
    };
    let names = |are: fn(&DefinitionFact) -> bool| -> Vec<&str> {
        definitions.iter().filter(|one| are(one)).map(|one| one.name.as_str()).collect()
    };
    let missing = names(|one| one.found.is_none());
    if !missing.is_empty() {
        return Check::failed(DEFINITIONS, format!("missing: {}", missing.join(", ")), apply);
    }
    let stale = names(|one| one.found.as_ref().is_some_and(|found| !is_same(&one.wanted, found, false)));
    if !stale.is_empty() {
        let found = format!("not those of this version of fleetmesh: {}", stale.join(", "));
        return Check::failed(DEFINITIONS, found, apply);
    }
    Check::ok(DEFINITIONS, format!("{}, as this version of fleetmesh has them", definitions.len()))
}

/// Whether `found` says what `wanted` says. A server adds defaults beside it, but not in a schema, and it writes 1 for 1.0.
fn is_same(wanted: &Value, found: &Value, is_schema: bool) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let is_same = |(name, value): (&String, &Value)| {
                let other = found.get(name).unwrap_or(&Value::Null);
                is_same(value, other, is_schema || name == "openAPIV3Schema")
            };
            (!is_schema || wanted.len() == found.len()) && wanted.iter().all(is_same)
        }
        (Value::Array(wanted), Value::Array(found)) => {
            let mut pairs = wanted.iter().zip(found);
            wanted.len() == found.len() && pairs.all(|(one, other)| is_same(one, other, is_schema))
        }
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    }
}

fn rights(facts: &ApiFacts) -> Check {
    match &facts.denied {
        Ok(denied) if denied.is_empty() => Check::ok(RIGHTS, "every kind may be listed and changed"),
        Ok(denied) => {
            let fix = "take a kubeconfig with more rights, or let an administrator bind a role: `kubectl create clusterrolebinding …`";
            Check::warning(RIGHTS, format!("not allowed: {}", denied.join(", ")), fix)
        }
        Err(error) => {
            Check::failed(RIGHTS, format!("not known: {error}"), on_it(facts, "kubectl auth can-i --list"))
        }
    }
}

fn clock(facts: &ApiFacts) -> Check {
    let date = facts.greeting.as_ref().map(|greeting| greeting.date.as_str()).unwrap_or_default();
    let Ok(theirs) = jiff::fmt::rfc2822::parse(date) else {
        return Check::skipped(CLOCK, "the server does not say what time it is", "");
    };
    let (before, after) = facts.asked;
    // Its time has whole seconds.
    let (first, last) =
        (SystemTime::from(theirs.timestamp()), SystemTime::from(theirs.timestamp()) + Duration::from_secs(1));
    let ahead = before.duration_since(last).unwrap_or_default();
    let behind = first.duration_since(after).unwrap_or_default();
    let (skew, word) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    let found = format!("{} s {word} the server's", skew.as_secs());
    let fix = "timedatectl set-ntp true";
    match skew {
        skew if skew > SKEW_FAILED => Check::failed(
            CLOCK,
            format!("{found}: signed requests are rejected, and certificates are not valid yet or any more"),
            fix,
        ),
        skew if skew > SKEW_WARNING => Check::warning(CLOCK, found, fix),
        _ => Check::ok(CLOCK, "as the server's"),
    }
}
