//! The grammar of RE2 as Envoy uses it: Perl's syntax, `$` at the end of the text alone. Pure.

use std::collections::BTreeSet;

use super::size::Part;
use super::{Fault, class, shown};

/// The most that a repetition with a count may be, and the counts of nested ones multiplied.
const REPEATS: u32 = 1000;

/// How large the program of `pattern` gets at most, in RE2's count.
///
/// # Errors
/// The first thing that RE2 does not take.
pub fn program_size(pattern: &str) -> Result<u32, Fault> {
    whole(pattern).map(Part::program)
}

/// The pattern as one part.
pub(super) fn whole(pattern: &str) -> Result<Part, Fault> {
    let mut parser = Parser::new(pattern);
    let part = parser.alternatives()?;
    match parser.peek() {
        None => Ok(part),
        Some(_) => {
            Err(parser
                .fault(parser.at, "closes a group that nothing opens; write \\) for the character itself"))
        }
    }
}

/// The flags that change what is matched; `m` and `U` change neither syntax nor size.
#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) fold: bool,
    pub(super) any_newline: bool,
}

/// Where in the pattern, by characters.
pub(super) struct Parser {
    pattern: Vec<char>,
    pub(super) at: usize,
    pub(super) flags: Flags,
    /// Whether between `\Q` and `\E`.
    quoted: bool,
    /// The names of the groups so far.
    pub(super) names: BTreeSet<String>,
}

/// What was read last, to which a repetition applies.
enum Last {
    /// Nothing that can be repeated.
    Nothing,
    One(Part),
    /// Something repeated already.
    Repeated(Part),
}

impl Last {
    /// The same behind flags or the end of a quotation, as RE2 has it: a repetition applies to what came before, repeated or not.
    fn settled(self) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::One(part) | Self::Repeated(part) => Self::One(part),
        }
    }
}

