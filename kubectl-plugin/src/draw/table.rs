//! Columns and wrapped lines. Widths count what is seen, not escape sequences.

use console::{Alignment, measure_text_width, pad_str};
use textwrap::Options;

/// Between two columns.
const GAP: &str = "  ";
/// Before each line of a section.
pub const INDENT: &str = "  ";

/// Rows as indented lines with columns of equal width; those of `right` are aligned to the right, counted from 0.
pub fn table(rows: &[Vec<String>], right: &[usize]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| measure_text_width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter().map(|row| line(row, &widths, right)).collect()
}

fn line(row: &[String], widths: &[usize], right: &[usize]) -> String {
    let cells = row.iter().zip(widths).enumerate().filter(|(_, (_, width))| **width > 0);
    let cells = cells.map(|(column, (cell, width))| {
        let side = if right.contains(&column) { Alignment::Right } else { Alignment::Left };
        pad_str(cell, *width, side, None).into_owned()
    });
    let text = cells.collect::<Vec<_>>().join(GAP);
    format!("{INDENT}{}", text.trim_end())
}

/// The lines, those wrapped that are longer than `width`, and a line feed after each.
pub fn wrap(lines: &[String], width: Option<usize>) -> String {
    let mut text = String::new();
    for line in lines {
        let Some(width) = width.filter(|width| measure_text_width(line) > *width) else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let start: String = line.chars().take_while(|letter| *letter == ' ').collect();
        let next = format!("{start}{INDENT}");
        let options = Options::new(width).initial_indent(&start).subsequent_indent(&next);
        for wrapped in textwrap::wrap(line.trim_start(), options) {
            text.push_str(&wrapped);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_whatever_their_colours() {
        let red = console::style("ab").force_styling(true).red().to_string();
        let rows = [vec![red, "1".to_owned()], vec!["abc".to_owned(), "10".to_owned()]];
        let lines = table(&rows, &[1]);
        assert_eq!(console::strip_ansi_codes(&lines[0]), "  ab    1");
        assert_eq!(lines[1], "  abc  10");
    }

    #[test]
    fn long_lines_go_on_below_their_beginning() {
        let lines = ["  one two three".to_owned(), "short".to_owned()];
        assert_eq!(wrap(&lines, Some(10)), "  one two\n    three\nshort\n");
        assert_eq!(wrap(&lines, None), "  one two three\nshort\n");
    }
}
