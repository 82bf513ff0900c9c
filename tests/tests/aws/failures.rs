//! What AWS refuses or loses: each gives a reason of its own, and nothing twice.

use std::sync::Arc;

use fleetmesh_testbed::{http, wait};
use serde_json::{Value, json};

use crate::bed::{AwsBed, LIMIT, TIMEOUT};
use crate::front::{AwsFront, Manner};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_lost_replies_have_reasons_and_make_nothing_twice() {
    let bed = AwsBed::start("aws-front").await;
    let front = Arc::clone(&bed.front);
    let (space, account) = (bed.space("front").await, bed.account());
    let cases = [
        ("denied", "CreateRole", Manner::Refuses(403, "AccessDenied"), "AccessDenied"),
        ("throttled", "CreatePolicy", Manner::Refuses(400, "Throttling"), "Throttled"),
        ("broken", "AttachRolePolicy", Manner::Refuses(500, "ServiceFailure"), "EndpointFailed"),
        ("full", "CreateInstanceProfile", Manner::Refuses(409, "LimitExceeded"), "LimitExceeded"),
        ("badkey", "GetRole", Manner::Refuses(403, "InvalidClientTokenId"), "CredentialsInvalid"),
    ];
    for (node, action, manner, reason) in cases {
        front.meets(action, Some(manner));
        space.apply(&space.node(node, json!({ "iam": {} }))).await;
        let message = space.until(node, "IdentityReady", reason).await;
        assert!(message.contains(action), "{message}");
        front.meets(action, None);
        space.ready(node).await;
        space.run(&["delete", &format!("virtualnode/{node}"), TIMEOUT]).await;
    }

    // Carried out, and the reply lost: the retry is answered that it exists, which is nobody's error.
    for action in ["CreateRole", "CreatePolicy", "CreateInstanceProfile", "AddRoleToInstanceProfile"] {
        let node = action.to_lowercase();
        front.meets(action, Some(Manner::LosesReply(1)));
        let before = front.count(action);
        space.apply(&space.node(&node, json!({ "iam": {} }))).await;
        space.ready(&node).await;
        assert!(front.count(action) > before + 1, "{action} was asked again");
        front.meets(action, None);
        assert!(space.events(&node, "Rejected").await.is_empty());
        let roles = account.roles().await;
        assert_eq!(roles.iter().filter(|role| role.ends_with(&node)).count(), 1, "{roles:?}");
        space.run(&["delete", &format!("virtualnode/{node}"), TIMEOUT]).await;
        assert_eq!(account.role(&space.role(&node)).await, Value::Null);
    }

    // IAM does not show for a while what was made: it is waited for, and not made again.
    front.meets("GetRole", Some(Manner::Refuses(404, "NoSuchEntity")));
    let before = front.count("CreateRole");
    space.apply(&space.node("late", json!({ "iam": {} }))).await;
    let message = space.until("late", "IdentityReady", "Pending").await;
    let created = async || {
        let count = front.count("GetRole");
        wait::until("it is looked for again", LIMIT, async || {
            Ok((front.count("GetRole") >= count + 3).then_some(()))
        })
        .await
        .unwrap();
    };
    created().await;
    assert_eq!(front.count("CreateRole"), before + 1, "{message}");
    front.meets("GetRole", None);
    space.ready("late").await;
    assert_eq!(front.count("CreateRole"), before + 1);
    space.run(&["delete", "virtualnode/late", TIMEOUT]).await;
    every_attempt_is_counted(&bed, &front).await;
}

/// The sum of a counter over the operator's calls of an action of IAM.
async fn counted(bed: &AwsBed, counter: &str, action: &str) -> usize {
    let page = http::get(&format!("{}/metrics", bed.operator.health_url())).await.unwrap();
    let labels = format!("{{service=\"iam\",operation=\"{action}\"");
    let lines =
        page.lines().filter(|line| line.starts_with(&format!("fleetmesh_operator_{counter}{labels}")));
    let values: Vec<usize> = lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert!(!values.is_empty(), "no {counter} of {action}");
    values.iter().sum()
}

/// Nothing is under way any more, so the metrics know as many attempts as were asked of AWS.
async fn every_attempt_is_counted(bed: &AwsBed, front: &AwsFront) {
    for (action, throttled) in [("CreateRole", false), ("CreatePolicy", true), ("AttachRolePolicy", false)] {
        let (calls, retries) =
            (counted(bed, "calls_total", action).await, counted(bed, "call_retries_total", action).await);
        assert_eq!(calls + retries, front.count(action), "{calls} calls and {retries} retries of {action}");
        assert_eq!(counted(bed, "call_seconds_count", action).await, calls);
        // Refused, lost or broken: but for the first, which is permanent, each was tried again.
        assert!(retries > 0, "{action}");
        assert_eq!(counted(bed, "call_throttles_total", action).await > 0, throttled, "{action}");
    }
}
