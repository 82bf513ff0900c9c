//! Retry policies. Pure.

use envoy_types::pb::envoy::config::route::v3::RetryPolicy;
use envoy_types::pb::envoy::config::route::v3::retry_policy::{RetryHostPredicate, retry_host_predicate};
use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate;
use envoy_types::util::pack_any;
use fleetmesh_model::RouteSpec;
use fleetmesh_model::common::Duration;
use fleetmesh_model::retry::{GrpcRetryPolicyEvent, HttpRetryPolicyEvent, TcpRetryPolicyEvent};

use super::proto;

/// How often Envoy looks for another host before it settles for one it has tried.
const HOST_SELECTION_ATTEMPTS: i64 = 5;

/// One retry of a safe request that the application did not answer: it may have closed the connection that was kept for it when the
/// request was on its way. Envoy cannot know whether such a request was read.
pub(super) fn safe_unanswered() -> RetryPolicy {
    once("reset")
}

/// One retry of a request of which nothing was sent. Envoy before 1.32 does not know this event, and retries nothing then.
pub(super) fn unsent() -> RetryPolicy {
    once("reset-before-request")
}

fn once(event: &str) -> RetryPolicy {
    RetryPolicy { retry_on: event.to_owned(), num_retries: proto::number(1), ..RetryPolicy::default() }
}

/// The retry policy of a route; App Mesh's default when it gives none, or when there is no route because a virtual
/// node provides the service.
pub(super) fn policy(route: Option<&RouteSpec>) -> RetryPolicy {
    let grpc = route.and_then(|route| route.grpc_route.as_ref()?.retry_policy.as_ref());
    let http = route.and_then(|route| {
        let http = route.http2_route.as_ref().or(route.http_route.as_ref())?;
        http.retry_policy.as_ref()
    });
    if let Some(policy) = grpc {
        let mut events = Events::default();
        events.http(policy.http_retry_events.as_deref().unwrap_or_default());
        events.tcp(policy.tcp_retry_events.as_deref().unwrap_or_default());
        events.grpc(policy.grpc_retry_events.as_deref().unwrap_or_default());
        events.policy(policy.max_retries, &policy.per_retry_timeout)
    } else if let Some(policy) = http {
        let mut events = Events::default();
        events.http(policy.http_retry_events.as_deref().unwrap_or_default());
        events.tcp(policy.tcp_retry_events.as_deref().unwrap_or_default());
        events.policy(policy.max_retries, &policy.per_retry_timeout)
    } else {
        default_policy()
    }
}

fn default_policy() -> RetryPolicy {
    let previous_hosts = RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".into(),
        config_type: Some(retry_host_predicate::ConfigType::TypedConfig(pack_any(PreviousHostsPredicate {}))),
    };
    RetryPolicy {
        retry_on: "connect-failure,refused-stream,retriable-status-codes,unavailable".into(),
        num_retries: proto::number(2),
        retriable_status_codes: vec![503],
        retry_host_predicate: vec![previous_hosts],
        host_selection_retry_max_attempts: HOST_SELECTION_ATTEMPTS,
        ..RetryPolicy::default()
    }
}

/// Envoy's conditions and status codes, collected from App Mesh's events; sorted and each once.
#[derive(Debug, Default)]
struct Events {
    conditions: std::collections::BTreeSet<&'static str>,
    statuses: std::collections::BTreeSet<u32>,
}

impl Events {
    fn http(&mut self, events: &[HttpRetryPolicyEvent]) {
        for event in events {
            match event {
                HttpRetryPolicyEvent::ServerError => {
                    self.status(&[500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511]);
                    self.conditions.insert("reset");
                }
                HttpRetryPolicyEvent::GatewayError => {
                    self.status(&[502, 503, 504]);
                    self.conditions.insert("reset");
                }
                HttpRetryPolicyEvent::ClientError => self.status(&[409]),
                HttpRetryPolicyEvent::StreamError => {
                    self.conditions.insert("refused-stream");
                }
            }
        }
    }

    fn tcp(&mut self, events: &[TcpRetryPolicyEvent]) {
        for event in events {
            match event {
                TcpRetryPolicyEvent::ConnectionError => self.conditions.insert("connect-failure"),
            };
        }
    }

    fn grpc(&mut self, events: &[GrpcRetryPolicyEvent]) {
        for event in events {
            self.conditions.insert(match event {
                GrpcRetryPolicyEvent::Cancelled => "cancelled",
                GrpcRetryPolicyEvent::DeadlineExceeded => "deadline-exceeded",
                GrpcRetryPolicyEvent::Internal => "internal",
                GrpcRetryPolicyEvent::ResourceExhausted => "resource-exhausted",
                GrpcRetryPolicyEvent::Unavailable => "unavailable",
            });
        }
    }

    fn status(&mut self, codes: &[u32]) {
        self.conditions.insert("retriable-status-codes");
        self.statuses.extend(codes);
    }

    fn policy(self, max_retries: i64, per_retry: &Duration) -> RetryPolicy {
        let conditions: Vec<&str> = self.conditions.into_iter().collect();
        let per_retry = per_retry.as_millis();
        RetryPolicy {
            retry_on: conditions.join(","),
            num_retries: proto::number(max_retries),
            // 0 means the request's own timeout, in App Mesh; Envoy says that by leaving it out.
            per_try_timeout: if per_retry == 0 { None } else { proto::millis(per_retry) },
            retriable_status_codes: self.statuses.into_iter().collect(),
            ..RetryPolicy::default()
        }
    }
}
