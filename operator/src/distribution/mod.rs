//! Asks the control plane how far each object got among the proxies: one long poll for each mesh
//! (`docs/adr/0004-distribution-by-long-poll.md`). Reads only.

mod answer;
mod poll;

pub use poll::watch_meshes;
