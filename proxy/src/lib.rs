//! The rules that send an instance's traffic through its Envoy ([`intercept`]).
//!
//! Deciding is pure (`fleetmesh-instance`). Only the backends here run programs of the host (`iptables-restore`, `nft`).

pub mod intercept;
