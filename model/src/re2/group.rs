//! Groups, flags, and what looks like a group in other dialects. Pure.

use super::Fault;
use super::parse::Parser;
use super::size::Part;

/// What begins like a group and is none to RE2, and why.
const FOREIGN: [(&str, &str); 10] = [
    ("?<=", LOOKAROUND),
    ("?<!", LOOKAROUND),
    ("?=", LOOKAROUND),
    ("?!", LOOKAROUND),
    ("?P=", REFERENCE),
    ("?P>", REFERENCE),
    ("?>", "is an atomic group, which RE2 does not have: it never tries again; write (?:"),
    ("?|", "is a branch reset, which RE2 does not have; write (?:"),
    ("?#", "is a comment, which RE2 does not have; leave it out"),
    ("?(", "is a condition, which RE2 does not have; write the alternatives out"),
];
const LOOKAROUND: &str = "looks around, which RE2 cannot: to keep requests out, give them a route of their own with a smaller priority; else write out what is to match";
pub(super) const REFERENCE: &str = "refers to another group, which RE2 cannot; write out what is to match";

impl Parser {
    /// A group, whose parenthesis is taken, or flags, which are no part (`None`).
    pub(super) fn group(&mut self, start: usize) -> Result<Option<Part>, Fault> {
        for (beginning, why) in FOREIGN {
            if self.takes(beginning) {
                return Err(self.fault(start, why));
            }
        }
        let outside = self.flags;
        let captured = if self.takes("?P<") || self.takes("?<") {
            self.name(start)?;
            true
        } else if self.takes("?") {
            if !self.flags(start)? {
                return Ok(None);
            }
            false
        } else {
            true
        };
        let part = self.alternatives()?;
        if !self.takes(")") {
            self.at = start + 1;
            return Err(
                self.fault(start, "is missing its ): close it, or write \\( for the character itself")
            );
        }
        self.flags = outside;
        Ok(Some(if captured { part.captured() } else { part }))
    }

    /// Takes a group's name and the `>` after it.
    fn name(&mut self, start: usize) -> Result<(), Fault> {
        let Some(name) = self.until(">") else {
            return Err(self.fault(
                start,
                "is a name without its >; write (?P<name>…), or (?:…) for a group without one",
            ));
        };
        if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            return Err(
                self.fault(start, "is no name: RE2 takes letters, digits and underscores; or write (?:…)")
            );
        }
        if !self.names.insert(name) {
            return Err(self.fault(start, "is a name twice; give each group its own, or write (?:…)"));
        }
        Ok(())
    }

    /// Takes flags, for the rest of the group; true when they begin a group of their own.
    fn flags(&mut self, start: usize) -> Result<bool, Fault> {
        let mut flags = self.flags;
        let (mut on, mut any) = (true, true);
        loop {
            match self.next() {
                Some('i') => flags.fold = on,
                Some('s') => flags.any_newline = on,
                Some('m' | 'U') => {}
                Some('-') if on => {
                    (on, any) = (false, false);
                    continue;
                }
                Some(end @ (':' | ')')) if any => {
                    self.flags = flags;
                    return Ok(end == ':');
                }
                _ => return Err(self.fault(start, "is no group of RE2's; its flags are i, m, s and U, as in (?i) or (?i:…); write \\( for the character itself")),
            }
            any = true;
        }
    }
}
