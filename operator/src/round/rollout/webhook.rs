//! A webhook of a rollout: a POST with a JSON body; its status is the answer. Writes to nobody but whom it asks.

use fleetmesh_aws::transport::Http;
use fleetmesh_core::canary::Call;
use fleetmesh_core::{Event, Object};
use fleetmesh_crds::canary::WebhookAnswer;
use serde_json::{Value, json};

use super::hide::without;

/// The longest part of an answer that is told, in characters.
const TOLD: usize = 200;

/// What the webhook is told: what is asked, about which route, and how far its rollout is; with `event` what happened.
pub fn body(route: &Object, call: &Call, event: Option<&Event>) -> Value {
    let mut body = json!({
        "name": call.webhook,
        "type": call.type_,
        "namespace": route.key.namespace,
        "route": route.key.name,
        "meshName": route.id.mesh_name(),
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

/// What the webhook answers, and its own words when it does not agree.
pub async fn ask(http: &Http, call: &Call, body: Value) -> (WebhookAnswer, Option<String>) {
    match http.post_json(&call.url, body.to_string(), call.timeout).await {
        Err(why) => (WebhookAnswer::Error, Some(without(&why, &call.url))),
        Ok((status, body)) => read(status, &without(&String::from_utf8_lossy(&body), &call.url)),
    }
}

fn read(status: u16, words: &str) -> (WebhookAnswer, Option<String>) {
    let words: String = words.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TOLD).collect();
    let detail =
        if words.is_empty() { format!("status {status}") } else { format!("status {status}: {words}") };
    match status {
        202 | 425 => (WebhookAnswer::NotYet, Some(detail)),
        200..=299 => (WebhookAnswer::Confirmed, None),
        400..=499 => (WebhookAnswer::Refused, Some(detail)),
        _ => (WebhookAnswer::Error, Some(detail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_the_answer() {
        assert_eq!(read(200, "yes"), (WebhookAnswer::Confirmed, None));
        assert_eq!(read(202, ""), (WebhookAnswer::NotYet, Some("status 202".to_owned())));
        assert_eq!(
            read(403, "not\n  today"),
            (WebhookAnswer::Refused, Some("status 403: not today".to_owned()))
        );
        assert_eq!(read(500, "").0, WebhookAnswer::Error);
        assert_eq!(read(301, "").0, WebhookAnswer::Error, "redirects are not followed");
    }

    #[test]
    fn words_are_cut() {
        let (_, detail) = read(403, &"é".repeat(1000));
        assert_eq!(detail.map(|detail| detail.chars().count()), Some("status 403: ".len() + TOLD));
    }
}
