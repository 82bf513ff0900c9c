//! Tests of the API over HTTP, in process.
