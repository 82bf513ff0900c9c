//! Following a path through an object.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Comparison, Filter, Operand, Path, Slice, Step};

/// See [`Path::find`].
pub(super) fn find<'a>(path: &Path, root: &'a Value) -> Option<Vec<&'a Value>> {
    path.0.iter().try_fold(vec![root], |found, step| take(step, &found))
}

fn take<'a>(step: &Step, from: &[&'a Value]) -> Option<Vec<&'a Value>> {
    match step {
        Step::Member(name) => Some(from.iter().filter_map(|value| value.as_object()?.get(name)).collect()),
        Step::All => Some(from.iter().flat_map(|value| parts(value)).collect()),
        Step::Slice(slice) => {
            let mut found = Vec::new();
            for value in from.iter().filter(|value| !value.is_null()) {
                let items = value.as_array()?;
                match slice.of(items)? {
                    // As kubectl's: a slice of nothing ends the search.
                    some if some.is_empty() => return Some(found),
                    some => found.extend(some),
                }
            }
            Some(found)
        }
        Step::Filter(filter) => {
            let mut found = Vec::new();
            for value in from {
                for item in value.as_array()? {
                    if filter.holds(item)? {
                        found.push(item);
                    }
                }
            }
            Some(found)
        }
    }
}

fn parts(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    }
}

impl Slice {
    /// The items, or `None` when a bound lies outside.
    fn of(self, items: &[Value]) -> Option<Vec<&Value>> {
        let length = i64::try_from(items.len()).ok()?;
        let bound = |bound: i64| if bound < 0 { bound + length } else { bound };
        let start = bound(self.start.unwrap_or(0));
        let end = self.end.map_or(length, bound);
        if start == end {
            return Some(Vec::new());
        }
        let step = usize::try_from(self.step.unwrap_or(1)).ok().filter(|step| *step > 0)?;
        let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
        Some(items.get(range)?.iter().step_by(step).collect())
    }
}

impl Filter {
    /// Whether the condition holds for `item`; `None` when values are compared that cannot be.
    fn holds(&self, item: &Value) -> Option<bool> {
        match self {
            Self::Exists(path) => Some(find(path, item).is_some_and(|found| !found.is_empty())),
            Self::Compare(left, comparison, right) => {
                let left = find(left, item)?;
                let right = match right {
                    Operand::Literal(literal) => vec![literal],
                    Operand::At(path) => find(path, item)?,
                };
                match (left.as_slice(), right.as_slice()) {
                    ([], _) | (_, []) => Some(false),
                    ([left], [right]) => comparison.holds(left, right),
                    _ => None,
                }
            }
        }
    }
}

impl Comparison {
    fn holds(self, left: &Value, right: &Value) -> Option<bool> {
        let order = order(left, right);
        match self {
            Self::Equal => Some(order? == Ordering::Equal),
            Self::NotEqual => Some(order? != Ordering::Equal),
            _ if left.is_boolean() => None,
            Self::Below => Some(order? == Ordering::Less),
            Self::AtMost => Some(order? != Ordering::Greater),
            Self::Above => Some(order? == Ordering::Greater),
            Self::AtLeast => Some(order? != Ordering::Less),
        }
    }
}

/// How two values of one type compare. Go knows integers and fractions as two types.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            (None, None) => left.as_f64()?.partial_cmp(&right.as_f64()?),
            _ => None,
        },
        _ => None,
    }
}
