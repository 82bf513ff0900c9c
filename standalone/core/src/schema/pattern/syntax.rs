//! What RE2 does not take, in the words of Go's `regexp`.

/// Repeats that RE2 takes at most.
const MAX_REPEAT: u32 = 1000;

/// What is wrong with the syntax of a pattern, if it is; what names of classes there are is not looked at.
pub(super) fn problem(source: &str) -> Option<String> {
    let mut scan = Scan { source, at: 0, open: 0, operand: false, repeated: None };
    loop {
        match scan.step() {
            Ok(true) => {}
            Ok(false) => return (scan.open > 0).then(|| said("missing closing )", source)),
            Err(problem) => return Some(problem),
        }
    }
}

fn said(what: &str, part: &str) -> String {
    format!("{what}: `{part}`")
}

struct Scan<'p> {
    source: &'p str,
    at: usize,
    /// Groups that are open.
    open: usize,
    /// Whether there is something that can be repeated.
    operand: bool,
    /// Where the last repetition begins, if it ends here.
    repeated: Option<usize>,
}

impl<'p> Scan<'p> {
    fn rest(&self) -> &'p str {
        self.source.get(self.at..).unwrap_or_default()
    }

    /// Takes one item; false at the end.
    fn step(&mut self) -> Result<bool, String> {
        let Some(character) = self.rest().chars().next() else { return Ok(false) };
        match character {
            '*' | '+' | '?' => self.repetition(1)?,
            '{' => match repeat(self.rest()) {
                Some(count) => self.repetition(count?)?,
                None => self.item(1),
            },
            '(' => self.group()?,
            ')' => {
                if self.open == 0 {
                    return Err(said("unexpected )", self.source));
                }
                self.open -= 1;
                self.item(1);
            }
            '|' => {
                self.item(1);
                self.operand = false;
            }
            '[' => self.class()?,
            '\\' => {
                let length = escape(self.rest())?;
                self.item(length);
            }
            other => self.item(other.len_utf8()),
        }
        Ok(true)
    }

    fn item(&mut self, length: usize) {
        self.at += length;
        self.operand = true;
        self.repeated = None;
    }

    fn repetition(&mut self, length: usize) -> Result<(), String> {
        let lazy = self.rest().get(length..).is_some_and(|rest| rest.starts_with('?'));
        let end = self.at + length + usize::from(lazy);
        let part = |from: usize| self.source.get(from..end).unwrap_or_default();
        if !self.operand {
            return Err(said("missing argument to repetition operator", part(self.at)));
        }
        if let Some(from) = self.repeated {
            return Err(said("invalid nested repetition operator", part(from)));
        }
        self.repeated = Some(self.at);
        self.at = end;
        Ok(())
    }

    fn group(&mut self) -> Result<(), String> {
        let rest = self.rest();
        let length = if rest.starts_with("(?P<") || rest.starts_with("(?<") {
            let end = rest.find('>').ok_or_else(|| said("invalid named capture", rest))?;
            let name = rest.get(..end).and_then(|head| head.split_once('<')).map_or("", |(_, name)| name);
            let word = |character: char| character.is_ascii_alphanumeric() || character == '_';
            if name.is_empty() || !name.chars().all(word) {
                return Err(said("invalid named capture", rest.get(..=end).unwrap_or_default()));
            }
            end + 1
        } else if rest.starts_with("(?") {
            flags(rest)?
        } else {
            1
        };
        let is_flags_alone = rest.get(..length).is_some_and(|group| group.ends_with(')'));
        self.at += length;
        self.repeated = None;
        if !is_flags_alone {
            self.open += 1;
            self.operand = false;
        }
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        let rest = self.rest();
        let unclosed = || said("missing closing ]", rest);
        let mut at = if rest.starts_with("[^") { 2 } else { 1 };
        let mut first = true;
        loop {
            let here = rest.get(at..).unwrap_or_default();
            match here.chars().next().ok_or_else(unclosed)? {
                ']' if !first => break,
                '[' if here.starts_with("[:") && here.contains(":]") => at += named(here)?,
                _ => at += range(here).map_err(|error| error.unwrap_or_else(unclosed))?,
            }
            first = false;
        }
        self.item(at + 1);
        Ok(())
    }
}

/// The length of `[:name:]`.
fn named(here: &str) -> Result<usize, String> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
        "upper", "word", "xdigit",
    ];
    let length = here.find(":]").unwrap_or_default() + 2;
    let name = here.get(2..length - 2).unwrap_or_default().trim_start_matches('^');
    if NAMES.contains(&name) {
        return Ok(length);
    }
    Err(said("invalid character class range", here.get(..length).unwrap_or_default()))
}

