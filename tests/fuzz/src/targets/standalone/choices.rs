//! An input as choices: each byte decides one thing, and when none is left the first alternative is taken. So every input is
//! well-formed, and both engines mutate what was decided.

use serde_json::{Map, Number, Value};

/// How deep a drawn value is at the most.
const DEEPEST: usize = 5;
/// The members of an object and the items of a list at the most.
const MOST: usize = 4;
/// Numbers at which arithmetic breaks.
const NUMBERS: [i64; 6] = [0, 1, -1, 65_536, i64::MAX, i64::MIN];

/// The bytes that are left.
pub(super) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte; 0 when there is none.
    pub(super) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()).checked_rem(bound).unwrap_or_default()
    }

    /// One of these.
    pub(super) fn of<T: Copy + Default>(&mut self, all: &[T]) -> T {
        all.get(self.below(all.len())).copied().unwrap_or_default()
    }

    /// A value of JSON. Its members have these names, and its texts are these.
    pub(super) fn value(&mut self, names: &[&str], texts: &[&str]) -> Value {
        self.value_within(names, texts, DEEPEST)
    }

    fn value_within(&mut self, names: &[&str], texts: &[&str], depth: usize) -> Value {
        match self.below(12) {
            0 => Value::Null,
            1 => Value::Bool(self.byte().is_multiple_of(2)),
            2 => Value::Number(Number::from(self.of(&NUMBERS))),
            3 | 4 => Value::String(self.of(texts).to_owned()),
            5..=7 if depth > 0 => {
                let count = self.below(MOST);
                Value::Array((0..count).map(|_| self.value_within(names, texts, depth - 1)).collect())
            }
            _ if depth > 0 => Value::Object(self.object(names, texts, depth - 1)),
            _ => Value::Object(Map::new()),
        }
    }

    fn object(&mut self, names: &[&str], texts: &[&str], depth: usize) -> Map<String, Value> {
        let count = self.below(MOST) + 1;
        let member = |_| (self.of(names).to_owned(), self.value_within(names, texts, depth));
        (0..count).map(member).collect()
    }
}
