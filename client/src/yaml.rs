//! YAML as kubectl writes it, which is go-yaml's: blocks, lists that are not indented below their member, quotes where a reader of
//! YAML 1.1 would take a text for something else, and lines that break at the first blank behind column 80.

mod scalar;

use std::cmp::Ordering;

use serde_json::{Map, Value};

/// `value` as a document, with a line break at the end.
pub fn document(value: &Value) -> String {
    let mut out = Out::default();
    match value {
        Value::Object(members) if !members.is_empty() => out.mapping(members, 0),
        Value::Array(items) if !items.is_empty() => out.sequence(items, 0),
        other => out.flow(other, 0),
    }
    out.text.push('\n');
    out.text
}

/// Text, and how many characters are in its last line.
#[derive(Default)]
struct Out {
    text: String,
    column: usize,
}

impl Out {
    fn put(&mut self, letter: char) {
        self.column = if letter == '\n' { 0 } else { self.column + 1 };
        self.text.push(letter);
    }

    fn write(&mut self, text: &str) {
        text.chars().for_each(|letter| self.put(letter));
    }

    /// Begins a line, unless it is that of a dash which has nothing behind it yet.
    fn line(&mut self, indent: usize) {
        let is_fresh = self.text.is_empty() || self.column == indent && self.text.ends_with("- ");
        if !is_fresh {
            self.put('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
    }

    fn mapping(&mut self, members: &Map<String, Value>, indent: usize) {
        let mut members: Vec<(&String, &Value)> = members.iter().collect();
        members.sort_by(|(one, _), (other, _)| order(one, other));
        for (name, value) in members {
            self.line(indent);
            scalar::key(self, name);
            self.put(':');
            match value {
                Value::Object(members) if !members.is_empty() => self.mapping(members, indent + 2),
                Value::Array(items) if !items.is_empty() => self.sequence(items, indent),
                other => {
                    self.put(' ');
                    self.flow(other, indent + 2);
                }
            }
        }
    }

    fn sequence(&mut self, items: &[Value], indent: usize) {
        for item in items {
            self.line(indent);
            self.write("- ");
            match item {
                Value::Object(members) if !members.is_empty() => self.mapping(members, indent + 2),
                Value::Array(items) if !items.is_empty() => self.sequence(items, indent + 2),
                other => self.flow(other, indent + 2),
            }
        }
    }

    /// What has no block. Its further lines are indented by `indent`.
    fn flow(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Object(_) => self.write("{}"),
            Value::Array(_) => self.write("[]"),
            Value::Null => self.write("null"),
            Value::Bool(flag) => self.write(if *flag { "true" } else { "false" }),
            Value::Number(number) => self.write(&fleetmesh_standalone_core::go::number(number)),
            Value::String(text) => scalar::text(self, text, indent),
        }
    }
}

/// The order of members: letters by themselves, numbers by their value, and what is neither before letters.
fn order(one: &str, other: &str) -> Ordering {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let Some(at) = one.iter().zip(&other).position(|(a, b)| a != b) else {
        return one.len().cmp(&other.len());
    };
    let (a, b) = (one[at], other[at]);
    match (a.is_alphabetic(), b.is_alphabetic()) {
        (true, true) => a.cmp(&b),
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let (x, y) = (digits(&one[at..]), digits(&other[at..]));
            // Zeros in the middle of a number count.
            let goes_on = (a == '0' || b == '0') && is_in_number(&one[..at]);
            let value = |digits: &str| {
                let digits = if goes_on { format!("1{digits}") } else { digits.to_owned() };
                digits.parse::<u128>().unwrap_or_default()
            };
            value(&x).cmp(&value(&y)).then(x.len().cmp(&y.len())).then(a.cmp(&b))
        }
    }
}

fn digits(letters: &[char]) -> String {
    letters.iter().take_while(|letter| letter.is_ascii_digit()).collect()
}

/// Whether `letters` end with digits that are not all zeros.
fn is_in_number(letters: &[char]) -> bool {
    letters.iter().rev().take_while(|letter| letter.is_ascii_digit()).any(|letter| *letter != '0')
}

#[cfg(test)]
mod tests;
