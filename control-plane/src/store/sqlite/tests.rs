//! Tests of the SQLite store: durability, compare and set, tokens, locks and damaged files.
