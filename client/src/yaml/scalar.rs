//! Texts: plain where a reader takes them for texts, else in quotes, and literal where they have several lines.

use super::Out;

/// The column behind which a line breaks at the next blank.
const WIDTH: usize = 80;

/// What a text has that decides how it may be written.
#[derive(Default)]
struct Traits {
    /// A reader would take it for the beginning of something else.
    is_indicator: bool,
    /// It has letters that have to be escaped.
    is_special: bool,
    is_multiline: bool,
    begins_or_ends_blank: bool,
    ends_with_space: bool,
    /// A line begins with a blank.
    break_space: bool,
    /// A line ends with a blank.
    space_break: bool,
}

impl Traits {
    fn of(text: &str) -> Self {
        let letters: Vec<char> = text.chars().collect();
        let mut traits = Self {
            is_indicator: ["---", "..."].iter().any(|mark| text.starts_with(mark)),
            ..Self::default()
        };
        let mut before = None;
        for (at, letter) in letters.iter().copied().enumerate() {
            let next = letters.get(at + 1).copied();
            let is_followed_by_blank = next.is_none_or(is_blank);
            traits.is_indicator |= match letter {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                | '`'
                    if at == 0 =>
                {
                    true
                }
                '?' | '-' if at == 0 => is_followed_by_blank,
                ':' => is_followed_by_blank,
                '#' => before.is_none_or(is_blank),
                _ => false,
            };
            traits.is_special |= !is_printable(letter);
            if is_break(letter) {
                traits.is_multiline = true;
                traits.space_break |= before == Some(' ');
            } else if letter == ' ' {
                traits.break_space |= before.is_some_and(is_break);
                traits.ends_with_space |= next.is_none();
            }
            traits.begins_or_ends_blank |= (at == 0 || next.is_none()) && (letter == ' ' || is_break(letter));
            before = Some(letter);
        }
        traits
    }

    fn may_be_plain(&self) -> bool {
        !(self.is_indicator || self.is_multiline || self.begins_or_ends_blank || self.may_not_be_single())
    }

    fn may_not_be_single(&self) -> bool {
        self.break_space || self.space_break || self.is_special
    }

    fn may_be_literal(&self) -> bool {
        !(self.ends_with_space || self.space_break || self.is_special)
    }
}

fn is_break(letter: char) -> bool {
    matches!(letter, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(letter: char) -> bool {
    letter == ' ' || letter == '\t' || is_break(letter)
}

fn is_printable(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && letter != '\u{feff}'
}

/// The name of a member.
pub(super) fn key(out: &mut Out, name: &str) {
    let traits = Traits::of(name);
    if is_other(name) || traits.is_multiline {
        double(out, name, None);
    } else if traits.may_be_plain() && !name.is_empty() {
        out.write(name);
    } else if traits.may_not_be_single() {
        double(out, name, None);
    } else {
        single(out, name, None);
    }
}

/// A text. Its further lines are indented by `indent`.
pub(super) fn text(out: &mut Out, text: &str, indent: usize) {
    let traits = Traits::of(text);
    if text.contains('\n') {
        if traits.may_be_literal() { literal(out, text, indent) } else { double(out, text, Some(indent)) }
    } else if is_other(text) {
        double(out, text, Some(indent));
    } else if traits.may_be_plain() {
        plain(out, text, indent);
    } else if traits.may_not_be_single() {
        double(out, text, Some(indent));
    } else {
        single(out, text, Some(indent));
    }
}

/// Whether a reader of YAML 1.1 would take a plain text for something else than a text.
fn is_other(text: &str) -> bool {
    const WORDS: [&str; 33] = [
        "", "~", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE", "y", "Y", "yes",
        "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF", ".nan", ".NaN",
        ".NAN", ".inf", ".Inf", ".INF",
    ];
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if WORDS.contains(&text) || [".inf", ".Inf", ".INF"].contains(&unsigned) {
        return true;
    }
    match text.chars().next() {
        Some('.') => is_float(text),
        Some('0'..='9' | '+' | '-') => is_number(text) || is_sexagesimal(unsigned) || is_time(text),
        _ => false,
    }
}

fn is_number(text: &str) -> bool {
    let plain = text.replace('_', "");
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let radix = |prefixes: [&str; 2], base| {
        prefixes.iter().any(|prefix| {
            let digits = unsigned.strip_prefix(prefix);
            digits.is_some_and(|digits| u64::from_str_radix(digits, base).is_ok())
        })
    };
    let is_octal =
        unsigned.len() > 1 && unsigned.starts_with('0') && u64::from_str_radix(unsigned, 8).is_ok();
    let is_decimal = !(unsigned.len() > 1 && unsigned.starts_with('0')) && unsigned.parse::<u64>().is_ok();
    is_octal
        || is_decimal
        || radix(["0x", "0X"], 16)
        || radix(["0b", "0B"], 2)
        || radix(["0o", "0O"], 8)
        || is_float(&plain)
}

/// Digits with at most one point, and an exponent.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_mantissa = are_digits(whole) && are_digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let is_exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && are_digits(digits)
    });
    is_mantissa && is_exponent
}

