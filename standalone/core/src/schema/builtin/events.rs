//! What an Event may have, beside types, in both versions of it. What is looked at is core's form, which is stored.

use serde_json::Value;

use super::BuiltinKind;
use crate::status::{FieldError, FieldErrorKind};
use crate::store::{metadata, names};

/// Letters of `reportingInstance`, `action` and `reason`, at most.
const LONGEST: usize = 128;
/// Letters of the message, at most.
const LONGEST_MESSAGE: usize = 1024;
const NAMESPACE: &str = "involvedObject.namespace";

/// What no request of `events.k8s.io` changes: the member of core's form, and its name in messages.
const FIXED: [(&str, &str); 13] = [
    ("involvedObject", "involvedObject"),
    // kube-apiserver looks at it twice, and says so.
    ("reason", "reason"),
    ("reason", "reason"),
    ("message", "message"),
    ("source", "source"),
    ("firstTimestamp", "firstTimestamp"),
    ("lastTimestamp", "lastTimestamp"),
    ("count", "count"),
    ("type", "type"),
    ("eventTime", "eventTime"),
    ("action", "action"),
    ("related", "related"),
    ("reportingComponent", "reportingController"),
];

impl BuiltinKind {
    /// What is wrong with an Event that is to be stored, in core's form. The kind is that of the request: `events.k8s.io` is stricter.
    #[must_use]
    pub fn event_errors(self, old: Option<&Value>, new: &Value) -> Vec<FieldError> {
        let mut errors = match self {
            Self::Event => return of_both(new, "reportingComponent"),
            Self::EventsEvent => of_both(new, "reportingController"),
            _ => return Vec::new(),
        };
        match old {
            None => {
                errors.extend(names::metadata_errors(new, names::Look::Own(names::NameRule::Subdomain)));
                errors.extend(series(new));
                errors.extend(of_new(new));
            }
            Some(old) => {
                if old.get("series") != new.get("series") {
                    errors.extend(series(new));
                }
                errors.extend(changed(old, new));
            }
        }
        errors
    }
}

fn text<'a>(event: &'a Value, member: &str) -> &'a str {
    event.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn invalid(field: &str, value: impl Into<Value>, why: impl Into<String>) -> FieldError {
    FieldError::new(FieldErrorKind::Invalid, field, Some(value.into()), why)
}

fn required(field: &str) -> FieldError {
    FieldError::new(FieldErrorKind::Required, field, None, "")
}

/// An Event with a time is of the newer form, whatever it is sent as.
fn of_both(event: &Value, controller: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let namespace = metadata::text(event, "namespace");
    let involved = event.get("involvedObject").map_or("", |object| text(object, "namespace"));
    let is_new = !text(event, "eventTime").is_empty();
    let fits = match involved {
        "" if is_new => matches!(namespace, "default" | "kube-system"),
        "" => matches!(namespace, "" | "default"),
        _ => is_new || involved == namespace,
    };
    if !fits {
        errors.push(invalid(NAMESPACE, involved, "does not match event.namespace"));
    }
    if is_new {
        let by = text(event, "reportingComponent");
        errors.extend(by.is_empty().then(|| required(controller)));
        errors.extend(names::qualified(by).into_iter().map(|why| invalid(controller, by, why)));
        for member in ["reportingInstance", "action", "reason"] {
            errors.extend(text(event, member).is_empty().then(|| required(member)));
            errors.extend(too_long(event, member, LONGEST));
        }
        errors.extend(too_long(event, "message", LONGEST_MESSAGE));
    }
    errors
}

fn too_long(event: &Value, member: &str, longest: usize) -> Option<FieldError> {
    let why = || invalid(member, "", format!("can have at most {longest} characters"));
    (text(event, member).len() > longest).then(why)
}

fn series(event: &Value) -> Vec<FieldError> {
    let Some(series) = event.get("series").filter(|series| !series.is_null()) else { return Vec::new() };
    let mut errors = Vec::new();
    if series.get("count").and_then(Value::as_i64).unwrap_or_default() < 2 {
        errors.push(invalid("series.count", "", "should be at least 2"));
    }
    if text(series, "lastObservedTime").is_empty() {
        errors.push(required("series.lastObservedTime"));
    }
    errors
}

