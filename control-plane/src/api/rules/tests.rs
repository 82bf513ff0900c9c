//! Tests of the rules between objects.
