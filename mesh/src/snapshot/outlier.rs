//! Outlier detection, which the callers' proxies make: an instance that fails too often in a row is left out for a while.
//! Pure.

use envoy_types::pb::envoy::config::cluster::v3::OutlierDetection as EnvoyOutlierDetection;
use envoy_types::pb::google::protobuf::Duration as EnvoyDuration;
use fleetmesh_model::common::Duration;
use fleetmesh_model::listener::OutlierDetection;

use super::proto;

/// Always, in percent.
const ALWAYS: i64 = 100;
/// Never, in percent.
const NEVER: i64 = 0;

/// What `policy` asks for. Answers of 500 to 599 count, and so do failures to connect; gateway errors (502 to 504, failures
/// to connect) count by themselves too. Envoy's judgement by rates of success, which App Mesh does not have, is off.
pub(super) fn detection(policy: &OutlierDetection) -> EnvoyOutlierDetection {
    let OutlierDetection { base_ejection_duration, interval, max_ejection_percent, max_server_errors } =
        policy;
    let errors = proto::number(*max_server_errors);
    EnvoyOutlierDetection {
        consecutive_5xx: errors,
        enforcing_consecutive_5xx: proto::number(ALWAYS),
        consecutive_gateway_failure: errors,
        enforcing_consecutive_gateway_failure: proto::number(ALWAYS),
        enforcing_success_rate: proto::number(NEVER),
        enforcing_failure_percentage: proto::number(NEVER),
        interval: positive(interval),
        base_ejection_time: positive(base_ejection_duration),
        max_ejection_percent: proto::number((*max_ejection_percent).into()),
        ..EnvoyOutlierDetection::default()
    }
}

/// Envoy refuses 0, which App Mesh takes: as little as can be is meant.
fn positive(duration: &Duration) -> Option<EnvoyDuration> {
    proto::millis(duration.as_millis().max(1))
}
