//! A webhook of a rollout: a POST with a JSON body; its status is the answer. Pure.

use fleetmesh_core::canary::WebhookCall;
use fleetmesh_core::{Event, Object};
use fleetmesh_crds::canary::WebhookAnswer;
use serde_json::{Value, json};

use crate::outbound::{ExchangeAnswer, OutboundFailure};

/// What the webhook is sent: what is asked, about which route, and how far its rollout is; with `event` what happened.
pub fn body(route: &Object, call: &WebhookCall, event: Option<&Event>) -> Value {
    let mut body = json!({
        "name": call.webhook,
        "type": call.type_,
        "namespace": route.key.namespace,
        "route": route.key.name,
        "meshName": route.id.mesh_name().name(),
        "rolloutId": call.rollout_id,
        "stepIndex": call.step_index,
        "setWeight": call.set_weight,
        "phase": call.phase,
    });
    if let (Some(event), Some(members)) = (event, body.as_object_mut()) {
        members.insert("event".to_owned(), json!({ "reason": event.reason, "message": event.message }));
    }
    body
}

/// What the webhook answers: by its status. Of its own words nothing is repeated.
pub fn answer(answer: Result<ExchangeAnswer, OutboundFailure>) -> (WebhookAnswer, Option<String>) {
    match answer {
        Err(why) => (WebhookAnswer::Error, Some(why.to_string())),
        Ok(answer) => read(answer.status),
    }
}

fn read(status: u16) -> (WebhookAnswer, Option<String>) {
    let detail = Some(format!("status {status}"));
    match status {
        202 | 425 => (WebhookAnswer::NotYet, detail),
        200..=299 => (WebhookAnswer::Confirmed, None),
        400..=499 => (WebhookAnswer::Refused, detail),
        _ => (WebhookAnswer::Error, detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_the_answer() {
        assert_eq!(read(200), (WebhookAnswer::Confirmed, None));
        assert_eq!(read(202), (WebhookAnswer::NotYet, Some("status 202".to_owned())));
        assert_eq!(read(403), (WebhookAnswer::Refused, Some("status 403".to_owned())));
        assert_eq!(read(500).0, WebhookAnswer::Error);
        assert_eq!(read(301).0, WebhookAnswer::Error, "redirects are not followed");
    }
}