/// The length of a character or a range in a class; an error without words is a class that is not closed.
fn range(rest: &str) -> Result<usize, Option<String>> {
    let single = |rest: &str| -> Result<(usize, Option<char>), Option<String>> {
        let character = rest.chars().next().ok_or(None)?;
        if character != '\\' {
            return Ok((character.len_utf8(), Some(character)));
        }
        let length = escape(rest).map_err(Some)?;
        let escaped = rest.chars().nth(1).filter(|escaped| length == 2 && escaped.is_ascii_punctuation());
        Ok((length, escaped))
    };
    let (length, low) = single(rest)?;
    let after = rest.get(length..).unwrap_or_default();
    if !after.starts_with('-') || after.starts_with("-]") {
        return Ok(length);
    }
    let (more, high) = single(after.get(1..).unwrap_or_default())?;
    let all = length + 1 + more;
    match (low, high) {
        (Some(low), Some(high)) if low > high => {
            Err(Some(said("invalid character class range", rest.get(..all).unwrap_or_default())))
        }
        _ => Ok(all),
    }
}

/// The length of an escape.
fn escape(rest: &str) -> Result<usize, String> {
    let Some(escaped) = rest.chars().nth(1) else {
        return Err(said("trailing backslash at end of expression", ""));
    };
    let invalid = |length: usize| said("invalid escape sequence", rest.get(..length).unwrap_or(rest));
    match escaped {
        'x' => hexadecimal(rest, invalid),
        'p' | 'P' if rest.get(2..).is_some_and(|name| name.starts_with('{')) => {
            rest.find('}').map(|end| end + 1).ok_or_else(|| said("invalid character class range", rest))
        }
        'p' | 'P' => Ok(2 + rest.chars().nth(2).map_or(0, char::len_utf8)),
        '0' => Ok(2),
        '1'..='7' if rest.chars().nth(2).is_some_and(|next| ('0'..='7').contains(&next)) => Ok(3),
        'A' | 'b' | 'B' | 'C' | 'z' | 'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'Q' | 'E' | 'a' | 'f' | 'n'
        | 'r' | 't' | 'v' => Ok(2),
        other if other.is_ascii_alphanumeric() || !other.is_ascii() => Err(invalid(1 + other.len_utf8())),
        _ => Ok(2),
    }
}

fn hexadecimal(rest: &str, invalid: impl Fn(usize) -> String) -> Result<usize, String> {
    let digits = rest.get(2..).unwrap_or_default();
    let Some(braced) = digits.strip_prefix('{') else {
        let both = digits.get(..2).is_some_and(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        return if both { Ok(4) } else { Err(invalid(4.min(rest.len()))) };
    };
    let mut value = 0_u32;
    for (at, digit) in braced.char_indices() {
        match digit.to_digit(16) {
            Some(digit) => value = value.saturating_mul(16).saturating_add(digit),
            None if digit == '}' && at > 0 => return Ok(at + 4),
            None => return Err(invalid(at + 4)),
        }
        if value > 0x0010_FFFF {
            return Err(invalid(at + 4));
        }
    }
    Err(invalid(rest.len()))
}

/// The length of `{n}`, `{n,}` or `{n,m}`; none for a brace that is a character.
pub(super) fn repeat(rest: &str) -> Option<Result<usize, String>> {
    let end = rest.find('}')?;
    let inner = rest.get(1..end)?;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        (is_number && (text == "0" || !text.starts_with('0'))).then(|| text.parse().unwrap_or(u32::MAX))
    };
    let (least, most) = match inner.split_once(',') {
        None => (number(inner)?, Some(number(inner)?)),
        Some((least, "")) => (number(least)?, None),
        Some((least, most)) => (number(least)?, Some(number(most)?)),
    };
    let is_wrong = least > MAX_REPEAT || most.is_some_and(|most| most > MAX_REPEAT || most < least);
    Some(if is_wrong {
        Err(said("invalid repeat count", rest.get(..=end).unwrap_or_default()))
    } else {
        Ok(end + 1)
    })
}

/// The length of `(?flags)` or `(?flags:`.
fn flags(rest: &str) -> Result<usize, String> {
    let unsupported =
        |length: usize| said("invalid or unsupported Perl syntax", rest.get(..length).unwrap_or(rest));
    let mut negated = false;
    let mut any = false;
    for (at, flag) in rest.char_indices().skip(2) {
        match flag {
            'i' | 'm' | 's' | 'U' => any = true,
            '-' if !negated => {
                negated = true;
                any = false;
            }
            ':' | ')' if !negated || any => return Ok(at + 1),
            other => return Err(unsupported(at + other.len_utf8())),
        }
    }
    Err(said("missing closing )", rest))
}
