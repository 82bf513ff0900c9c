//! A Prometheus decides. One that is down, or has no number, neither rolls back nor lets go on.

use serde_json::Value;

use crate::bed::SOON;
use crate::tale::{Tale, in_force, time};
use crate::traffic::CanaryTraffic;
use crate::user::{CanaryUser, UserPrometheus};
use fleetmesh_testbed::wait;

/// In the first step, where the pause is over long before Prometheus is back.
pub async fn is_blind(tale: &mut Tale, traffic: &mut CanaryTraffic, user: &CanaryUser) {
    let held = tale.held("MetricFailed").await;
    let detail = held["rollout"]["hold"]["detail"].as_str().unwrap();
    assert!(detail.contains("Prometheus cannot be asked") && !detail.contains(user.url()), "{detail}");
    // Judged again and again, and never as a failure, of which one would be enough.
    let mut last = time(&held["analysis"][0]["at"]);
    for _ in 0..2 {
        let again =
            tale.until("it is judged again", |status| time(&status["analysis"][0]["at"]) > last).await;
        let verdict = &again["analysis"][0];
        assert_eq!((&verdict["verdict"], &verdict["failed"]), (&"Error".into(), &0.into()), "{again:#}");
        assert_eq!(again["phase"], "Held", "{again:#}");
        last = time(&verdict["at"]);
    }
    user.prometheus(UserPrometheus::Empty);
    tale.held("NoData").await;
    traffic.is_shared(&[("bank-v1", 50), ("bank-v2", 50)]).await;
    tale.took_steps(&[1]);
    let query = user.asked("api/v1/query").remove(0);
    assert!(query.as_str().unwrap().starts_with("query=histogram_quantile%280.99%2C"), "{query}");
    user.prometheus(UserPrometheus::Gives(120.0));
}

/// A number out of its range is a failure: the rollout, tried again, is rolled back.
pub async fn fails(tale: &mut Tale, traffic: &mut CanaryTraffic, user: &CanaryUser) {
    assert_eq!(tale.send("Retry").await, "Applied");
    tale.entered(1).await;
    user.prometheus(UserPrometheus::Gives(900.0));
    let aborted = tale.phase("Aborted").await;
    let ended: &Value = &aborted["history"][0];
    assert_eq!(ended["reason"], "AnalysisFailed", "{ended:#}");
    assert!(ended["message"].as_str().unwrap().contains("p99 is 900.00"), "{ended:#}");
    assert_eq!(in_force(&aborted), "bank-v2=100");
    let asked = user.asked("api/v1/query").len();
    // Nobody is asked any more.
    wait::until("the last answer is old", SOON, async || {
        let at = time(&ended["endedAt"]);
        Ok((jiff::Timestamp::now().duration_since(at).as_secs() >= 2).then_some(()))
    })
    .await
    .unwrap();
    assert!(user.asked("api/v1/query").len() <= asked + 1);
    traffic.is_unharmed();
}
