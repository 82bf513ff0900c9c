//! The proxies' load reports do not arrive any more: nothing can be judged, so nothing fails and nothing goes on, until they
//! are back.

use jiff::Timestamp;

use crate::bed::CanaryBed;
use crate::service::ServiceTarget;
use crate::tale::{Tale, time};
use crate::traffic::CanaryTraffic;

/// In step 4, for longer than its pause, and for more verdicts than `failureLimit`.
pub async fn stop(
    bed: &CanaryBed,
    tale: &mut Tale,
    traffic: &mut CanaryTraffic,
    split: &[ServiceTarget<'_>],
) {
    tale.entered(4).await;
    bed.reports.cut();
    let held = tale.held("NoReport").await;
    println!("held: {}", held["rollout"]["hold"]["detail"]);
    traffic.phase("without reports").await;
    let mut last = time(&held["analysis"][0]["at"]);
    for _ in 0..2 {
        let again =
            tale.until("it is judged again", |status| time(&status["analysis"][0]["at"]) > last).await;
        let verdict = &again["analysis"][0];
        assert_eq!((&verdict["verdict"], &verdict["failed"]), (&"Error".into(), &0.into()), "{again:#}");
        assert_eq!(again["rollout"]["hold"]["reason"], "NoReport", "{again:#}");
        last = time(&verdict["at"]);
    }
    traffic.were_shared("without reports", split).await;
    let mended = Timestamp::now();
    bed.reports.mend();
    tale.entered(5).await;
    assert!(tale.stepped(5) > mended);
}
