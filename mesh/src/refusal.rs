//! Why the App Mesh API refuses a request: the error classes of the API model and a message for a person. Pure data.

use std::fmt;

/// The error classes of the App Mesh API (the `*Exception` shapes of its model, and the one that AWS puts before them).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The access key that signed the request may not do this. It is no shape of App Mesh's model, but one that all of AWS's
    /// services have in common.
    AccessDenied,
    /// The request is malformed, out of bounds or breaks a rule.
    BadRequest,
    /// The request contradicts what is stored.
    Conflict,
    /// The mesh belongs to another account.
    Forbidden,
    /// The control plane failed at something that has nothing to do with the request.
    InternalServerError,
    /// A quota is used up.
    LimitExceeded,
    /// The resource, or one that it needs, does not exist.
    NotFound,
    /// A resource that others use cannot be deleted.
    ResourceInUse,
    /// The control plane cannot serve at the moment; the same request may succeed later.
    ServiceUnavailable,
    /// Requests arrive faster than the control plane is configured to take them.
    TooManyRequests,
    /// The resource would have more tags than a resource may have.
    TooManyTags,
}

impl Class {
    /// The name of the error shape in the API model; clients match on it.
    pub fn shape(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::BadRequest => "BadRequestException",
            Self::Conflict => "ConflictException",
            Self::Forbidden => "ForbiddenException",
            Self::InternalServerError => "InternalServerErrorException",
            Self::LimitExceeded => "LimitExceededException",
            Self::NotFound => "NotFoundException",
            Self::ResourceInUse => "ResourceInUseException",
            Self::ServiceUnavailable => "ServiceUnavailableException",
            Self::TooManyRequests => "TooManyRequestsException",
            Self::TooManyTags => "TooManyTagsException",
        }
    }

    /// The HTTP status that the model gives the shape.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest | Self::LimitExceeded | Self::TooManyTags => 400,
            Self::AccessDenied | Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict | Self::ResourceInUse => 409,
            Self::TooManyRequests => 429,
            Self::InternalServerError => 500,
            Self::ServiceUnavailable => 503,
        }
    }
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The class, which decides status and type of the answer.
    pub class: Class,
    /// One line that names the field or object, what was found, what is demanded, and the way out.
    pub message: String,
}

impl Refusal {
    /// A refusal of `class`.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }

    /// A malformed request.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Class::BadRequest, message)
    }

    /// A contradiction with what is stored.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Class::Conflict, message)
    }

    /// Something that does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Class::NotFound, message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class.shape(), self.message)
    }
}
