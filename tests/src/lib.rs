//! What several black-box tests share and the test bed has no use for: tables of specs with their verdicts.

pub mod specs;