/// Numbers to the base of 60, such as 12:30:45.
fn is_sexagesimal(unsigned: &str) -> bool {
    let mut parts = unsigned.split(':');
    let first = parts.next().unwrap_or_default();
    let is_first = first.starts_with(|letter: char| letter.is_ascii_digit())
        && first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return false };
    let is_part = |part: &str| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    let (whole, fraction) = last.split_once('.').unwrap_or((last, ""));
    let is_fraction = fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    is_first && middle.iter().all(|part| is_part(part)) && is_part(whole) && is_fraction
}

/// A date, or a date and a time.
fn is_time(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    let is_of = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let Some(time) = time else {
        return is_of(year, 4..=4)
            && format!("{year}-{month:0>2}-{day:0>2}").parse::<jiff::civil::Date>().is_ok();
    };
    let is_date = is_of(year, 4..=4) && is_of(month, 1..=2) && is_of(day, 1..=2);
    let is_clock = time.starts_with(|letter: char| letter.is_ascii_digit()) && time.contains(':');
    // With a T there has to be a zone, and without one there must not.
    let has_zone = time.ends_with('Z') || time.contains(['+', '-']);
    is_date && is_clock && has_zone != text.contains(' ')
}

/// Breaks the line in the place of a blank, if it is long enough.
fn breaks(out: &Out, letters: &[char], at: usize, was_space: bool) -> bool {
    out.column > WIDTH && !was_space && letters.get(at + 1) != Some(&' ')
}

fn plain(out: &mut Out, text: &str, indent: usize) {
    let letters: Vec<char> = text.chars().collect();
    let mut was_space = false;
    for (at, letter) in letters.iter().copied().enumerate() {
        if letter == ' ' && breaks(out, &letters, at, was_space) {
            out.line(indent);
        } else {
            out.put(letter);
        }
        was_space = letter == ' ';
    }
}

fn single(out: &mut Out, text: &str, indent: Option<usize>) {
    let letters: Vec<char> = text.chars().collect();
    let mut was_space = false;
    out.put('\'');
    for (at, letter) in letters.iter().copied().enumerate() {
        let is_inside = at > 0 && at + 1 < letters.len();
        match indent {
            Some(indent) if letter == ' ' && is_inside && breaks(out, &letters, at, was_space) => {
                out.line(indent)
            }
            _ => {
                if letter == '\'' {
                    out.put('\'');
                }
                out.put(letter);
            }
        }
        was_space = letter == ' ';
    }
    out.put('\'');
}

fn double(out: &mut Out, text: &str, indent: Option<usize>) {
    let letters: Vec<char> = text.chars().collect();
    let mut was_space = false;
    out.put('"');
    for (at, letter) in letters.iter().copied().enumerate() {
        let is_inside = at > 0 && at + 1 < letters.len();
        match indent {
            Some(indent) if letter == ' ' && is_inside && !was_space && out.column > WIDTH => {
                out.line(indent);
                if letters.get(at + 1) == Some(&' ') {
                    out.put('\\');
                }
            }
            _ => escaped(out, letter),
        }
        was_space = letter == ' ';
    }
    out.put('"');
}

fn escaped(out: &mut Out, letter: char) {
    let short = match letter {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ if is_printable(letter) => return out.put(letter),
        _ => {
            let code = u32::from(letter);
            return out.write(&match code {
                ..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            });
        }
    };
    out.put('\\');
    out.put(short);
}

fn literal(out: &mut Out, text: &str, indent: usize) {
    out.put('|');
    if text.starts_with([' ', '\n']) {
        out.put('2');
    }
    if !text.ends_with('\n') {
        out.put('-');
    } else if text == "\n" || text.ends_with("\n\n") {
        out.put('+');
    }
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.put('\n');
        if !line.is_empty() {
            while out.column < indent {
                out.put(' ');
            }
            out.write(line);
        }
    }
}
