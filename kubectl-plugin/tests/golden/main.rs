//! What people see, compared with what it was when somebody last looked at it: the pictures of `canary status`, and the timelines
//! of `canary simulate`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod draw;
mod files;
mod simulate;
