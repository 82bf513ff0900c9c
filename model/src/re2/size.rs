//! How large RE2's program for a part of a pattern gets at most. Pure.
//!
//! RE2 counts the instructions that are left once it has made lists of them: in each list one for each way on, which is a
//! range of bytes, a capture, an assertion or a jump to another list. So a choice costs the jumps that it may need beside its
//! instructions. RE2 also merges what alternatives have in common, which this leaves out: it only makes programs smaller.

/// The program of a part of a pattern.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Instructions, at most.
    size: u32,
    /// Whether it may match the empty string; true when in doubt.
    nullable: bool,
    /// How often its innermost repetition with a count is repeated, all the counts around it multiplied.
    pub(super) repeats: u32,
    /// The ways on in the list that it begins with.
    ways: u32,
    /// Whether a loop is among what it begins with.
    begins_with_loop: bool,
    /// The ways on that are in two lists when the pattern begins with it: those of a loop that begins with a loop.
    doubled: u32,
    /// The instructions for lower-case letters that take upper-case ones, too.
    folded: u32,
    /// Whether it has a letter in one case alone. RE2 may make one class of it and of folded ones, which is then not folded.
    cased: bool,
    /// Whether what it matches may begin with a slash; true when in doubt.
    pub(super) slash: bool,
    /// Whether all that it matches has a question mark or a number sign.
    pub(super) query: bool,
}

/// What every program has: the failure, the start of a search and its loop.
const FRAME: u32 = 4;

impl Part {
    /// The empty string, which may take a jump.
    pub(super) const EMPTY: Self = Self {
        size: 1,
        nullable: true,
        repeats: 1,
        ways: 1,
        begins_with_loop: false,
        doubled: 0,
        folded: 0,
        cased: false,
        slash: false,
        query: false,
    };

    /// An assertion, such as `^`.
    pub(super) const ASSERTION: Self = Self::EMPTY;

    /// Something that takes bytes by so many instructions, `folded` of which take letters in both cases.
    pub(super) fn bytes(size: u32, folded: u32, cased: bool) -> Self {
        Self { size, nullable: false, ways: size, folded, cased, ..Self::EMPTY }
    }

    /// The same, where a slash is among the characters, or where all of them are question marks or number signs.
    pub(super) fn spelled(self, slash: bool, query: bool) -> Self {
        Self { slash, query, ..self }
    }

    /// This and then `next`.
    pub(super) fn then(self, next: Self) -> Self {
        let beginning = if self.nullable { self.or(next) } else { self };
        Self {
            size: self.size.saturating_add(next.size),
            nullable: self.nullable && next.nullable,
            repeats: self.repeats.max(next.repeats),
            folded: self.folded.saturating_add(next.folded),
            cased: self.cased || next.cased,
            query: self.query || next.query,
            ..beginning
        }
    }

    /// This or `other`.
    pub(super) fn or(self, other: Self) -> Self {
        let folded = self.folded.saturating_add(other.folded);
        let unfolded = if self.cased || other.cased { folded } else { 0 };
        Self {
            size: self.size.saturating_add(other.size).saturating_add(unfolded),
            nullable: self.nullable || other.nullable,
            repeats: self.repeats.max(other.repeats),
            ways: self.ways.saturating_add(other.ways),
            begins_with_loop: self.begins_with_loop || other.begins_with_loop,
            doubled: self.doubled.saturating_add(other.doubled),
            folded: folded - unfolded,
            cased: self.cased || other.cased,
            slash: self.slash || other.slash,
            query: self.query && other.query,
        }
    }

    /// As a group that is captured.
    pub(super) fn captured(self) -> Self {
        Self {
            size: self.size.saturating_add(2),
            nullable: self.nullable,
            repeats: self.repeats,
            folded: self.folded,
            cased: self.cased,
            slash: self.slash,
            query: self.query,
            ..Self::EMPTY
        }
    }

    /// From `min` to `max` times; without end when `max` is none.
    pub(super) fn repeated(self, min: u32, max: Option<u32>) -> Self {
        let choice = if self.nullable { 2 } else { 0 };
        let copies = self.size.saturating_mul(min.max(1));
        let size = match max {
            None => copies.saturating_add(choice + if min == 0 { 2 } else { 3 }),
            // Where patterns are read as Latin-1, as Envoy does, it is the last byte of a character alone that goes.
            Some(0) => self.size.max(1),
            Some(max) => {
                let optional = self.size.saturating_add(choice + 1);
                let rest = optional.saturating_mul(max.saturating_sub(min));
                self.size.saturating_mul(min).saturating_add(rest)
            }
        };
        let times = max.unwrap_or(min).max(1);
        let doubled = if max.is_none() && self.begins_with_loop { self.ways } else { 0 };
        Self {
            size,
            nullable: self.nullable || min == 0,
            repeats: self.repeats.saturating_mul(times),
            ways: self.ways.saturating_add(1),
            begins_with_loop: self.begins_with_loop || max.is_none(),
            doubled: self.doubled.saturating_add(doubled),
            query: self.query && min > 0,
            ..self
        }
    }

    /// The size of the whole program.
    pub(super) fn program(self) -> u32 {
        self.size.saturating_add(self.doubled).saturating_add(FRAME)
    }
}
