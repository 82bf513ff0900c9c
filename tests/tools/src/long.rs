//! How much a test does: enough to see each kind of failure in every run of `.ci/run`, or all it can, on request.
//!
//! A test whose volume is worth minutes has two sizes. The light one, which is the default, keeps every kind of input,
//! fault and operation and lowers the count; `cargo xtask test --long` asks for the other. Crates whose tests do not
//! depend on the test bed read [`VARIABLE`] themselves.

/// What `cargo xtask test --long` sets to `1` for every test.
pub const VARIABLE: &str = "FLEETMESH_LONG";

/// Whether the long form of each test is asked for.
#[must_use]
pub fn is_asked() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| value == "1")
}

/// `light` by default, `long` where [`is_asked`].
#[must_use]
pub fn choose<T>(light: T, long: T) -> T {
    if is_asked() { long } else { light }
}
