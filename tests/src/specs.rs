//! The tables of good and bad specs in `tests/data`, which every server must judge alike. Pure.

use anyhow::{Context as _, Result, bail};
use fleetmesh_model::Kind;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Specs of App Mesh resources: for the API server and for the control plane.
///
/// # Errors
/// The table is malformed.
pub fn app_mesh() -> Result<Vec<Case>> {
    read(include_str!("../data/app-mesh-specs.yaml"))
}

/// Whole specs of custom resources: for the API server, and for the rules in Rust ([`fleetmesh_crds::Judged`]).
///
/// # Errors
/// The table is malformed.
pub fn kubernetes() -> Result<Vec<Case>> {
    read(include_str!("../data/kubernetes-specs.yaml"))
}

/// The kind of a case's spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum CaseKind {
    /// One that stands for an App Mesh object.
    AppMesh(Kind),
    /// One that only Kubernetes has.
    Kubernetes(KubernetesKind),
}

/// A kind that only Kubernetes has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum KubernetesKind {
    /// What fleets may be made of.
    FleetClass,
    /// Something that a rollout is to do.
    RouteAction,
}

/// A spec and the verdict on it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What the case shows.
    pub why: String,
    /// The kind of the spec.
    pub kind: CaseKind,
    /// The spec.
    pub spec: Value,
    /// What a refusal must say; `None` when the spec is good.
    pub refusal: Option<SpecRefusal>,
    /// Whether CEL cannot say what is wrong with it: the API server takes it, and the rules in Rust refuse it.
    pub beyond_cel: bool,
}

impl Case {
    /// Why `verdict` (the server's message when it refused the spec) is not the right one; `None` when it is.
    pub fn objection(&self, verdict: &Result<(), String>) -> Option<String> {
        let why = &self.why;
        match (&self.refusal, verdict) {
            (None, Ok(())) => None,
            (None, Err(message)) => Some(format!("{why}: is good, but was refused: {message}")),
            (Some(_), Ok(())) => Some(format!("{why}: is bad, but was accepted: {}", self.spec)),
            (Some(SpecRefusal { field, bound }), Err(message)) => {
                let named =
                    message.match_indices(field.as_str()).any(|(at, _)| message[at..].contains(bound));
                (!named)
                    .then(|| format!("{why}: the refusal must name {field} and then {bound:?}: {message}"))
            }
        }
    }
}

/// What the message of a refusal must say.
#[derive(Clone, Debug)]
pub struct SpecRefusal {
    /// The path of the member, from `spec` on.
    pub field: String,
    /// The bound, or words of the rule, after the path.
    pub bound: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecTable {
    bases: std::collections::BTreeMap<String, Base>,
    cases: Vec<SpecRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base {
    kind: CaseKind,
    spec: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecRow {
    why: String,
    base: String,
    merge: Value,
    field: Option<String>,
    bound: Option<String>,
    #[serde(default)]
    beyond_cel: bool,
}

fn read(text: &str) -> Result<Vec<Case>> {
    let SpecTable { bases, cases } = serde_saphyr::from_str(text)?;
    cases.into_iter().map(|row| case(&bases, row)).collect()
}

fn case(bases: &std::collections::BTreeMap<String, Base>, row: SpecRow) -> Result<Case> {
    let SpecRow { why, base, merge, field, bound, beyond_cel } = row;
    let Base { kind, spec } =
        bases.get(&base).with_context(|| format!("{why}: no base is called {base:?}"))?;
    let mut spec = spec.clone();
    json_patch::merge(&mut spec, &expand(merge).with_context(|| why.clone())?);
    let refusal = match (field, bound) {
        (None, None) => None,
        (Some(field), Some(bound)) => Some(SpecRefusal { field, bound }),
        _ => bail!("{why}: field and bound belong together"),
    };
    Ok(Case { why, kind: *kind, spec, refusal, beyond_cel })
}

/// Writes out `repeat(TEXT, N)` in strings and keys, and `{times: N, of: ITEM}`.
fn expand(value: Value) -> Result<Value> {
    Ok(match value {
        Value::String(text) => Value::String(repeat(text)?),
        Value::Array(items) => items.into_iter().map(expand).collect::<Result<_>>()?,
        Value::Object(members) => match (members.len(), members.get("times"), members.get("of")) {
            (2, Some(times), Some(item)) => {
                let times = times.as_u64().context("times is a number")?;
                let item = expand(item.clone())?;
                (0..times).map(|_| item.clone()).collect()
            }
            _ => Value::Object(
                members
                    .into_iter()
                    .map(|(key, value)| Ok((repeat(key)?, expand(value)?)))
                    .collect::<Result<Map<_, _>>>()?,
            ),
        },
        other => other,
    })
}

fn repeat(text: String) -> Result<String> {
    let Some(arguments) = text.strip_prefix("repeat(").and_then(|rest| rest.strip_suffix(')')) else {
        return Ok(text);
    };
    let (text, times) = arguments.split_once(", ").with_context(|| format!("repeat(TEXT, N): {text}"))?;
    Ok(text.repeat(times.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_hold_enough_of_both_verdicts() {
        let cases = [app_mesh().expect("a table"), kubernetes().expect("a table")].concat();
        let refused = cases.iter().filter(|case| case.refusal.is_some()).count();
        assert!(refused >= 60, "{refused} bad specs");
        assert!(cases.len() - refused >= 20, "{} good specs", cases.len() - refused);
    }

    #[test]
    fn an_objection_demands_the_field_and_then_the_bound() {
        let case =
            app_mesh().expect("a table").into_iter().find(|case| case.why == "a weight is at most 100");
        let case = case.expect("the case");
        let field = "spec.http2Route.action.weightedTargets[0].weight";
        assert_eq!(case.objection(&Err(format!("{field}: 101 is greater than 100"))), None);
        assert!(case.objection(&Err("100 is the bound".into())).is_some());
        assert!(case.objection(&Err(format!("{field}: no"))).is_some());
        assert!(case.objection(&Ok(())).is_some());
    }
}
