//! An error with what caused it, in words. Pure.

use std::error::Error;

/// `error` and its causes in one line, from the outermost to the innermost; what the words so far contain already is not
/// said again. A condition's message has no line breaks, and the causes of some errors do.
pub fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Chained(&'static str, Option<Box<Chained>>);

    impl fmt::Display for Chained {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Chained {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as &(dyn Error + 'static))
        }
    }

    #[test]
    fn causes_follow_in_one_line_and_none_is_said_twice() {
        let innermost = Chained("connection\n  refused", None);
        let middle = Chained("cannot connect", Some(Box::new(innermost)));
        let error = Chained("dispatch failure: cannot connect", Some(Box::new(middle)));
        assert_eq!(in_one_line(&error), "dispatch failure: cannot connect: connection refused");
    }
}
