//! What several black-box tests share and the test bed has no use for: tables of specs with their verdicts, the App
//! Mesh API as plain requests, the Kubernetes API as answers.

pub mod app_mesh;
pub mod objects;
pub mod specs;
