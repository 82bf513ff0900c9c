//! The queue by a paused clock.

use fleetmesh_model::Kind;

use super::*;

fn key(name: &str) -> ObjectKey {
    ObjectKey { kind: Kind::Mesh, namespace: None, name: name.to_owned() }
}

fn after(seconds: u64) -> Option<Requeue> {
    Some(Requeue { wait: Duration::from_secs(seconds), trigger: Trigger::Look, priority: Priority::Changed })
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_triggered_twice_gets_one_reconcile_with_the_greater_reason() {
    let queue = Queue::default();
    queue.trigger(&key("a"), Trigger::Distribution);
    queue.trigger(&key("a"), Trigger::Look);
    assert_eq!(queue.next(Lane::All).await, (key("a"), Trigger::Look));
    assert!(queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_triggered_in_its_reconcile_comes_back_after_it() {
    let queue = Queue::default();
    queue.trigger(&key("a"), Trigger::Look);
    queue.next(Lane::All).await;
    queue.trigger(&key("a"), Trigger::Distribution);
    assert!(queue.is_empty(), "it is still running");
    queue.done(&key("a"), after(60));
    assert_eq!(queue.next(Lane::All).await, (key("a"), Trigger::Distribution));
}

#[tokio::test(start_paused = true)]
async fn a_requeue_is_kept_and_the_earlier_one_wins() {
    let queue = Queue::default();
    let start = Instant::now();
    queue.trigger(&key("a"), Trigger::Look);
    queue.next(Lane::All).await;
    queue.done(&key("a"), after(45));
    queue.trigger_within(&key("a"), Trigger::Distribution, Duration::from_secs(1));
    queue.trigger_within(&key("a"), Trigger::Look, Duration::from_secs(5));
    assert_eq!(queue.next(Lane::All).await, (key("a"), Trigger::Distribution));
    assert_eq!(start.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_urgent_requeue_goes_before_others_and_counts_once() {
    let queue = Queue::default();
    queue.trigger(&key("late"), Trigger::Look);
    queue.next(Lane::All).await;
    let urgent = Requeue { priority: Priority::Urgent, ..after(1).unwrap() };
    queue.done(&key("late"), Some(urgent));
    for name in ["a", "late", "b"] {
        queue.trigger(&key(name), Trigger::Distribution);
    }
    assert_eq!(queue.len(), 3);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(queue.next(Lane::All).await, (key("late"), Trigger::Look));
    assert_eq!(queue.next(Lane::All).await.0, key("a"));
    assert_eq!(queue.next(Lane::All).await.0, key("b"), "late is not in the other lane any more");
    assert!(queue.is_empty());
    queue.trigger(&key("late"), Trigger::Look);
    queue.done(&key("late"), after(60));
    assert_eq!(queue.next(Lane::All).await.0, key("late"), "triggered in its reconcile");
}

#[tokio::test(start_paused = true)]
async fn who_takes_urgent_ones_alone_leaves_the_others_and_triggers_those_who_take_them() {
    let queue = std::sync::Arc::new(Queue::default());
    let taken = |lane: Lane| {
        let queue = std::sync::Arc::clone(&queue);
        tokio::spawn(async move { queue.next(lane).await.0 })
    };
    queue.trigger(&key("a"), Trigger::Look);
    queue.trigger(&key("b"), Trigger::Look);
    for _ in 0..2 {
        queue.next(Lane::All).await;
    }
    let (urgent, other) = (taken(Lane::Urgent), taken(Lane::All));
    queue.done(&key("a"), after(1));
    queue.done(&key("b"), Some(Requeue { priority: Priority::Urgent, ..after(2).unwrap() }));
    assert_eq!(other.await.unwrap(), key("a"), "whoever rings");
    assert_eq!(urgent.await.unwrap(), key("b"));
}

#[tokio::test(start_paused = true)]
async fn who_is_triggered_urgently_goes_first_even_when_it_waits_already() {
    let queue = Queue::default();
    for name in ["a", "b", "reported"] {
        queue.trigger(&key(name), Trigger::Look);
    }
    queue.trigger_urgent(&key("reported"), Trigger::Distribution);
    assert_eq!(queue.len(), 3);
    assert_eq!(queue.next(Lane::Urgent).await, (key("reported"), Trigger::Look));
    queue.trigger_urgent(&key("reported"), Trigger::Distribution);
    assert_eq!(queue.next(Lane::All).await.0, key("a"), "it is running");
    queue.done(&key("reported"), after(60));
    assert_eq!(queue.next(Lane::All).await, (key("reported"), Trigger::Distribution), "before b");
}

#[tokio::test(start_paused = true)]
async fn what_changed_goes_before_what_is_only_compared() {
    let queue = Queue::default();
    for name in ["rests", "a", "edited", "asked"] {
        queue.trigger(&key(name), Trigger::Look);
    }
    queue.trigger_urgent(&key("asked"), Trigger::Distribution);
    // As after a start: all of these are news to this process alone.
    queue.postpone(&["rests", "edited", "asked", "none"].map(key).into());
    queue.trigger(&key("edited"), Trigger::Look);
    assert_eq!(queue.len(), 4);
    assert_eq!(queue.next(Lane::All).await, (key("asked"), Trigger::Look));
    assert_eq!(queue.next(Lane::All).await, (key("a"), Trigger::Look));
    assert_eq!(queue.next(Lane::All).await, (key("edited"), Trigger::Drift));
    assert_eq!(queue.next(Lane::All).await, (key("rests"), Trigger::Drift));
    assert!(queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_only_compared_has_its_turns_however_much_changes() {
    let queue = Queue::default();
    let drift = Requeue { wait: Duration::ZERO, trigger: Trigger::Drift, priority: Priority::Compared };
    for name in ["one", "two"] {
        queue.trigger(&key(name), Trigger::Look);
        queue.done(&queue.next(Lane::All).await.0, Some(drift));
    }
    let mut order = Vec::new();
    for _ in 0..3 * TURNS {
        queue.trigger(&key("busy"), Trigger::Look);
        let (next, _) = queue.next(Lane::All).await;
        queue.done(&next, after(60));
        order.push(next);
    }
    let compared: Vec<usize> = (0..order.len()).filter(|at| order[*at] != key("busy")).collect();
    assert_eq!(compared.len(), 2, "{order:?}");
    assert!(compared[0] < TURNS && compared[1] < 2 * TURNS, "{compared:?}");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_another_reconcile_writes_gets_none_meanwhile_and_loses_no_trigger() {
    let queue = Queue::default();
    queue.trigger(&key("a"), Trigger::Look);
    queue.next(Lane::All).await;
    assert!(queue.reserve(&key("a")).is_none(), "it is in a reconcile of its own");
    queue.done(&key("a"), after(60));
    // It rests, then it waits, and neither turn is taken while it is reserved.
    for waits in [false, true] {
        if waits {
            queue.trigger(&key("a"), Trigger::Look);
        }
        let reserved = queue.reserve(&key("a")).expect("nobody has it");
        assert!(queue.reserve(&key("a")).is_none(), "it is taken once");
        queue.trigger(&key("a"), Trigger::Distribution);
        assert!(queue.is_empty());
        let early = tokio::time::timeout(Duration::from_secs(1), queue.next(Lane::All)).await;
        assert!(early.is_err(), "{early:?}");
        drop(reserved);
        let trigger = if waits { Trigger::Look } else { Trigger::Distribution };
        assert_eq!(queue.next(Lane::All).await, (key("a"), trigger));
        queue.done(&key("a"), after(60));
    }
    drop(queue.reserve(&key("a")));
    assert_eq!(queue.next(Lane::All).await, (key("a"), Trigger::Look), "its requeue stays");
}