impl Parser {
    fn new(pattern: &str) -> Self {
        Self {
            pattern: pattern.chars().collect(),
            at: 0,
            flags: Flags::default(),
            quoted: false,
            names: BTreeSet::new(),
        }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.pattern.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    /// The character after [`Self::peek`]'s.
    pub(super) fn after_next(&self) -> Option<char> {
        self.pattern.get(self.at + 1).copied()
    }

    /// Takes `text`, when it is what follows.
    pub(super) fn takes(&mut self, text: &str) -> bool {
        let ends = self.at + text.chars().count();
        let found = self.pattern.get(self.at..ends).is_some_and(|next| text.chars().eq(next.iter().copied()));
        if found {
            self.at = ends;
        }
        found
    }

    /// The text up to and without `end`, which is taken, too; `None`, and nothing taken, when there is no `end`.
    pub(super) fn until(&mut self, end: &str) -> Option<String> {
        let start = self.at;
        while self.at < self.pattern.len() {
            let before = self.at;
            if self.takes(end) {
                return Some(self.pattern.get(start..before).unwrap_or_default().iter().collect());
            }
            self.at += 1;
        }
        self.at = start;
        None
    }

    /// What is wrong with the text from `start` to where the parser is, a character at least.
    pub(super) fn fault(&self, start: usize, words: &str) -> Fault {
        let end = self.at.max(start + 1).min(self.pattern.len());
        let text: String = self.pattern.get(start..end).unwrap_or_default().iter().collect();
        Fault { at: Some(start + 1), words: format!("{} {words}", shown(&text)) }
    }

    pub(super) fn alternatives(&mut self) -> Result<Part, Fault> {
        let mut part = self.sequence()?;
        while self.takes("|") {
            part = part.or(self.sequence()?);
        }
        Ok(part)
    }

    fn sequence(&mut self) -> Result<Part, Fault> {
        let mut before: Option<Part> = None;
        let mut last = Last::Nothing;
        while let Some(next) = self.peek().filter(|next| self.quoted || !matches!(next, '|' | ')')) {
            let start = self.at;
            if self.takes(if self.quoted { "\\E" } else { "\\Q" }) {
                self.quoted = !self.quoted;
                last = last.settled();
                continue;
            }
            if let Some((min, max)) = self.repetition(next)? {
                last = Last::Repeated(self.repeat(start, &last, min, max)?);
                continue;
            }
            let Some(one) = self.one()? else {
                last = last.settled();
                continue;
            };
            if let Last::One(part) | Last::Repeated(part) = last {
                before = Some(before.map_or(part, |before| before.then(part)));
            }
            last = Last::One(one);
        }
        if let Last::One(part) | Last::Repeated(part) = last {
            before = Some(before.map_or(part, |before| before.then(part)));
        }
        Ok(before.unwrap_or(Part::EMPTY))
    }

    /// The bounds of the repetition that follows, if one does. Braces without a count are text.
    fn repetition(&mut self, next: char) -> Result<Option<(u32, Option<u32>)>, Fault> {
        let bounds = match next {
            _ if self.quoted => None,
            '*' => Some((0, None)),
            '+' => Some((1, None)),
            '?' => Some((0, Some(1))),
            '{' => return self.counted(),
            _ => None,
        };
        self.at += usize::from(bounds.is_some());
        Ok(bounds)
    }

    fn counted(&mut self) -> Result<Option<(u32, Option<u32>)>, Fault> {
        let start = self.at;
        self.at += 1;
        let bounds = self.count().and_then(|min| {
            let max = match (self.takes(","), self.peek()) {
                (false, _) => Some(min),
                (true, Some('}')) => None,
                (true, _) => Some(self.count()?),
            };
            self.takes("}").then_some((min, max))
        });
        let Some((min, max)) = bounds else {
            self.at = start;
            return Ok(None);
        };
        if max.is_some_and(|max| max < min) {
            return Err(self.fault(start, "ends before it begins; the lower count comes first"));
        }
        if min.max(max.unwrap_or(0)) > REPEATS {
            return Err(self.fault(start, &too_often()));
        }
        Ok(Some((min, max)))
    }

    /// A count without leading zeros; a number too large for `u32` is as one that is too large for RE2.
    fn count(&mut self) -> Option<u32> {
        let start = self.at;
        while self.peek().is_some_and(|next| next.is_ascii_digit()) {
            self.at += 1;
        }
        let digits: String = self.pattern.get(start..self.at)?.iter().collect();
        if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
            return None;
        }
        Some(digits.parse().unwrap_or(u32::MAX))
    }

    fn repeat(&mut self, start: usize, last: &Last, min: u32, max: Option<u32>) -> Result<Part, Fault> {
        self.takes("?");
        let part = match last {
            Last::One(part) => part.repeated(min, max),
            Last::Nothing => {
                return Err(
                    self.fault(start, "repeats nothing; put a backslash before it for the character itself")
                );
            }
            Last::Repeated(_) => {
                return Err(self.fault(start, "follows another repetition: RE2 has neither possessive nor stacked ones; leave one of them out, or put what is repeated twice into (?:…)"));
            }
        };
        if part.repeats > REPEATS {
            return Err(self.fault(start, &too_often()));
        }
        Ok(part)
    }

    /// What comes before the next repetition; `None` when it is nothing that one applies to, such as flags.
    fn one(&mut self) -> Result<Option<Part>, Fault> {
        let start = self.at;
        Ok(Some(match self.next() {
            Some(literal) if self.quoted => self.literal(literal),
            Some('(') => return self.group(start),
            Some('[') => class::part(&self.bracket(start)?),
            Some('.') => class::part(&class::any(self.flags.any_newline)),
            Some('^' | '$') => Part::ASSERTION,
            Some('\\') => self.escaped(start)?,
            Some(literal) => self.literal(literal),
            None => return Ok(None),
        }))
    }
}

fn too_often() -> String {
    format!("repeats more than {REPEATS} times, which is RE2's bound, nested counts multiplied; use * or +")
}
