//! How many tags a resource may have. Pure.

use fleetmesh_model::tag::MAX_TAGS;

use crate::refusal::{Class, Refusal};

/// Refuses more tags than a resource may have, as `class`: the model has a class of its own for it in TagResource only.
///
/// # Errors
/// There are more; the message says how many.
pub fn tag_count(class: Class, count: usize) -> Result<(), Refusal> {
    if count <= MAX_TAGS {
        return Ok(());
    }
    let message = format!("tags: a resource has at most {MAX_TAGS} tags, this would make {count}");
    Err(Refusal::new(class, message))
}
