//! What tools make of our statuses: kstatus, by which Flux waits, and the scripts of `samples/gitops/argocd`, by which Argo
//! CD shows health. Each kind in each state that a reconcile can leave it in, and a
//! route in each phase of a rollout, compared with `verdicts.txt`. After a wanted change:
//! `FLEETMESH_BLESS=1 cargo test --workspace --test verdicts`, and read the difference.
//!
//! Neither tool runs here. kstatus' rules are written down again in `kstatus.rs`; Argo CD's script runs in Lua 5.1, the
//! language of its own interpreter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod argocd;
mod kinds;
mod kstatus;
mod phases;
mod table;
