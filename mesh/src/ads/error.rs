//! Why a stream of a proxy ends.

use std::fmt;

/// gRPC's codes for what is wrong with what a proxy sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamCode {
    /// It cannot be read, or names a resource that is not served: 3, App Mesh's code for a resource that it does not know.
    InvalidArgument,
    /// It is beyond a bound: 8.
    ResourceExhausted,
}

impl StreamCode {
    /// gRPC's number for it.
    pub fn number(self) -> i32 {
        match self {
            Self::InvalidArgument => 3,
            Self::ResourceExhausted => 8,
        }
    }
}

/// The status that a stream ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// Its code.
    pub code: StreamCode,
    /// One line that says what was found and what is demanded.
    pub message: String,
}

impl StreamError {
    /// Something that cannot be read or is not served.
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self { code: StreamCode::InvalidArgument, message: message.into() }
    }

    /// Something beyond a bound.
    pub fn resource_exhausted(message: impl Into<String>) -> Self {
        Self { code: StreamCode::ResourceExhausted, message: message.into() }
    }
}

impl std::error::Error for StreamError {}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)
    }
}
