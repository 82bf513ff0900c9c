//! Names that DNS and Kubernetes take. Pure.

use std::fmt;
use std::str::FromStr;

/// The longest label of a DNS name, in characters (RFC 1035).
pub const MAX_LABEL: usize = 63;
/// The longest DNS name, in characters.
pub const MAX_HOST: usize = 253;

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no letters, or too many.
    #[error("it has {0} characters: 1 to {1} are possible")]
    Length(usize, usize),
    /// It has others.
    #[error("lower-case letters, digits and - are possible, and not - at the beginning or the end{0}")]
    Letters(String),
    /// A label of it is empty.
    #[error("there is nothing before or behind a dot: leave the dot out")]
    Dot,
    /// Such as an address.
    #[error("the last label has digits alone, as an address has: it has to be a name, such as apps.local")]
    Digits,
}

/// One label of a DNS name, which is also a name of a Kubernetes object (RFC 1123).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label(String);

/// A DNS name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl Label {
    /// This label with a version behind it. It may be too long.
    pub fn with(&self, version: &str) -> String {
        format!("{}-{version}", self.0)
    }
}

impl Host {
    /// The name of `label` in the zone `zone`, which is a name itself.
    pub fn below(label: &Label, zone: &str) -> Self {
        Self(format!("{label}.{zone}"))
    }
}

impl AsRef<str> for Label {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Label {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        label(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Host {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > MAX_HOST {
            return Err(NameError::Length(text.chars().count(), MAX_HOST));
        }
        if text.split('.').any(str::is_empty) {
            return Err(NameError::Dot);
        }
        text.split('.').try_for_each(label)?;
        let last = text.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|letter| letter.is_ascii_digit()) {
            return Err(NameError::Digits);
        }
        Ok(Self(text.to_owned()))
    }
}

fn label(text: &str) -> Result<(), NameError> {
    let is_inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if !text.chars().all(is_inner) || text.starts_with('-') || text.ends_with('-') {
        let way_out = match suggestion(text) {
            Some(name) => format!(", for example {name}"),
            None => String::new(),
        };
        return Err(NameError::Letters(way_out));
    }
    if text.is_empty() || text.len() > MAX_LABEL {
        return Err(NameError::Length(text.len(), MAX_LABEL));
    }
    Ok(())
}

/// The nearest name that is possible.
fn suggestion(text: &str) -> Option<String> {
    let letter = |letter: char| match letter.to_ascii_lowercase() {
        letter if letter.is_ascii_alphanumeric() => letter,
        _ => '-',
    };
    let name: String = text.chars().map(letter).take(MAX_LABEL).collect();
    let name = name.trim_matches('-');
    (!name.is_empty()).then(|| name.to_owned())
}
