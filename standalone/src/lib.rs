//! The embedded Kubernetes-style API: one process on one machine serves Fleetmesh's kinds and the few core kinds that kubectl, Helm
//! and controllers need with them. The decisions are [`fleetmesh_standalone_core`]'s; storage, connections and watches are here.
