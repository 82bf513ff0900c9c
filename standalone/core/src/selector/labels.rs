//! The language of `labelSelector`: requirements, all of which have to hold.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::SelectorError;
use super::names::{faults_of_key, faults_of_value};
use super::tokens::{Token, tokens};
use crate::status::quoted;

/// A label selector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

/// What is demanded of the label `key`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    demand: Demand,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Demand {
    /// There is one, of any value.
    Exists,
    /// There is none.
    Absent,
    /// There is one, of one of these values.
    In(BTreeSet<String>),
    /// There is none of any of these values.
    NotIn(BTreeSet<String>),
    /// There is one, an integer above this.
    Above(i64),
    /// There is one, an integer below this.
    Below(i64),
}

/// The operators between a key and values, as the API server lists them.
const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

impl LabelSelector {
    /// Reads the text of a query parameter.
    ///
    /// # Errors
    /// `text` is no selector, or has a key or a value that no label can have.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser { tokens: tokens(text), at: 0 };
        parser.requirements().map(Self).map_err(SelectorError)
    }

    /// Whether every object is meant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object with `labels`, an object of strings or nothing, is meant.
    pub fn matches(&self, labels: &Value) -> bool {
        self.holds(|key| labels.get(key).and_then(Value::as_str))
    }

    /// Whether an object with these labels, of which `value` has the values, is meant.
    pub fn holds<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|requirement| requirement.holds(value(&requirement.key)))
    }
}

/// As [`LabelSelector::parse`] reads it as the same.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&terms.join(","))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let all = |values: &BTreeSet<String>| values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        match &self.demand {
            Demand::Exists => f.write_str(key),
            Demand::Absent => write!(f, "!{key}"),
            Demand::In(values) => write!(f, "{key} in ({})", all(values)),
            Demand::NotIn(values) => write!(f, "{key} notin ({})", all(values)),
            Demand::Above(bound) => write!(f, "{key}>{bound}"),
            Demand::Below(bound) => write!(f, "{key}<{bound}"),
        }
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let integer = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.demand {
            Demand::Exists => value.is_some(),
            Demand::Absent => value.is_none(),
            Demand::In(values) => value.is_some_and(|value| values.contains(value)),
            Demand::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Demand::Above(bound) => integer().is_some_and(|value| value > *bound),
            Demand::Below(bound) => integer().is_some_and(|value| value < *bound),
        }
    }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.at).copied().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn requirements(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        let begins = |token: Token<'_>| token.is_word() || token == Token::Symbol("!");
        loop {
            match self.peek() {
                Token::End => return Ok(requirements),
                token if begins(token) => {}
                token => {
                    let found = token.text();
                    return Err(format!("found '{found}', expected: !, identifier, or 'end of string'"));
                }
            }
            let requirement =
                self.requirement().map_err(|error| format!("unable to parse requirement: {error}"));
            requirements.push(requirement?);
            match self.next() {
                Token::End => return Ok(requirements),
                Token::Symbol(",") if begins(self.peek()) => {}
                Token::Symbol(",") => {
                    return Err(format!("found '{}', expected: identifier after ','", self.peek().text()));
                }
                token => return Err(format!("found '{}', expected: ',' or 'end of string'", token.text())),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.peek() == Token::Symbol("!");
        if absent {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            token => return Err(format!("found '{}', expected: identifier", token.text())),
        };
        let faults = faults_of_key(key);
        if !faults.is_empty() {
            return Err(invalid("<nil>", key, &faults.join("; ")));
        }
        let alone = matches!(self.peek(), Token::End | Token::Symbol(","));
        let demand = match (absent, alone) {
            (true, _) => Demand::Absent,
            (false, true) => Demand::Exists,
            (false, false) => self.comparison(key)?,
        };
        Ok(Requirement { key: key.to_owned(), demand })
    }

    /// An operator with what is to its right.
    fn comparison(&mut self, key: &str) -> Result<Demand, String> {
        let operator = self.next();
        let values = match operator {
            Token::Word("in" | "notin") => self.set()?,
            Token::Symbol("=" | "==" | "!=" | ">" | "<") => BTreeSet::from([self.value()?]),
            token => return Err(format!("found '{}', expected: {OPERATORS}", token.text())),
        };
        let bound = values.first().and_then(|value| value.parse::<i64>().ok());
        let ordered = matches!(operator.text(), ">" | "<");
        let faults = faults_of(key, &values, ordered && bound.is_none());
        match faults.as_slice() {
            [] => {}
            [fault] => return Err(fault.clone()),
            faults => return Err(format!("[{}]", faults.join(", "))),
        }
        Ok(match (operator.text(), bound) {
            (">", Some(bound)) => Demand::Above(bound),
            ("<", Some(bound)) => Demand::Below(bound),
            ("!=" | "notin", _) => Demand::NotIn(values),
            _ => Demand::In(values),
        })
    }

    /// The one value after `=` and its like; the empty one if there is none.
    fn value(&mut self) -> Result<String, String> {
        match self.peek() {
            Token::End | Token::Symbol(",") => Ok(String::new()),
            Token::Word(value) => {
                self.next();
                Ok(value.to_owned())
            }
            token => Err(format!("found '{}', expected: identifier", token.text())),
        }
    }

    /// The values in parentheses. An empty one is a value, too: before a first and after a last comma, and between two.
    fn set(&mut self) -> Result<BTreeSet<String>, String> {
        match self.next() {
            Token::Symbol("(") => {}
            token => return Err(format!("found '{}' expected: '('", token.text())),
        }
        match self.peek() {
            Token::Word(_) | Token::Symbol(",") => {}
            Token::Symbol(")") => {
                self.next();
                return Ok(BTreeSet::from([String::new()]));
            }
            token => return Err(format!("found '{}', expected: ',', ')' or identifier", token.text())),
        }
        let values = self.values()?;
        self.next();
        Ok(values)
    }

    /// The values up to the closing parenthesis, which is not taken.
    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let mut values = BTreeSet::new();
        loop {
            match self.next() {
                Token::Word(value) => {
                    values.insert(value.to_owned());
                    match self.peek() {
                        Token::Symbol(",") => {}
                        Token::Symbol(")") => return Ok(values),
                        token => return Err(format!("found '{}', expected: ',' or ')'", token.text())),
                    }
                }
                Token::Symbol(",") => {
                    let next = self.peek();
                    if values.is_empty() || matches!(next, Token::Symbol("," | ")")) {
                        values.insert(String::new());
                    }
                    if next == Token::Symbol(")") {
                        return Ok(values);
                    }
                }
                token => return Err(format!("found '{}', expected: ',', or identifier", token.text())),
            }
        }
    }
}

/// What is wrong with the values that `key` is compared to.
fn faults_of(key: &str, values: &BTreeSet<String>, no_integer: bool) -> Vec<String> {
    let integer = "for 'Gt', 'Lt' operators, the value must be an integer";
    let first = values.first().filter(|_| no_integer);
    let mut faults: Vec<String> =
        first.map(|value| invalid("values[0]", value, integer)).into_iter().collect();
    for (index, value) in values.iter().enumerate() {
        let wrong = faults_of_value(value);
        if !wrong.is_empty() {
            faults.push(invalid(&format!("values[{index}][{key}]"), value, &wrong.join("; ")));
        }
    }
    faults
}

fn invalid(field: &str, value: &str, detail: &str) -> String {
    format!("{field}: Invalid value: {}: {detail}", quoted(value))
}
