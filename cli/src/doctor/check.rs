//! What a check found, and how it is printed. Pure.

use serde_json::{Value, json};

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, and could be a nuisance.
    Warning,
    /// It does not work.
    Failed,
    /// It was not looked at, or is not needed.
    Skipped,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    pub state: State,
    /// What there is, or what is wrong.
    pub found: String,
    /// The command that mends it; empty when nothing needs to be mended.
    pub fix: String,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl Check {
    pub fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Ok, found: found.into(), fix: String::new() }
    }

    pub fn warning(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: State::Warning, found: found.into(), fix: fix.into() }
    }

    pub fn failed(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: State::Failed, found: found.into(), fix: fix.into() }
    }

    pub fn skipped(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: State::Skipped, found: found.into(), fix: fix.into() }
    }
}

/// Whether nothing failed.
pub fn is_well(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.state != State::Failed)
}

/// Without what a terminal would obey: some of it is what servers and programs said.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// For people: a line for each, and below it how to mend it.
pub fn table(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for check in checks {
        text += &format!("{:<7}  {:<width$}  {}\n", check.state.word(), check.name, plain(&check.found));
        if !check.fix.is_empty() {
            let word = if check.state == State::Skipped { "to have it" } else { "mend it" };
            text += &format!("{:<7}  {:<width$}  {word}: {}\n", "", "", check.fix);
        }
    }
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    let [ok, warnings, failed, skipped] =
        [State::Ok, State::Warning, State::Failed, State::Skipped].map(count);
    text + &format!("\n{ok} ok, {warnings} warnings, {failed} failed, {skipped} skipped\n")
}

/// For programs.
pub fn document(checks: &[Check]) -> Value {
    let shown = |check: &Check| json!({ "name": check.name, "state": check.state.word(), "found": check.found, "fix": check.fix });
    json!({ "ok": is_well(checks), "checks": checks.iter().map(shown).collect::<Vec<_>>() })
}
