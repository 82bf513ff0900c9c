//! Tests of the API over HTTP in process, on a real store.

mod commits;
mod controller;
mod corpus;
mod errors;
mod lifecycle;
mod lists;
mod owners;
mod rights;
mod service;
mod shares;
mod tokens;
mod unserved;
