//! Text from others, in the form for log lines and responses: short, printable, and marked as theirs. Pure.

use std::fmt::{self, Write as _};

/// The most characters of it that are shown.
pub const SHOWN: usize = 200;

/// Foreign text: in quotation marks, control characters escaped, at most [`SHOWN`] characters of it, and how long it is when
/// that is not all.
#[derive(Clone, Copy, Debug)]
pub struct Foreign<'a>(pub &'a str);

impl fmt::Display for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        f.write_char('"')?;
        for character in text.chars().take(SHOWN) {
            write!(f, "{}", character.escape_debug())?;
        }
        f.write_char('"')?;
        match text.chars().nth(SHOWN) {
            Some(_) => write!(f, " (the beginning of {} bytes)", text.len()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_short_printable_and_marked() {
        assert_eq!(Foreign("red").to_string(), "\"red\"");
        assert_eq!(Foreign("a\n\u{1b}[2J\"b").to_string(), "\"a\\n\\u{1b}[2J\\\"b\"");
        let long = Foreign(&"é\n".repeat(1_000_000)).to_string();
        assert!(long.len() < 1000 && long.ends_with("\" (the beginning of 3000000 bytes)"), "{long}");
    }
}
