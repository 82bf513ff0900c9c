//! Server-side apply: who owns which fields of an object, and what becomes of them.
//!
//! A [`FieldManager`] is made for one resource, or for one of its subresources. Every write goes through it: an apply by
//! [`FieldManager::apply`], all others by [`FieldManager::update`]. Objects come normalized (`CustomSchema::normalize`), and the
//! result has to be normalized again: fields that an apply takes away may have defaults.

mod check;
mod compare;
mod conflict;
mod element;
mod entries;
mod fields;
mod item;
mod last_applied;
mod managed;
mod manager;
mod merge;
mod ownership;
mod remove;
mod set;
mod types;

pub use conflict::Conflict;
pub use entries::keep_times;
pub use managed::Operation;
pub use manager::{ApplyError, FieldManager, Subresource};
