//! Accounts: the ids of AWS accounts, and which of those that one control plane serves is meant. Pure data.

use std::fmt;
use std::str::FromStr;

/// The id of an AWS account: 12 digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u64);

/// How many digits an account id has.
const DIGITS: usize = 12;

impl FromStr for AccountId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        let id = text.parse().ok().filter(|_| digits).map(Self);
        id.ok_or_else(|| "an account id has 12 digits, for example 111122223333".to_owned())
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

/// One of the accounts that a control plane serves. There is one that everything belongs to which says nothing else: names
/// without an account, resources and access keys of before there were several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// The first that the control plane was given, whatever its id.
    #[default]
    First,
    /// Another one.
    Other(AccountId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_twelve_digits_and_nothing_else() {
        for text in ["111122223333", "000000000001", "999999999999"] {
            assert_eq!(text.parse::<AccountId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "1", "11112222333", "1111222233334", "+11122223333", "11112222333x", "１11122223333"]
        {
            assert!(text.parse::<AccountId>().is_err(), "{text}");
        }
    }
}
