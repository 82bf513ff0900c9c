//! RE2, the engine of Envoy's regular expressions: whether it takes a pattern, and how large its program gets at most.
//!
//! Envoy refuses a whole route configuration for one pattern in it that RE2 does not take or whose program is too large, so what
//! it would refuse must not be stored. The grammar is read here as RE2 reads it (its `doc/syntax.txt` and `parse.cc`), not by
//! a parser of another dialect: to RE2 `[a&&b]` and `[[a]` are plain classes and `{id}` is text. Of `regex-syntax` come the Unicode
//! tables and the UTF-8 sequences. Envoys differ in whether RE2 reads UTF-8 or bytes (Latin-1), as 1.40 does: what is taken here RE2
//! takes as both, and its program is no larger. Tests compare both answers with RE2's own. Pure.

mod class;
mod escape;
mod group;
mod parse;
mod size;

use std::fmt;

use parse::{program_size, whole};

/// The largest program that proxies with our bootstrap take: the value of Envoy's runtime key
/// `re2.max_program_size.error_level` there.
pub const PROGRAM_SIZE_LIMIT: u32 = 1000;

/// The largest program that proxies with another bootstrap take: Envoy's default of that key.
pub const DEFAULT_PROGRAM_SIZE_LIMIT: u32 = 100;

/// Why RE2 or Envoy does not take a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The character at which it is, counted from 1; `None` when it is in the whole.
    pub at: Option<usize>,
    /// What is wrong, and what to write instead.
    pub words: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "at character {at}: {}", self.words),
            None => f.write_str(&self.words),
        }
    }
}

/// The most that the program of `pattern` has, when proxies with our bootstrap take it.
///
/// # Errors
/// The first fault: of the syntax, or that the program may be larger than [`PROGRAM_SIZE_LIMIT`].
pub fn check(pattern: &str) -> Result<u32, Fault> {
    let size = program_size(pattern)?;
    if size <= PROGRAM_SIZE_LIMIT {
        return Ok(size);
    }
    Err(Fault {
        at: None,
        words: format!(
            "RE2 may need a program of {size} instructions for it and Envoy takes {PROGRAM_SIZE_LIMIT}; repeat with * or + in place of a count, name ASCII characters in place of Unicode classes and of ., or match a prefix"
        ),
    })
}

/// What is certain of the texts that a pattern matches as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Whether one of them may begin with a slash. Without it none does.
    pub(crate) slash: bool,
    /// Whether all of them have a question mark or a number sign.
    pub(crate) query: bool,
}

/// What the texts have in common that `pattern` matches.
///
/// # Errors
/// As of [`check`].
pub(crate) fn reach(pattern: &str) -> Result<Reach, Fault> {
    check(pattern)?;
    let part = whole(pattern)?;
    Ok(Reach { slash: part.slash, query: part.query })
}

/// A pattern in quotes as people read it: its backslashes once, its control characters as escapes.
pub(crate) fn shown(pattern: &str) -> String {
    let mut shown = String::from('"');
    for character in pattern.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown.push('"');
    shown
}

#[cfg(test)]
mod tests;
