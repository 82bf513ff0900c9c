//! What a backend found in the kernel, and what it changed. Pure data.

use fleetmesh_instance::interception::Interception;

/// What is in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// None of our rules.
    Disabled,
    /// Exactly the rules that `enable` makes of these options.
    Enabled(Interception),
    /// Other rules under our names; the text says how they differ.
    Altered(String),
}

impl State {
    /// Compares the rules that were found with those of the options that they seem to come from.
    ///
    /// `read` is the options or the rule that could not be understood; `expected` makes the rules of options.
    pub fn compare(
        found: &[String],
        read: Result<Interception, String>,
        expected: impl Fn(&Interception) -> Vec<String>,
    ) -> Self {
        let interception = match read {
            Ok(interception) => interception,
            Err(reason) => return Self::Altered(reason),
        };
        let expected = expected(&interception);
        if found == expected {
            return Self::Enabled(interception);
        }
        let missing =
            expected.iter().find(|rule| !found.contains(rule)).map(|rule| format!("missing: {rule}"));
        let surplus =
            found.iter().find(|rule| !expected.contains(rule)).map(|rule| format!("unexpected: {rule}"));
        Self::Altered(
            missing.or(surplus).unwrap_or_else(|| "the rules are doubled or in another order".to_owned()),
        )
    }
}

/// What an operation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleChange {
    /// The kernel already had what was asked for.
    None,
    /// Rules were set or removed.
    Made,
}

impl RuleChange {
    /// What two operations did together.
    pub fn and(self, other: Self) -> Self {
        if self == Self::None { other } else { self }
    }
}
