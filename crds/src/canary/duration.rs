//! Lengths of time as people write them: `30s`, `10m`, `1h30m` (Go's notation in whole hours, minutes and seconds, as
//! Kubernetes' own durations). Schemas; the type is kube's.

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::add_rule;
use schemars::Schema;
use serde_json::json;

/// Hours, minutes, seconds, in this order, at least one of them. The lengths of the numbers keep sums far from overflow.
const PATTERN: &str = r"^([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$";

pub(crate) const UP_TO_30_DAYS: Rule = Rule {
    cel: "duration(self) >= duration('1s') && duration(self) <= duration('720h')",
    message: "must be 1s to 720h",
};
pub(crate) const UP_TO_10_MINUTES: Rule = Rule {
    cel: "duration(self) >= duration('1s') && duration(self) <= duration('10m')",
    message: "must be 1s to 10m",
};
pub(crate) const UP_TO_1_MINUTE: Rule = Rule {
    cel: "duration(self) >= duration('1s') && duration(self) <= duration('1m')",
    message: "must be 1s to 1m",
};

/// A duration of 1 s to 720 h (30 days).
pub fn up_to_30_days(schema: &mut Schema) {
    duration(schema, &UP_TO_30_DAYS);
}

/// A duration of 1 s to 10 min.
pub fn up_to_10_minutes(schema: &mut Schema) {
    duration(schema, &UP_TO_10_MINUTES);
}

/// A duration of 1 s to 1 min.
pub fn up_to_1_minute(schema: &mut Schema) {
    duration(schema, &UP_TO_1_MINUTE);
}

fn duration(schema: &mut Schema, bounds: &Rule) {
    schema.insert("minLength".into(), json!(2));
    schema.insert("maxLength".into(), json!(16));
    schema.insert("pattern".into(), json!(PATTERN));
    add_rule(schema, bounds);
}
