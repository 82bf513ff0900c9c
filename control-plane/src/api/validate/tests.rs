//! Tests of the validation: tables of what is accepted and what is refused, with the words.

use proptest::prelude::*;
use serde_json::json;

use super::*;
