//! The body of an error response: the shape of the App Mesh API, which the endpoints beside it use too.

use serde::{Deserialize, Serialize};

/// The body of an error. Its shape distinguishes a Fleetmesh control plane from other servers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ErrorBody {
    /// What is wrong and what to do about it, in a line for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples;

    #[test]
    fn the_example_is_what_both_sides_read_and_write() {
        examples::same(
            &ErrorBody { message: "the mesh \"apps\" does not exist".to_owned() },
            examples::ERROR,
        );
    }
}
