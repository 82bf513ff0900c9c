//! The order of a list that two sides have items in.

use std::cmp::Ordering;

use serde_json::Value;

/// Items of `merged` that `patch` has, in its order, and the others, in that of `old`; where both sides have an item in `old`,
/// what came first stays first.
pub(super) fn in_order(merged: Vec<Value>, patch: &[Value], old: &[Value], key: Option<&str>) -> Vec<Value> {
    let (mut wanted, mut others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| is_present(item, patch, key));
    sort(&mut wanted, patch, key);
    sort(&mut others, old, key);
    let mut ordered = Vec::with_capacity(wanted.len() + others.len());
    let (mut wanted, mut others) = (wanted.into_iter().peekable(), others.into_iter().peekable());
    loop {
        let other_first = match (others.peek(), wanted.peek()) {
            (None, None) => return ordered,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(other), Some(item)) => {
                let places = (place(other, old, key), place(item, old, key));
                matches!(places, (Some(other), Some(item)) if other < item)
            }
        };
        ordered.extend(if other_first { others.next() } else { wanted.next() });
    }
}

/// Whether a list has an item with the same key.
pub(super) fn is_present(item: &Value, list: &[Value], key: Option<&str>) -> bool {
    place(item, list, key).is_some()
}

fn place(item: &Value, list: &[Value], key: Option<&str>) -> Option<usize> {
    list.iter().position(|candidate| match key {
        Some(key) => candidate.get(key) == item.get(key),
        None => candidate == item,
    })
}

/// Sorts items by their place in `order`; all of them have one, or stay where they are.
fn sort(items: &mut [Value], order: &[Value], key: Option<&str>) {
    items.sort_by(|left, right| match (place(left, order, key), place(right, order, key)) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => Ordering::Equal,
    });
}
