//! The JSONPaths of printer columns: kubectl's dialect
//! (<https://kubernetes.io/docs/reference/kubectl/jsonpath/>), as far as a column can use it. Members by name or in quotes,
//! indices and slices, wildcards and filters; no recursion, unions or loops, which a path that is read here must not have.

mod find;
mod parse;

use serde_json::Value;

/// A path that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// A member.
    Member(String),
    /// All members or items.
    All,
    /// Some items.
    Slice(Slice),
    /// Those items that a condition holds for.
    Filter(Filter),
}

/// Items from `start`, before `end`, each `step`th; from the end where negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slice {
    start: Option<i64>,
    end: Option<i64>,
    step: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
enum Filter {
    /// There is something at the path.
    Exists(Path),
    /// What is at the path compares like this.
    Compare(Path, Comparison, Operand),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Below,
    AtMost,
    Above,
    AtLeast,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    /// A string, a number or a boolean.
    Literal(Value),
    /// What is at a path of the same item.
    At(Path),
}

impl Path {
    /// Reads `text`.
    ///
    /// # Errors
    /// What is left of `text` where reading stopped.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::path(text)
    }

    /// What the path leads to in `root`, which may be nothing; `None` when it leads into a value of another type, as an index
    /// does in an object.
    pub fn find<'a>(&self, root: &'a Value) -> Option<Vec<&'a Value>> {
        find::find(self, root)
    }
}

#[cfg(test)]
mod tests;
