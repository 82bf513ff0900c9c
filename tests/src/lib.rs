//! What several black-box tests share and the test bed has no use for: tables of specs with their verdicts, the App
//! Mesh API as plain requests.

pub mod app_mesh;
pub mod specs;
