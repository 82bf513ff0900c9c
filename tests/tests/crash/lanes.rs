//! Many plans at a time: each lane is a namespace, a mesh and an operator of its own on one cluster and one control plane.
//! A plan waits most of its time, so lanes cost little.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Does `work` for each of `items`, on all lanes at a time: a lane that is through with one takes the next. In no order.
pub async fn share<L, I, T>(lanes: &mut [L], items: Vec<I>, work: impl AsyncFn(&mut L, I) -> T) -> Vec<T> {
    let left = Mutex::new(VecDeque::from(items));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let all = lanes.iter_mut().map(async |lane| {
        let mut done = Vec::new();
        while let Some(item) = next() {
            done.push(work(lane, item).await);
        }
        done
    });
    futures::future::join_all(all).await.into_iter().flatten().collect()
}
