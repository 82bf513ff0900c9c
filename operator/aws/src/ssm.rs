//! Systems Manager: parameters that hold ids of AMIs.

use std::sync::Arc;

use aws_sdk_ssm::Client;
use fleetmesh_core::Failure;

use crate::connection::{Connection, call};

/// Systems Manager of the connection's region.
#[derive(Clone, Debug)]
pub struct Ssm(Arc<Connection>);

impl Ssm {
    /// Systems Manager through `connection`.
    pub fn new(connection: Arc<Connection>) -> Self {
        Self(connection)
    }

    /// The value of the parameter `name`.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn parameter(&self, name: &str) -> Result<String, Failure> {
        let client = Client::new(&self.0.shared().await.config);
        let request = client.get_parameter().name(name);
        let answer = call!(self.0, read, "GetParameter", request).map_err(|mut failure| {
            // Systems Manager does not say which one it misses.
            failure.message = format!("{} (parameter {name})", failure.message);
            failure
        })?;
        Ok(answer.parameter().and_then(|parameter| parameter.value()).unwrap_or_default().to_owned())
    }
}
