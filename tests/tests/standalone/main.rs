//! `fleetmesh standalone` from outside: kubectl, and what an attacker or a power cut would do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod access;
mod checkout;
mod commands;
mod crash;
mod doctor;
mod export;
mod helm;
mod init;
mod kubectl;
mod manifests;
mod mask;
mod put_back;
mod replay;
mod samples;
mod slow_readers;
mod storage;
mod systemd;
mod verbs;
mod watches;
