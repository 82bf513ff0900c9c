//! What AWS refuses or loses: each gives a reason of its own, and nothing twice.

use fleetmesh_testbed::wait;
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT, TIMEOUT};
use crate::front::{Front, Manner};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_lost_replies_have_reasons_and_make_nothing_twice() {
    let front = Front::start().await;
    let bed = Bed::start_behind("aws-front", |moto| front.before(moto), &[]).await;
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

    // Carried out, and the reply lost: the retry is told that it exists, which is no error of anybody.
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
}
