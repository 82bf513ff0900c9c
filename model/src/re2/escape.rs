//! Characters by their escapes and classes in brackets. Pure.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::group::REFERENCE;
use super::parse::Parser;
use super::size::Part;
use super::{Fault, class};

const UNKNOWN: &str = "is no escape of RE2's; without the backslash it is the character itself";

impl Parser {
    /// A character that stands for itself.
    pub(super) fn literal(&self, literal: char) -> Part {
        class::part(&self.folded(class::of(&[(literal, literal)])))
    }

    /// The class in both cases, when the flags say so.
    fn folded(&self, mut class: ClassUnicode) -> ClassUnicode {
        if self.flags.fold {
            class.case_fold_simple();
        }
        class
    }

    /// What a backslash, which is taken, begins outside of brackets.
    pub(super) fn escaped(&mut self, start: usize) -> Result<Part, Fault> {
        Ok(match self.peek() {
            Some('A' | 'z' | 'b' | 'B') => {
                self.at += 1;
                Part::ASSERTION
            }
            _ => match self.named(start)? {
                Some(class) => class::part(&class),
                None => {
                    let literal = self.character(start)?;
                    self.literal(literal)
                }
            },
        })
    }

    /// The class that the letter after a backslash names, if it is one's.
    fn named(&mut self, start: usize) -> Result<Option<ClassUnicode>, Fault> {
        let Some(letter) = self.peek() else { return Ok(None) };
        if let Some(class) = class::perl(letter.to_ascii_lowercase()) {
            self.at += 1;
            return Ok(Some(self.signed(class, letter.is_ascii_uppercase())));
        }
        if !matches!(letter, 'p' | 'P') {
            return Ok(None);
        }
        self.at += 1;
        let name = if self.takes("{") { self.until("}") } else { self.next().map(String::from) };
        let name = name.unwrap_or_default();
        let (inverse, name) = match name.strip_prefix('^') {
            Some(name) => (true, name),
            None => (false, name.as_str()),
        };
        let Some(class) = class::unicode(name) else {
            return Err(self.fault(start, "is no class that RE2 knows: it has Unicode's general categories, as in \\pL or \\p{Lu}, and scripts, as in \\p{Greek}, written like this"));
        };
        Ok(Some(self.signed(class, inverse != (letter == 'P'))))
    }

    fn signed(&self, class: ClassUnicode, negated: bool) -> ClassUnicode {
        let mut class = self.folded(class);
        if negated {
            class.negate();
        }
        class
    }

    /// The character that an escape stands for, whose backslash is taken.
    fn character(&mut self, start: usize) -> Result<char, Fault> {
        let Some(letter) = self.next() else {
            return Err(self.fault(start, "ends the pattern; write \\\\ for the character itself"));
        };
        let code = match letter {
            'a' => 0x07,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'v' => 0x0b,
            'x' => return self.hexadecimal(start),
            '0'..='7' => return self.octal(start, letter),
            '8' | '9' | 'k' | 'g' => return Err(self.fault(start, REFERENCE)),
            'u' | 'U' => return Err(self.fault(start, "is no escape of RE2's; write the character itself")),
            'Z' => {
                return Err(self.fault(
                    start,
                    "is no escape of RE2's; the whole value has to match anyway: leave it out",
                ));
            }
            literal if literal == '_' || (literal.is_ascii() && !literal.is_ascii_alphanumeric()) => {
                return Ok(literal);
            }
            _ => return Err(self.fault(start, UNKNOWN)),
        };
        Ok(char::from(code))
    }

    fn octal(&mut self, start: usize, first: char) -> Result<char, Fault> {
        let mut digits = String::from(first);
        while let Some(next) = self.peek().filter(|next| digits.len() < 3 && matches!(next, '0'..='7')) {
            digits.push(next);
            self.at += 1;
        }
        if first != '0' && digits.len() == 1 {
            return Err(self.fault(start, REFERENCE));
        }
        self.numbered(start, &digits, 8)
    }

    fn hexadecimal(&mut self, start: usize) -> Result<char, Fault> {
        let in_braces = self.takes("{");
        let digits: String = match in_braces {
            true => self.until("}").unwrap_or_default(),
            false => self.next().into_iter().chain(self.next()).collect(),
        };
        if digits.is_empty()
            || (!in_braces && digits.len() != 2)
            || !digits.chars().all(|digit| digit.is_ascii_hexdigit())
        {
            return Err(self.fault(
                start,
                "needs hexadecimal digits: two, as in \\x2f, or a number in braces, as in \\x{e9}",
            ));
        }
        self.numbered(start, &digits, 16)
    }

    fn numbered(&self, start: usize, digits: &str, radix: u32) -> Result<char, Fault> {
        let byte = u32::from_str_radix(digits, radix).ok().and_then(|number| u8::try_from(number).ok());
        byte.map(char::from).ok_or_else(|| {
            self.fault(start, "is more than \\xff, and Envoy matches bytes; write the character itself")
        })
    }

    /// A class in brackets, of which the first is taken.
    pub(super) fn bracket(&mut self, start: usize) -> Result<ClassUnicode, Fault> {
        let negated = self.takes("^");
        let mut class = ClassUnicode::empty();
        let mut first = true;
        while first || self.peek() != Some(']') {
            if self.peek().is_none() {
                self.at = start + 1;
                return Err(
                    self.fault(start, "is missing its ]: close it, or write \\[ for the character itself")
                );
            }
            first = false;
            class.union(&self.member()?);
        }
        self.at += 1;
        if negated {
            class.negate();
        }
        Ok(class)
    }

    /// One member of a class in brackets: a class or a range.
    fn member(&mut self) -> Result<ClassUnicode, Fault> {
        let start = self.at;
        if self.takes("[:") {
            if let Some(name) = self.until(":]") {
                let (negated, name) = name.strip_prefix('^').map_or((false, &*name), |name| (true, name));
                let class = class::posix(name);
                let class = class.ok_or_else(|| {
                    self.fault(start, "is no class that RE2 knows; one that it knows is [:alpha:]")
                })?;
                return Ok(self.signed(class, negated));
            }
            self.at = start;
        }
        if self.takes("\\") {
            if let Some(class) = self.named(start)? {
                return Ok(class);
            }
            self.at = start;
        }
        let from = self.bound()?;
        let mut to = from;
        if self.peek() == Some('-') && self.after_next().is_some_and(|next| next != ']') {
            self.at += 1;
            to = self.bound()?;
        }
        if to < from {
            return Err(self.fault(
                start,
                "is a range that ends before it begins; put - last in the brackets for the character itself",
            ));
        }
        Ok(self.folded(ClassUnicode::new([ClassUnicodeRange::new(from, to)])))
    }

    /// A character within brackets.
    fn bound(&mut self) -> Result<char, Fault> {
        let start = self.at;
        match self.next() {
            Some('\\') => self.character(start),
            Some(character) => Ok(character),
            None => Err(self.fault(start.saturating_sub(1), "ends within brackets; close them with ]")),
        }
    }
}
