//! What Go's `encoding/json` says of text that is no JSON: its scanner, state by state, as messages name the state.

use super::quote;

/// Where the scanner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Text,
    Escape,
    /// In `\u`: so many digits are left.
    Hexadecimal(u8),
    Minus,
    Zero,
    Digits,
    Dot,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    /// In a literal: what is left of it.
    Literal(&'static str, usize),
    /// Behind a value.
    End,
}

/// In what the next value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    ObjectKey,
    ObjectValue,
    List,
}

/// What is wrong with the syntax of `text` in Go's words; nothing when it is one JSON value.
pub fn syntax_error(text: &[u8]) -> Option<String> {
    let mut scanner = Scanner { state: State::Value, within: Vec::new() };
    // As at the end of the text, where Go looks what a space would do.
    for letter in text.iter().copied().chain([b' ']) {
        if let Err(context) = scanner.step(letter) {
            return Some(format!("invalid character {} {context}", character(letter)));
        }
    }
    let is_whole = scanner.state == State::End && scanner.within.is_empty();
    (!is_whole).then(|| "unexpected end of JSON input".to_owned())
}

/// A byte as these messages quote it.
fn character(letter: u8) -> String {
    match letter {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        _ => {
            let quoted = quote(&char::from(letter).to_string());
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}

struct Scanner {
    state: State,
    within: Vec<Within>,
}

const BAD_VALUE: &str = "looking for beginning of value";

impl Scanner {
    fn step(&mut self, letter: u8) -> Result<(), String> {
        let is_space = matches!(letter, b' ' | b'\t' | b'\r' | b'\n');
        self.state = match self.state {
            State::Value | State::ValueOrEnd | State::Key | State::KeyOrEnd if is_space => return Ok(()),
            State::ValueOrEnd if letter == b']' => return self.close(),
            State::Value | State::ValueOrEnd => self.begin(letter)?,
            State::KeyOrEnd if letter == b'}' => return self.close(),
            State::Key | State::KeyOrEnd if letter == b'"' => State::Text,
            State::Key | State::KeyOrEnd => return Err("looking for beginning of object key string".into()),
            State::Text | State::Escape | State::Hexadecimal(_) => self.text(letter)?,
            State::Literal(word, at) => literal(word, at, letter)?,
            State::End => return self.end(letter),
            _ => match number(self.state, letter)? {
                Some(next) => next,
                None => {
                    self.state = State::End;
                    return self.end(letter);
                }
            },
        };
        Ok(())
    }

    /// The first byte of a value.
    fn begin(&mut self, letter: u8) -> Result<State, String> {
        Ok(match letter {
            b'{' => {
                self.within.push(Within::ObjectKey);
                State::KeyOrEnd
            }
            b'[' => {
                self.within.push(Within::List);
                State::ValueOrEnd
            }
            b'"' => State::Text,
            b'-' => State::Minus,
            b'0' => State::Zero,
            b'1'..=b'9' => State::Digits,
            b't' => State::Literal("true", 1),
            b'f' => State::Literal("false", 1),
            b'n' => State::Literal("null", 1),
            _ => return Err(BAD_VALUE.into()),
        })
    }

    fn text(&self, letter: u8) -> Result<State, String> {
        match (self.state, letter) {
            (State::Text, b'"') => Ok(State::End),
            (State::Text, b'\\') => Ok(State::Escape),
            (State::Text, 0..0x20) => Err("in string literal".into()),
            (State::Escape, b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => Ok(State::Text),
            (State::Escape, b'u') => Ok(State::Hexadecimal(4)),
            (State::Escape, _) => Err("in string escape code".into()),
            (State::Hexadecimal(left), _) if letter.is_ascii_hexdigit() => {
                Ok(if left > 1 { State::Hexadecimal(left - 1) } else { State::Text })
            }
            (State::Hexadecimal(_), _) => Err(r"in \u hexadecimal character escape".into()),
            _ => Ok(State::Text),
        }
    }

    /// The object or list is over.
    fn close(&mut self) -> Result<(), String> {
        self.within.pop();
        self.state = State::End;
        Ok(())
    }

    /// A byte behind a value.
    fn end(&mut self, letter: u8) -> Result<(), String> {
        if matches!(letter, b' ' | b'\t' | b'\r' | b'\n') {
            return Ok(());
        }
        let expected = match (self.within.last_mut(), letter) {
            (None, _) => "after top-level value",
            (Some(within @ Within::ObjectKey), b':') => {
                *within = Within::ObjectValue;
                self.state = State::Value;
                return Ok(());
            }
            (Some(Within::ObjectKey), _) => "after object key",
            (Some(within @ Within::ObjectValue), b',') => {
                *within = Within::ObjectKey;
                self.state = State::Key;
                return Ok(());
            }
            (Some(Within::ObjectValue), b'}') | (Some(Within::List), b']') => return self.close(),
            (Some(Within::ObjectValue), _) => "after object key:value pair",
            (Some(Within::List), b',') => {
                self.state = State::Value;
                return Ok(());
            }
            (Some(Within::List), _) => "after array element",
        };
        Err(expected.into())
    }
}

fn literal(word: &'static str, at: usize, letter: u8) -> Result<State, String> {
    match word.as_bytes().get(at) {
        Some(expected) if *expected == letter && at + 1 == word.len() => Ok(State::End),
        Some(expected) if *expected == letter => Ok(State::Literal(word, at + 1)),
        Some(expected) => Err(format!("in literal {word} (expecting '{}')", char::from(*expected))),
        None => Ok(State::End),
    }
}

/// The next state within a number; none behind it.
fn number(state: State, letter: u8) -> Result<Option<State>, String> {
    let is_digit = letter.is_ascii_digit();
    let next = match (state, letter) {
        (State::Minus, b'0') => State::Zero,
        (State::Minus | State::Digits, _) if is_digit => State::Digits,
        (State::Minus, _) => return Err("in numeric literal".into()),
        (State::Zero | State::Digits, b'.') => State::Dot,
        (State::Zero | State::Digits | State::Fraction, b'e' | b'E') => State::Exponent,
        (State::Dot | State::Fraction, _) if is_digit => State::Fraction,
        (State::Dot, _) => return Err("after decimal point in numeric literal".into()),
        (State::Exponent, b'+' | b'-') => State::ExponentSign,
        (State::Exponent | State::ExponentSign | State::ExponentDigits, _) if is_digit => {
            State::ExponentDigits
        }
        (State::Exponent | State::ExponentSign, _) => return Err("in exponent of numeric literal".into()),
        _ => return Ok(None),
    };
    Ok(Some(next))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn says_what_go_says() {
        for (text, expected) in [
            ("", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            ("{\"a\"", "unexpected end of JSON input"),
            ("\"a", "unexpected end of JSON input"),
            ("x", "invalid character 'x' looking for beginning of value"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("{a", "invalid character 'a' looking for beginning of object key string"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("{\"a\" 1", "invalid character '1' after object key"),
            ("{\"a\":1 2", "invalid character '2' after object key:value pair"),
            ("[1 2", "invalid character '2' after array element"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("\"\n\"", "invalid character '\\n' in string literal"),
            ("\"\\q\"", "invalid character 'q' in string escape code"),
            ("\"\\u00g", "invalid character 'g' in \\u hexadecimal character escape"),
            ("-", "invalid character ' ' in numeric literal"),
            ("01", "invalid character '1' after top-level value"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("1e,", "invalid character ',' in exponent of numeric literal"),
            ("trve", "invalid character 'v' in literal true (expecting 'u')"),
            ("'", "invalid character '\\'' looking for beginning of value"),
            ("k8s\0", "invalid character 'k' looking for beginning of value"),
            ("\0", "invalid character '\\x00' looking for beginning of value"),
            ("é", "invalid character 'Ã' looking for beginning of value"),
        ] {
            assert_eq!(syntax_error(text.as_bytes()).as_deref(), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn nesting_is_not_recursion() {
        let text = "[".repeat(3 << 20);
        assert_eq!(syntax_error(text.as_bytes()).as_deref(), Some("unexpected end of JSON input"));
    }

    proptest! {
        /// What serde reads has no error here, and what it cannot read has one.
        #[test]
        fn agrees_with_serde(text in r#"[{}\[\]:,"0-9a-c.eE+\- \\tru]{0,12}"#) {
            let read = serde_json::from_str::<serde::de::IgnoredAny>(&text);
            prop_assert_eq!(syntax_error(text.as_bytes()).is_none(), read.is_ok(), "{} {:?}", text, read.err());
        }
    }
}
