//! Events as lines. Pure.

use fleetmesh_standalone_core::table::age;
use jiff::Timestamp;
use serde_json::Value;

use crate::table::escaped;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// How long ago an Event was, how often, and since when.
pub fn interval(event: &Value, now: Timestamp) -> String {
    let ago = |value: &Value| age::since(value.as_str(), now);
    let first = match &event["eventTime"] {
        Value::Null => ago(&event["firstTimestamp"]),
        time => ago(time),
    };
    let count = event["count"].as_i64().unwrap_or_default();
    match &event["series"] {
        Value::Null if count > 1 => format!("{} (x{count} over {first})", ago(&event["lastTimestamp"])),
        Value::Null => first,
        series => {
            let count = series["count"].as_i64().unwrap_or_default();
            format!("{} (x{count} over {first})", ago(&series["lastObservedTime"]))
        }
    }
}

/// The earliest first, by when they were last seen.
pub fn sort(events: &mut [Value]) {
    let time = |event: &Value| {
        let times = [&event["series"]["lastObservedTime"], &event["lastTimestamp"], &event["eventTime"]];
        let time = times.into_iter().find_map(Value::as_str);
        time.and_then(|time| time.parse::<Timestamp>().ok())
    };
    events.sort_by_key(time);
}

/// The headers of [`line`].
pub fn headers(namespace: bool) -> &'static str {
    match namespace {
        true => "NAMESPACE\tLAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE\n",
        false => "LAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE\n",
    }
}

/// One Event, with its namespace first if asked for.
pub fn line(event: &Value, namespace: bool, now: Timestamp) -> String {
    let within = match namespace {
        true => format!("{}\t", text(&event["metadata"]["namespace"])),
        false => String::new(),
    };
    let object = &event["involvedObject"];
    format!(
        "{within}{}\t{}\t{}\t{}/{}\t{}\n",
        interval(event, now),
        escaped(text(&event["type"])),
        escaped(text(&event["reason"])),
        escaped(text(&object["kind"])),
        escaped(text(&object["name"])),
        escaped(text(&event["message"]).trim()),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    #[test]
    fn an_event_says_how_long_ago_and_how_often() {
        let of = |event: Value| interval(&event, now());
        assert_eq!(of(json!({"firstTimestamp": "2026-01-02T03:03:05Z", "count": 1})), "60s");
        let often = json!({"firstTimestamp": "2026-01-02T02:04:05Z", "lastTimestamp": "2026-01-02T03:04:00Z", "count": 3});
        assert_eq!(of(often), "5s (x3 over 60m)");
        let series = json!({"eventTime": "2026-01-02T02:04:05.000001Z",
                            "series": {"count": 7, "lastObservedTime": "2026-01-02T03:04:03.000001Z"}});
        assert_eq!(of(series), "1s (x7 over 59m)");
        assert_eq!(of(json!({})), "<unknown>");
    }

    #[test]
    fn the_last_one_is_at_the_end() {
        let mut events = [
            json!({"lastTimestamp": "2026-01-02T00:00:01Z"}),
            json!({"eventTime": "2026-01-01T00:00:00.0Z"}),
        ];
        sort(&mut events);
        assert!(events[0]["eventTime"].is_string());
        let event = json!({"metadata": {"namespace": "apps"}, "involvedObject": {"kind": "Mesh", "name": "a"},
                           "type": "Normal", "reason": "Created", "message": " made\n"});
        assert_eq!(line(&event, true, now()), "apps\t<unknown>\tNormal\tCreated\tMesh/a\tmade\n");
    }
}
