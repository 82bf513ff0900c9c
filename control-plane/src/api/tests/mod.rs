//! Tests of the API over HTTP in process, on a real store.

mod errors;
mod lifecycle;
mod lists;
mod service;
mod tokens;
