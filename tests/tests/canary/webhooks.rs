//! People and programs that are asked: a rollout begins, goes on and ends when its webhooks agree, and goes back when one asks
//! for it. Each Event is sent.

use serde_json::{Value, json};

use crate::service::BANK;
use crate::tale::{Tale, in_force, version};
use crate::traffic::CanaryTraffic;
use crate::user::{CanaryUser, UserPrometheus};

const TYPES: [&str; 5] =
    ["confirm-rollout", "confirm-traffic-increase", "confirm-promotion", "rollback", "event"];

/// The route, going to `target`, with everybody asked.
fn route(target: &str) -> Value {
    let second = json!({ "duration": "1s" });
    let query = "histogram_quantile(0.99, sum by (le) (rate(bank_bucket[1m])))";
    let source = CanaryUser::source(query);
    let canary = json!({
        "steps": [{ "setWeight": 50, "pause": second }, { "setWeight": 100, "pause": second }],
        "analysis": {
            "interval": "1s",
            // One failure is enough: what is no failure shows.
            "failureLimit": 1,
            "metrics": [{ "name": "p99", "source": source, "thresholdRange": { "max": 500 } }],
        },
        "webhooks": TYPES.map(CanaryUser::webhook),
    });
    BANK.route("bank", &[(target, 100)], Some(canary))
}

/// Nothing goes to the new version before everybody agrees.
pub async fn confirm_the_rollout(tale: &mut Tale, traffic: &mut CanaryTraffic, user: &CanaryUser) {
    user.answers("confirm-rollout", 403, "not before noon");
    user.answers("confirm-traffic-increase", 202, "");
    user.answers("confirm-promotion", 403, "");
    user.answers("rollback", 404, "");
    tale.provide(&user.providers(("kubernetes.io/metadata.name", "apps"))).await;
    tale.apply(&route("bank-v2")).await;
    let held = tale.held("ConfirmationRefused").await;
    let rollout = &held["rollout"];
    let detail = rollout["hold"]["detail"].as_str().unwrap();
    assert!(detail.contains("confirm-rollout") && detail.contains("status 403"), "{detail}");
    assert!(!held.to_string().contains("not before noon"), "what a server says is not repeated: {held:#}");
    // Whoever does not agree is asked again.
    user.is_asked_again("confirm-rollout", 2).await;
    let mut call = user.asked("confirm-rollout").remove(0);
    assert!(["Progressing", "Held"].contains(&call["phase"].take().as_str().unwrap()));
    let about = json!({
        "name": "confirm-rollout",
        "type": "confirm-rollout",
        "namespace": "apps",
        "route": "bank",
        "meshName": "apps",
        "rolloutId": rollout["id"],
        "stepIndex": 0,
        "setWeight": 0,
        "phase": null,
    });
    assert_eq!(call, about);
    user.answers("confirm-rollout", 200, "");
    tale.held("ConfirmationPending").await;
    user.is_asked_again("confirm-traffic-increase", 1).await;
    tale.took_steps(&[]);
    traffic.is_shared(&[("bank-v1", 100), ("bank-v2", 0)]).await;
    user.answers("confirm-traffic-increase", 200, "");
    tale.entered(1).await;
}

/// The new version has everything, and is not stable before everybody agrees. A webhook that fails agrees to nothing.
pub async fn confirm_the_promotion(tale: &mut Tale, traffic: &mut CanaryTraffic, user: &CanaryUser) {
    tale.entered(2).await;
    let held = tale.held("ConfirmationRefused").await;
    assert_eq!(held["stableTargets"][0]["virtualNode"], "bank-v1");
    traffic.is_shared(&[("bank-v1", 0), ("bank-v2", 100)]).await;
    user.answers("confirm-promotion", 500, "");
    tale.held("WebhookFailed").await;
    user.answers("confirm-promotion", 200, "");
    let promoted = tale.phase("Promoted").await;
    tale.is_as_applied().await;
    tale.took_steps(&[1, 2]);
    let steps = |kind| -> Vec<Value> {
        let mut steps: Vec<Value> = user.asked(kind).iter().map(|call| call["stepIndex"].clone()).collect();
        steps.dedup();
        steps
    };
    // Each at its time.
    assert_eq!(steps("confirm-rollout"), [0]);
    assert_eq!(steps("confirm-traffic-increase"), [0, 1]);
    assert_eq!(steps("confirm-promotion"), [2]);
    events_are_sent(user, &promoted["history"][0]["id"]);
}

/// What happened was sent, as the Events have it.
fn events_are_sent(user: &CanaryUser, id: &Value) {
    let calls = user.asked("event");
    let reasons: Vec<&str> = calls.iter().map(|call| call["event"]["reason"].as_str().unwrap()).collect();
    println!("sent: {}", reasons.join(" "));
    for (reason, times) in [("RolloutStarted", 1), ("StepStarted", 2), ("Promoted", 1)] {
        let found = reasons.iter().filter(|sent| **sent == reason).count();
        assert_eq!(found, times, "{reason} in {reasons:?}");
    }
    assert!(reasons.contains(&"Held") && reasons.contains(&"Resumed"), "{reasons:?}");
    // What drains and retires afterwards is of no rollout any more.
    let afterwards = ["Drained", "Replaced"];
    for (call, reason) in calls.iter().zip(&reasons).filter(|(_, reason)| !afterwards.contains(reason)) {
        assert!(call["rolloutId"] == *id && call["event"]["message"].is_string(), "{reason}: {call:#}");
    }
}

/// A webhook of type rollback that agrees is obeyed in one push.
pub async fn roll_back(tale: &mut Tale, traffic: &mut CanaryTraffic, user: &CanaryUser) {
    user.prometheus(UserPrometheus::Gives(120.0));
    tale.apply(&route("bank-v1")).await;
    let entered = tale.entered(1).await;
    user.answers("rollback", 200, "");
    let settled =
        |status: &Value| status["phase"] == "Aborted" && status["dataplane"]["settledAt"].is_string();
    let aborted = tale.until("it is rolled back", settled).await;
    let ended = &aborted["history"][0];
    assert_eq!(ended["reason"], "RollbackRequested", "{ended:#}");
    assert_eq!((in_force(&aborted).as_str(), version(&aborted)), ("bank-v2=100", version(&entered) + 1));
    user.answers("rollback", 404, "");
    traffic.is_unharmed();
}

/// A provider that is not for this namespace is not asked, and says so; one that is gone neither.
pub async fn are_for_their_namespaces(tale: &mut Tale, user: &CanaryUser) {
    tale.provide(&user.providers(("team", "other"))).await;
    let asked = user.asked("confirm-rollout").len();
    assert_eq!(tale.send("Retry").await, "Applied");
    let held = tale.held("WebhookFailed").await;
    let detail = held["rollout"]["hold"]["detail"].as_str().unwrap();
    assert!(detail.contains("the WebhookProvider user does not allow this namespace"), "{detail}");
    tale.withdraw("webhookprovider/user").await;
    let gone = |status: &Value| {
        status["rollout"]["hold"]["detail"].to_string().contains("the WebhookProvider user does not exist")
    };
    tale.until("the provider is gone", gone).await;
    assert_eq!(user.asked("confirm-rollout").len(), asked, "nobody was asked");
}
