//! The queue by a paused clock.

use fleetmesh_model::Kind;

use super::*;

fn key(name: &str) -> ObjectKey {
    ObjectKey { kind: Kind::Mesh, namespace: None, name: name.to_owned() }
}

fn after(seconds: u64) -> Option<Appointment> {
    Some(Appointment { wait: Duration::from_secs(seconds), wake: Wake::Look, urgent: false })
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_woken_twice_gets_one_reconcile_with_the_greater_reason() {
    let queue = Queue::default();
    queue.wake(&key("a"), Wake::Distribution);
    queue.wake(&key("a"), Wake::Look);
    assert_eq!(queue.next(Line::All).await, (key("a"), Wake::Look));
    assert!(queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_woken_in_its_reconcile_comes_back_after_it() {
    let queue = Queue::default();
    queue.wake(&key("a"), Wake::Look);
    queue.next(Line::All).await;
    queue.wake(&key("a"), Wake::Distribution);
    assert!(queue.is_empty(), "it is still running");
    queue.done(&key("a"), after(60));
    assert_eq!(queue.next(Line::All).await, (key("a"), Wake::Distribution));
}

#[tokio::test(start_paused = true)]
async fn an_appointment_is_kept_and_the_earlier_one_wins() {
    let queue = Queue::default();
    let start = Instant::now();
    queue.wake(&key("a"), Wake::Look);
    queue.next(Line::All).await;
    queue.done(&key("a"), after(45));
    queue.wake_within(&key("a"), Wake::Distribution, Duration::from_secs(1));
    queue.wake_within(&key("a"), Wake::Look, Duration::from_secs(5));
    assert_eq!(queue.next(Line::All).await, (key("a"), Wake::Distribution));
    assert_eq!(start.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_urgent_appointment_goes_before_others_and_counts_once() {
    let queue = Queue::default();
    queue.wake(&key("late"), Wake::Look);
    queue.next(Line::All).await;
    let urgent = Appointment { urgent: true, ..after(1).unwrap() };
    queue.done(&key("late"), Some(urgent));
    for name in ["a", "late", "b"] {
        queue.wake(&key(name), Wake::Distribution);
    }
    assert_eq!(queue.len(), 3);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(queue.next(Line::All).await, (key("late"), Wake::Look));
    assert_eq!(queue.next(Line::All).await.0, key("a"));
    assert_eq!(queue.next(Line::All).await.0, key("b"), "late is not in the other line any more");
    assert!(queue.is_empty());
    queue.wake(&key("late"), Wake::Look);
    queue.done(&key("late"), after(60));
    assert_eq!(queue.next(Line::All).await.0, key("late"), "woken in its reconcile");
}

#[tokio::test(start_paused = true)]
async fn who_takes_urgent_ones_alone_leaves_the_others_and_wakes_those_who_take_them() {
    let queue = std::sync::Arc::new(Queue::default());
    let taken = |line: Line| {
        let queue = std::sync::Arc::clone(&queue);
        tokio::spawn(async move { queue.next(line).await.0 })
    };
    queue.wake(&key("a"), Wake::Look);
    queue.wake(&key("b"), Wake::Look);
    for _ in 0..2 {
        queue.next(Line::All).await;
    }
    let (urgent, other) = (taken(Line::Urgent), taken(Line::All));
    queue.done(&key("a"), after(1));
    queue.done(&key("b"), Some(Appointment { urgent: true, ..after(2).unwrap() }));
    assert_eq!(other.await.unwrap(), key("a"), "whoever rings");
    assert_eq!(urgent.await.unwrap(), key("b"));
}

#[tokio::test(start_paused = true)]
async fn who_is_woken_urgently_goes_first_even_when_it_waits_already() {
    let queue = Queue::default();
    for name in ["a", "b", "told"] {
        queue.wake(&key(name), Wake::Look);
    }
    queue.wake_urgent(&key("told"), Wake::Distribution);
    assert_eq!(queue.len(), 3);
    assert_eq!(queue.next(Line::Urgent).await, (key("told"), Wake::Look));
    queue.wake_urgent(&key("told"), Wake::Distribution);
    assert_eq!(queue.next(Line::All).await.0, key("a"), "it is running");
    queue.done(&key("told"), after(60));
    assert_eq!(queue.next(Line::All).await, (key("told"), Wake::Distribution), "before b");
}
