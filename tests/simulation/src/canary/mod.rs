//! A world for canaries, and what examples are written with.

pub mod fixtures;
mod view;
pub mod world;
