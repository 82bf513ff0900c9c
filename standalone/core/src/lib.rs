//! The decisions of the embedded Kubernetes-style API: what its resources are, what a request does to an object, and what is
//! answered, as kube-apiserver answers it.
//!
//! Pure: objects are [`serde_json::Value`]; the time, uids and what is random are passed in. Storage, connections and watches are
//! `fleetmesh-standalone`'s.

pub mod accept;
pub mod addresses;
pub mod apply;
pub mod body;
pub mod discovery;
pub mod event;
pub mod go;
pub mod manifests;
pub mod objects;
pub mod openapi;
pub mod patch;
pub mod protobuf;
pub mod resource;
pub mod review;
pub mod route;
pub mod schema;
pub mod selector;
pub mod status;
pub mod store;
pub mod table;
