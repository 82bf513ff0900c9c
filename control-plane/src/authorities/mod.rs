//! Private authorities of ACM (ACM PCA) that client policies trust: their certificates, read for the proxies.
//!
//! `client policies → authorities in use → certificates → snapshots (secrets) → proxies`
//!
//! [`fleetmesh_mesh::authorities`] decides which ones are read, and when. Here are the one call of ACM PCA ([`client`]), the reader
//! ([`reader`], [`book`]), and the file that keeps the certificates over a restart ([`file`]).
//!
//! Guarantees:
//! - **Closed until known.** What is to trust an authority that was never read connects to nobody.
//! - **A failure takes nothing away.** A certificate that was read stays until no policy names its authority, also over a restart: it
//!   is public, and it is the one that was asked for.
//! - **No AWS without need.** No credentials are looked up until a policy names an authority.
//! - **Little of AWS.** [`CALLS`](reader::CALLS) calls at a time, one in [`GAP`](book::GAP), and a bounded number of authorities for
//!   each mesh, whatever its policies name.
//!
//! The credentials need `acm-pca:GetCertificateAuthorityCertificate`.

mod book;
mod client;
mod file;
mod reader;
#[cfg(test)]
mod tests;

pub use reader::{remember, run};
