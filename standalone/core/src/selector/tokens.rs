//! A label selector's text as tokens.

/// A token. What Kubernetes calls an identifier is whatever stands between spaces and symbols, so a key, a value or a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Text, `in` and `notin` included: whether these are operators depends on where they stand.
    Word(&'a str),
    /// One of `( ) , ! = == != < >`.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

impl<'a> Token<'a> {
    /// As messages repeat it.
    pub(super) fn text(self) -> &'a str {
        match self {
            Self::Word(text) | Self::Symbol(text) => text,
            Self::End => "",
        }
    }

    /// Whether it can be a key or a value.
    pub(super) fn is_word(self) -> bool {
        matches!(self, Self::Word(_))
    }
}

/// The symbols, the longer ones first: the longest that fits is meant.
const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn is_symbol(character: char) -> bool {
    matches!(character, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

/// All tokens of `text`, without the end.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut rest = text.trim_start_matches(is_space);
    let mut tokens = Vec::new();
    // The API server takes a NUL for the end of a token, and where a token would begin for the end of the text.
    while !rest.is_empty() && !rest.starts_with('\0') {
        let (token, length) = match SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            Some(symbol) => (Token::Symbol(symbol), symbol.len()),
            None => {
                let end =
                    rest.find(|one| one == '\0' || is_space(one) || is_symbol(one)).unwrap_or(rest.len());
                (Token::Word(&rest[..end]), end)
            }
        };
        tokens.push(token);
        let behind = &rest[length..];
        rest = behind.strip_prefix('\0').unwrap_or(behind).trim_start_matches(is_space);
    }
    tokens
}