/// What a new Event of `events.k8s.io` has, and what only older ones have.
fn of_new(event: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if text(event, "eventTime").is_empty() {
        errors.push(required("eventTime"));
    }
    let kind = text(event, "type");
    if !matches!(kind, "Normal" | "Warning") {
        errors.push(invalid("type", "", format!("has invalid value: {kind}")));
    }
    let is_set = |member: &&str| match event.get(*member) {
        None | Some(Value::Null) => false,
        Some(Value::Number(count)) => count.as_i64() != Some(0),
        Some(Value::Object(members)) => members.values().any(|value| value != ""),
        Some(_) => true,
    };
    let old = ["firstTimestamp", "lastTimestamp", "count", "source"].into_iter().filter(is_set);
    errors.extend(old.map(|member| invalid(member, "", "needs to be unset")));
    errors
}

fn changed(old: &Value, new: &Value) -> Vec<FieldError> {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        _ => false,
    };
    let value = |event: &Value, member: &str| event.get(member).filter(|value| !is_empty(value)).cloned();
    let instance = [("reportingInstance", "reportingInstance")];
    let changed = FIXED.into_iter().chain(instance).filter_map(|(member, field)| {
        let (was, is) = (value(old, member), value(new, member));
        let shown = new.get(member).cloned().unwrap_or_default();
        (was != is).then(|| invalid(field, shown, "field is immutable"))
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(kind: BuiltinKind, old: Option<&Value>, new: &Value) -> Vec<String> {
        kind.event_errors(old, new).into_iter().map(|error| error.field).collect()
    }

    fn new_event() -> Value {
        json!({"metadata": {"name": "e", "namespace": "apps"}, "involvedObject": {"namespace": "apps"}, "type": "Normal",
            "eventTime": "2024-01-01T00:00:00.000000Z", "reportingComponent": "x.dev/c", "reportingInstance": "i",
            "action": "Do", "reason": "Done", "source": {}, "firstTimestamp": null, "count": 0})
    }

    #[test]
    fn an_event_is_where_its_object_is() {
        let of = |namespace: &str, involved: &str, time: &str| {
            let mut event = new_event();
            event["metadata"]["namespace"] = namespace.into();
            (event["involvedObject"]["namespace"], event["eventTime"]) = (involved.into(), time.into());
            fields(BuiltinKind::Event, None, &event).is_empty()
        };
        let time = "2024-01-01T00:00:00.000000Z";
        assert!(of("apps", "apps", "") && of("default", "", "") && of("apps", "apps", time));
        assert!(of("kube-system", "", time) && of("default", "", time) && of("apps", "other", time));
        assert!(
            !of("apps", "", "")
                && !of("apps", "other", "")
                && !of("apps", "", time)
                && !of("kube-system", "", "")
        );
    }

    #[test]
    fn the_newer_form_says_who_did_what_and_when() {
        let kinds = [BuiltinKind::Event, BuiltinKind::EventsEvent];
        assert!(kinds.iter().all(|kind| fields(*kind, None, &new_event()).is_empty()));
        let mut bare = new_event();
        for member in ["reportingComponent", "reportingInstance", "action", "reason"] {
            bare[member] = "".into();
        }
        let missing = fields(BuiltinKind::Event, None, &bare);
        // The name of nobody is no name, either.
        assert_eq!(missing[0], "reportingComponent");
        assert_eq!(missing[missing.len() - 3..], ["reportingInstance", "action", "reason"]);
        let mut old = new_event();
        (old["eventTime"], old["type"], old["count"]) = (Value::Null, "Odd".into(), 1.into());
        old["source"] = json!({"component": "c"});
        old["series"] = json!({"count": 1});
        assert_eq!(fields(BuiltinKind::Event, None, &old), [""; 0]);
        assert_eq!(
            fields(BuiltinKind::EventsEvent, None, &old),
            ["series.count", "series.lastObservedTime", "eventTime", "type", "count", "source"]
        );
    }

    #[test]
    fn only_the_series_of_an_event_changes() {
        let old = new_event();
        let mut new = old.clone();
        new["series"] = json!({"count": 2, "lastObservedTime": "2024-01-01T00:00:00.000000Z"});
        assert_eq!(fields(BuiltinKind::EventsEvent, Some(&old), &new), [""; 0]);
        (new["message"], new["reportingInstance"]) = ("more".into(), "j".into());
        assert_eq!(fields(BuiltinKind::EventsEvent, Some(&old), &new), ["message", "reportingInstance"]);
        assert_eq!(fields(BuiltinKind::Event, Some(&old), &new), [""; 0]);
    }
}
