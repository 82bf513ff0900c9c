//! Words of others, such as a proxy's about why it refuses a configuration, in the form in which they may stand in a
//! condition, an Event or a log. Pure.

/// The most characters of others' words that are shown.
pub const MAX_SHOWN: usize = 200;

/// `text` with everything but printable characters replaced by single blanks, and cut to [`MAX_SHOWN`] characters, the last of
/// which is then `…`. What comes out of it stays as it is. Whoever shows it has to mark it as somebody else's: in quotation
/// marks, with who said it; those inside become `'`.
pub fn printable(text: &str) -> String {
    let mut shown = String::new();
    let mut count = 0;
    // Far more than is shown, so that blanks without end are not walked through.
    for letter in text.chars().take(MAX_SHOWN * 64) {
        let blank = letter.is_whitespace() || is_hidden(letter);
        if blank && (shown.is_empty() || shown.ends_with(' ')) {
            continue;
        }
        if count == MAX_SHOWN && blank {
            // Blanks alone at the end need no `…`.
            continue;
        }
        if count == MAX_SHOWN {
            let kept: String = shown.chars().take(MAX_SHOWN - 1).collect();
            return kept.trim_end().to_owned() + "…";
        }
        count += 1;
        shown.push(match letter {
            _ if blank => ' ',
            '"' => '\'',
            letter => letter,
        });
    }
    shown.truncate(shown.trim_end().len());
    shown
}

/// Control characters, and those that show nothing or change how what follows is shown (Unicode's bidirectional controls,
/// joiners, tags, variation selectors).
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_one_short_line() {
        for (text, shown) in [
            ("bad regex", "bad regex"),
            ("  two\r\n\tlines\u{1b}[31m \0 ", "two lines [31m"),
            ("a\u{202e}b\u{200b}c", "a b c"),
            ("say \"no\"", "say 'no'"),
            ("", ""),
        ] {
            assert_eq!(printable(text), shown);
        }
        let long = printable(&"é".repeat(5000));
        assert_eq!((long.chars().count(), long.ends_with("é…")), (MAX_SHOWN, true));
        let exact = "x".repeat(MAX_SHOWN);
        assert_eq!(printable(&exact), exact);
        assert_eq!(printable(&format!("{exact}\n\n")), exact);
        for text in [long, "a b".to_owned(), printable(&"a ".repeat(300))] {
            assert_eq!(printable(&text), text, "what comes out of it stays as it is");
        }
    }
}
