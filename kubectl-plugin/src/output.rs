//! The output: a terminal that can be redrawn, or anything that takes text.

use std::io::{self, Write};

use console::Term;

use crate::draw::Style;

/// Where answers go.
pub struct Output<'a> {
    out: &'a mut dyn Write,
    terminal: Option<Term>,
    colour: bool,
    /// How many lines of the last picture stand above the cursor.
    shown: usize,
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}

impl<'a> Output<'a> {
    /// Plain text, and nothing is redrawn.
    pub fn plain(out: &'a mut dyn Write) -> Self {
        Self { out, terminal: None, colour: false, shown: 0 }
    }

    /// The process's standard output, which `out` writes to. Colours and redrawing on a terminal only; `NO_COLOR` and
    /// `CLICOLOR=0` take the colours away.
    pub fn stdout(out: &'a mut dyn Write) -> Self {
        let terminal = Some(Term::stdout()).filter(Term::is_term);
        let colour = terminal.is_some() && console::colors_enabled();
        Self { out, terminal, colour, shown: 0 }
    }

    /// How to draw for this place.
    pub fn style(&self) -> Style {
        let size = self.terminal.as_ref().and_then(Term::size_checked);
        Style { colour: self.colour, width: size.map(|(_, columns)| usize::from(columns)) }
    }

    /// Whether pictures replace each other.
    pub fn is_live(&self) -> bool {
        self.terminal.is_some()
    }

    /// Writes text as it is, below everything.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        self.shown = 0;
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Shows a picture in the place of the last one; without a terminal below it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn show(&mut self, picture: &str) -> io::Result<()> {
        let Some(terminal) = &self.terminal else {
            return self.print(picture);
        };
        let rows = terminal.size_checked().map_or(usize::MAX, |(rows, _)| usize::from(rows));
        let (text, shown) = replace(self.shown, picture, rows);
        self.out.write_all(text.as_bytes())?;
        self.shown = shown;
        self.out.flush()
    }
}

/// What a terminal of so many rows needs to be sent to have `picture` where `shown` lines stand above the cursor, and how
/// many lines then do. Lines that do not fit are left out at the end: the cursor cannot go above the screen.
fn replace(shown: usize, picture: &str, rows: usize) -> (String, usize) {
    // The cursor has a row of its own.
    let room = rows.saturating_sub(1).max(1);
    let all = picture.lines().count();
    let fits = if all <= room { all } else { room.saturating_sub(1) };
    let mut text = if shown == 0 { String::new() } else { format!("\x1b[{shown}A\r\x1b[J") };
    for line in picture.lines().take(fits) {
        text.push_str(line);
        text.push('\n');
    }
    if fits < all {
        text.push_str(&format!("… {} more lines\n", all - fits));
    }
    (text, fits + usize::from(fits < all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_replaces_the_last_one() {
        assert_eq!(replace(0, "a\nb\n", 10), ("a\nb\n".to_owned(), 2));
        assert_eq!(replace(2, "c\n", 10), ("\x1b[2A\r\x1b[Jc\n".to_owned(), 1));
    }

    #[test]
    fn a_picture_never_scrolls() {
        assert_eq!(replace(0, "a\nb\nc\nd\n", 4), ("a\nb\n… 2 more lines\n".to_owned(), 3));
        assert_eq!(replace(0, "a\nb\nc\n", 4), ("a\nb\nc\n".to_owned(), 3));
        assert_eq!(replace(0, "a\nb\n", 1).1, 1);
    }

    #[test]
    fn without_a_terminal_everything_is_written_below() {
        let mut written = Vec::new();
        let mut output = Output::plain(&mut written);
        output.show("a\n").unwrap();
        output.show("b\n").unwrap();
        assert_eq!(output.style(), Style::default());
        assert_eq!(String::from_utf8(written).unwrap(), "a\nb\n");
    }
}
