//! Where two specs differ in meaning: the paths of their members. Pure.

use std::fmt;

use serde_json::Value;

use crate::spec::{Spec, normalize};

/// One member in which two specs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path of the member in the normal form, for example `spec.http2Route.action.weightedTargets[0].weight`.
    pub path: String,
    /// The member's JSON in the desired spec; `None` when it is absent there.
    pub desired: Option<String>,
    /// The member's JSON in the actual spec; `None` when it is absent there.
    pub actual: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".to_owned());
        write!(f, "{} was {} and should be {}", self.path, text(&self.actual), text(&self.desired))
    }
}

/// The members in which `actual` differs in meaning from `desired`, in the order of their paths; empty when both mean
/// the same. Specs of different kinds differ in `spec` as a whole.
pub fn differences(desired: &Spec, actual: &Spec) -> Vec<Difference> {
    let (desired, actual) = (normalize(desired), normalize(actual));
    if desired == actual {
        return Vec::new();
    }
    let mut found = Vec::new();
    let json = |spec: &Spec| serde_json::to_value(spec).unwrap_or(Value::Null);
    compare("spec", Some(&json(&desired)), Some(&json(&actual)), &mut found);
    found
}

fn compare(path: &str, desired: Option<&Value>, actual: Option<&Value>, found: &mut Vec<Difference>) {
    match (desired, actual) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                compare(&format!("{path}.{name}"), a.get(name), b.get(name), found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for index in 0..a.len().max(b.len()) {
                compare(&format!("{path}[{index}]"), a.get(index), b.get(index), found);
            }
        }
        (desired, actual) if desired == actual => {}
        (desired, actual) => found.push(Difference {
            path: path.to_owned(),
            desired: desired.map(Value::to_string),
            actual: actual.map(Value::to_string),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::Kind;

    fn route(weights: &[(&str, i32)]) -> Spec {
        let targets: Vec<Value> =
            weights.iter().map(|(node, weight)| json!({"virtualNode": node, "weight": weight})).collect();
        let spec = json!({"http2Route": {"action": {"weightedTargets": targets}, "match": {"prefix": "/"}}});
        Spec::from_json(Kind::Route, spec).expect("a route")
    }

    #[test]
    fn a_changed_weight_is_named_by_its_path() {
        let found = differences(&route(&[("a", 75), ("b", 25)]), &route(&[("b", 25), ("a", 50)]));
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["spec.http2Route.action.weightedTargets[0].weight was 50 and should be 75"]);
    }

    #[test]
    fn a_target_too_many_is_absent_in_the_desired_spec() {
        let found = differences(&route(&[("a", 1)]), &route(&[("a", 1), ("b", 1)]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "spec.http2Route.action.weightedTargets[1]");
        assert_eq!(found[0].desired, None);
    }

    #[test]
    fn the_same_meaning_has_no_differences() {
        assert_eq!(differences(&route(&[("a", 1), ("b", 2)]), &route(&[("b", 2), ("a", 1)])), []);
    }
}
