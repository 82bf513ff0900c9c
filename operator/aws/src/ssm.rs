//! Systems Manager: parameters that hold ids of AMIs.

use std::sync::Arc;

use aws_sdk_ssm::Client;
use fleetmesh_core::fleet::is_ami_id;
use fleetmesh_core::{Class, Failure};

use crate::connection::{Connection, call};

/// Systems Manager of the connection's region.
#[derive(Clone, Debug)]
pub struct Ssm(Arc<Connection>);

impl Ssm {
    /// Systems Manager through `connection`.
    pub fn new(connection: Arc<Connection>) -> Self {
        Self(connection)
    }

    /// The id of the AMI that the parameter `name` holds. A value that is none is dropped here: it may be a secret of
    /// somebody who is not the one that named the parameter.
    ///
    /// # Errors
    /// `NotFound` when there is no such parameter, `Invalid` when it does not hold an AMI's id.
    pub async fn image(&self, name: &str) -> Result<String, Failure> {
        let client = Client::new(&self.0.shared().await.config);
        let request = client.get_parameter().name(name);
        let answer = call!(self.0, read, "GetParameter", request).map_err(|mut failure| {
            // Systems Manager does not say which one it misses.
            failure.message = format!("{} (parameter {name})", failure.message);
            failure
        })?;
        let value = answer.parameter().and_then(|parameter| parameter.value()).unwrap_or_default();
        if is_ami_id(value) {
            return Ok(value.to_owned());
        }
        let message = format!(
            "the parameter {name} does not hold an AMI's id, which is ami- and 8 to 17 hexadecimal digits; what it holds is not shown"
        );
        Err(Failure { class: Class::Invalid, operation: "GetParameter".to_owned(), message })
    }
}
