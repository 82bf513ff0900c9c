//! How a program of ours is started.

use std::process::Command;

/// The arguments and the variables of a program, beside those that it always has here.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Launch {
    /// With these arguments.
    pub fn with(arguments: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self::default().args(arguments)
    }

    /// With these arguments, too.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// With these variables in its environment, too, such as those that say where AWS's services are
    /// ([`crate::moto::variables`]).
    #[must_use]
    pub fn envs(mut self, variables: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>) -> Self {
        for (name, value) in variables {
            self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        }
        self
    }

    /// With all of `other`, too.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.arguments.extend(other.arguments);
        self.environment.extend(other.environment);
        self
    }

    /// Adds them to `command`.
    pub(crate) fn add_to(&self, command: &mut Command) {
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
    }
}
