//! Why a command was not done, in kubectl's words.

use std::io;

use fleetmesh_cluster::ConnectError;

use crate::status::Status;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.shown())]
pub enum Error {
    /// There is no API to ask.
    Connect(#[from] ConnectError),
    /// What is shown as it is.
    Plain(String),
    /// The API did not do it.
    Status(Box<Status>),
    /// Anything else.
    Message(String),
    /// Several of these.
    Several(Vec<Error>),
    /// There is a difference, which was printed.
    Different,
    /// Of the command that ends with 1 for a difference.
    OfDiff(Box<Error>),
    /// What it says could not be written.
    Write(#[from] io::Error),
    /// A fault of this program: an object could not be written as JSON.
    Json(#[from] serde_json::Error),
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl Error {
    /// With this message.
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }

    /// None, this one, or several.
    pub(crate) fn all(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 | 1 => errors.pop().map_or(Ok(()), Err),
            _ => Err(Self::Several(errors)),
        }
    }

    pub(crate) fn of_diff(self) -> Self {
        match self {
            Self::Different => Self::Different,
            other => Self::OfDiff(Box::new(other)),
        }
    }

    /// Whether the API has no such object.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Status(status) if status.is_not_found())
    }

    /// What to print on standard error, without the line break; empty when there is nothing to say.
    pub fn shown(&self) -> String {
        match self {
            Self::Status(status) => status.shown(),
            Self::Plain(text) => text.clone(),
            Self::Message(text) if text.starts_with("error: ") => text.clone(),
            Self::Several(errors) => errors.iter().map(Self::among).collect::<Vec<_>>().join("\n"),
            Self::Different => String::new(),
            Self::OfDiff(error) => error.shown(),
            other => format!("error: {}", other.among()),
        }
    }

    fn among(&self) -> String {
        match self {
            Self::Status(status) => status.standard(),
            Self::Connect(error) => error.to_string(),
            Self::Message(text) => text.clone(),
            Self::Write(error) => format!("cannot write: {error}"),
            Self::Json(error) => format!("cannot write JSON: {error}"),
            other => other.shown(),
        }
    }

    /// The exit status.
    pub fn code(&self) -> u8 {
        match self {
            Self::OfDiff(error) => error.code() + 1,
            _ => 1,
        }
    }

    /// Whether nobody reads the output any more, which is no failure.
    pub fn is_closed_pipe(&self) -> bool {
        match self {
            Self::Write(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::OfDiff(error) => error.is_closed_pipe(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_error_begins_with_the_word_and_several_do_not() {
        let message = |text: &str| Error::message(text);
        assert_eq!(message("no").shown(), "error: no");
        assert_eq!(message("error: no").shown(), "error: no");
        let several = Error::all(vec![message("a"), message("b")]).unwrap_err();
        assert_eq!(several.shown(), "a\nb");
        assert_eq!(Error::all(vec![message("a")]).unwrap_err().shown(), "error: a");
        assert!(Error::all(Vec::new()).is_ok());
    }

    #[test]
    fn a_difference_ends_with_1_and_a_failure_to_find_one_with_2() {
        assert_eq!((Error::Different.of_diff().code(), Error::Different.shown().as_str()), (1, ""));
        assert_eq!((Error::message("no").of_diff().code(), Error::message("no").code()), (2, 1));
    }
}
