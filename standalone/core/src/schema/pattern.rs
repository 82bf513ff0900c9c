//! Regular expressions as Go's RE2 reads them.

mod syntax;

use regex::Regex;

/// What is wrong with a pattern, as Go says it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {0}")]
pub struct PatternError(String);

/// A pattern of a schema or a rule, compiled once.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// The pattern as it is written.
    pub source: String,
    compiled: Regex,
}

impl Pattern {
    /// Compiles a pattern with Go's meaning of `\d`, `\s`, `\w` and `\b`: ASCII only.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn new(source: &str) -> Result<Self, PatternError> {
        if let Some(problem) = syntax::problem(source) {
            return Err(PatternError(problem));
        }
        let compiled = Regex::new(&translated(source)).map_err(|error| {
            let text = error.to_string();
            PatternError(text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
        })?;
        Ok(Self { source: source.to_owned(), compiled })
    }

    /// Whether some part of `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }
}

/// The same pattern in the syntax of the crate `regex`, whose classes are Unicode's and nest.
fn translated(source: &str) -> String {
    let mut pattern = String::with_capacity(source.len() + 16);
    let mut characters = source.chars().peekable();
    let mut class = Class::Outside;
    while let Some(character) = characters.next() {
        if character == '\\' {
            let Some(escaped) = characters.next() else {
                pattern.push('\\');
                break;
            };
            push_escape(&mut pattern, escaped, class != Class::Outside);
            class = class.after();
            continue;
        }
        match (character, class) {
            ('{', Class::Outside) => {
                // A brace that begins no repetition is a character.
                let rest: String = std::iter::once('{').chain(characters.clone().take(16)).collect();
                pattern.push_str(if syntax::repeat(&rest).is_some() { "{" } else { "\\{" });
            }
            ('(', Class::Outside) => {
                pattern.push('(');
                skip_name(&mut characters);
            }
            ('[', Class::Outside) => {
                pattern.push('[');
                if characters.next_if_eq(&'^').is_some() {
                    pattern.push('^');
                }
                class = Class::First;
            }
            ('[', _) if characters.peek() == Some(&':') => {
                pattern.push_str(&posix(&mut characters));
                class = Class::Inside;
            }
            (']', Class::First) | ('[' | '&' | '~', Class::Inside) | ('[' | '&' | '~', Class::First) => {
                pattern.push('\\');
                pattern.push(character);
                class = Class::Inside;
            }
            (']', Class::Inside) => {
                pattern.push(']');
                class = Class::Outside;
            }
            _ => {
                pattern.push(character);
                class = class.after();
            }
        }
    }
    pattern
}

/// Where the translation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Outside,
    /// Before the first item of a class, where `]` is a character.
    First,
    Inside,
}

impl Class {
    fn after(self) -> Self {
        if self == Self::First { Self::Inside } else { self }
    }
}

/// Leaves out the name of a group: names may be there twice.
fn skip_name(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    let mut ahead = characters.clone();
    if ahead.next() != Some('?') {
        return;
    }
    ahead.next_if_eq(&'P');
    if ahead.next() != Some('<') {
        return;
    }
    if ahead.by_ref().any(|character| character == '>') {
        *characters = ahead;
    }
}

fn push_escape(pattern: &mut String, escaped: char, inside: bool) {
    let class = match escaped {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\f\r ]",
        'S' => r"[^\t\n\f\r ]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        'b' if !inside => r"(?-u:\b)",
        'B' if !inside => r"(?-u:\B)",
        _ => "",
    };
    if class.is_empty() {
        pattern.push('\\');
        pattern.push(escaped);
    } else {
        pattern.push_str(class);
    }
}

/// The rest of `[:name:]` within a class.
fn posix(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut class = "[".to_owned();
    for character in characters.by_ref() {
        class.push(character);
        if character == ']' {
            break;
        }
    }
    class
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(text)
    }

    #[test]
    fn perl_classes_are_ascii() {
        assert!(matches(r"^\d+$", "12") && !matches(r"^\d+$", "١٢"));
        assert!(matches(r"^\w+$", "a_1") && !matches(r"^\w+$", "é"));
        assert!(!matches(r"\s", "\u{a0}") && matches(r"\s", "\t") && !matches(r"\s", "\u{b}"));
        assert!(matches(r"^[^/\s]+$", "é") && !matches(r"^[^/\s]+$", "a b"));
        assert!(matches(r"\bé", "aé") && !matches(r"^\W$", "a"));
    }

    #[test]
    fn classes_do_not_nest() {
        assert!(matches("^[[a]$", "[") && matches("^[[a]$", "a"));
        assert!(matches("^[]a]$", "]") && matches("^[^]a]$", "b") && !matches("^[^]a]$", "]"));
        assert!(matches("^[a&&b]+$", "a&b") && matches("^[a~~b]$", "~"));
        assert!(matches("^[[:alpha:]-]+$", "a-b") && !matches("^[[:alpha:]]+$", "1"));
        assert!(matches(r"^[\[\]]$", "]") && matches(r"^\[$", "["));
    }

    #[test]
    fn says_what_is_wrong() {
        for (pattern, problem) in [
            ("a(b", "missing closing ): `a(b`"),
            ("a[b", "missing closing ]: `[b`"),
            ("a|*", "missing argument to repetition operator: `*`"),
            ("a*?+", "invalid nested repetition operator: `*?+`"),
            ("a{2,1}", "invalid repeat count: `{2,1}`"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            ("a\\", "trailing backslash at end of expression: ``"),
            ("\\8", "invalid escape sequence: `\\8`"),
            ("[b-a]", "invalid character class range: `b-a`"),
            ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap_err(), PatternError(problem.to_owned()), "{pattern}");
        }
        assert!(
            matches("(?P<n>a)(?P<n>b)", "ab") && matches("a{,2}", "a{,2}") && matches("(?i:A)(?s).", "ab")
        );
    }
}
