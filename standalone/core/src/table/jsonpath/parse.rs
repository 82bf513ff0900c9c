//! Reading a path.

use serde_json::Value;

use super::{Comparison, Filter, Operand, Path, Slice, Step};

/// Ends the name of a member unless a backslash precedes it.
fn ends_name(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}

/// The whole of `text` as a path, or what is left where reading stopped.
pub(super) fn path(text: &str) -> Result<Path, String> {
    let (mut steps, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let failed = || rest.to_owned();
        rest = match first {
            ' ' | '@' | '$' => &rest[1..],
            '.' if rest.starts_with("..") => return Err(failed()),
            '.' => {
                let (name, behind) = name(&rest[1..]);
                steps.push(if name == "*" { Step::All } else { Step::Member(name.replace('\\', "")) });
                behind
            }
            '[' if rest.starts_with("[?(") => {
                let (inside, behind) = filter_text(&rest[3..]).ok_or_else(failed)?;
                steps.push(Step::Filter(filter(inside)?));
                behind
            }
            '[' => {
                let (inside, behind) = rest[1..].split_once(']').ok_or_else(failed)?;
                steps.push(bracket(inside).ok_or_else(failed)?);
                behind
            }
            _ => return Err(failed()),
        };
    }
    Ok(Path(steps))
}

/// The name at the beginning of `text`, with its backslashes, and what follows.
fn name(text: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = text.find(|character| match character {
        _ if escaped => {
            escaped = false;
            false
        }
        '\\' => {
            escaped = true;
            false
        }
        other => ends_name(other),
    });
    text.split_at(end.unwrap_or(text.len()))
}

/// What stands between brackets: a name in quotes, an index, a slice or a wildcard.
fn bracket(text: &str) -> Option<Step> {
    if text == "*" {
        return Some(Step::Slice(Slice { start: None, end: None, step: None }));
    }
    if let Some(quoted) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        let plain = !quoted.contains('\'') && name(quoted).1.is_empty();
        return plain.then(|| Step::Member(quoted.replace('\\', "")));
    }
    let number = |text: &str| -> Option<Option<i64>> {
        if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
    };
    let mut parts = text.split(':');
    let start = number(parts.next()?)?;
    let slice = match parts.next() {
        // An index is the slice of one item; behind the last one there is nothing, not the first.
        None => Slice { start, end: start.map(|index| index + 1).filter(|end| *end != 0), step: None },
        Some(end) => Slice { start, end: number(end)?, step: parts.next().map_or(Some(None), number)? },
    };
    let index_is_missing = !text.contains(':') && start.is_none();
    (!index_is_missing && parts.next().is_none()).then_some(Step::Slice(slice))
}

/// What stands between `[?(` and `)]`, and what follows. A parenthesis in quotes ends nothing.
fn filter_text(text: &str) -> Option<(&str, &str)> {
    let (mut quote, mut before) = (None, ' ');
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close && before != '\\' => quote = None,
            (None, ')') => return text[at..].strip_prefix(")]").map(|behind| (&text[..at], behind)),
            _ => {}
        }
        before = character;
    }
    None
}

fn filter(text: &str) -> Result<Filter, String> {
    let is_operator = |character: char| matches!(character, '!' | '<' | '>' | '=');
    let Some(start) = text.find(is_operator).filter(|start| *start > 0) else {
        return path(text).map(Filter::Exists);
    };
    let (left, rest) = text.split_at(start);
    let (operator, right) =
        rest.split_at(rest.find(|character| !is_operator(character)).unwrap_or(rest.len()));
    let comparison = match operator {
        "==" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        "<" => Comparison::Below,
        "<=" => Comparison::AtMost,
        ">" => Comparison::Above,
        ">=" => Comparison::AtLeast,
        _ => return Err(rest.to_owned()),
    };
    Ok(Filter::Compare(path(left)?, comparison, operand(right.trim())?))
}

fn operand(text: &str) -> Result<Operand, String> {
    let literal = match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ if text.starts_with(['"', '\'']) => Some(string(text).ok_or_else(|| text.to_owned())?.into()),
        _ if text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-')) => {
            Some(number(text).ok_or_else(|| text.to_owned())?)
        }
        _ => None,
    };
    match literal {
        Some(literal) => Ok(Operand::Literal(literal)),
        None if text.starts_with(['@', '.', '$']) => path(text).map(Operand::At),
        None => Err(text.to_owned()),
    }
}

/// The text in quotes, which may hold what a string in JSON may.
fn string(text: &str) -> Option<String> {
    let quote = text.chars().next()?;
    let inside = text.strip_prefix(quote)?.strip_suffix(quote)?;
    if quote == '"' {
        return serde_json::from_str(text).ok();
    }
    (!inside.contains(['\'', '\\'])).then(|| inside.to_owned())
}

fn number(text: &str) -> Option<Value> {
    match text.parse::<i64>() {
        Ok(integer) => Some(integer.into()),
        Err(_) => text.parse::<f64>().ok().map(Value::from),
    }
}
