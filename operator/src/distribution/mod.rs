//! Asks the control plane how many proxies run each object: one long poll for each mesh
//! (`docs/adr/0004-distribution-by-long-poll.md`). Reads only.

mod answer;
mod poll;

pub use poll::watch_meshes;
