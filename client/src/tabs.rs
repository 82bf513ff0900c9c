//! Text with tabs as columns: each tab ends a cell, and the cells of neighbouring lines are as wide as the widest of them (elastic
//! tabstops, as kubectl has them). What follows the last tab of a line belongs to no column.

/// How wide columns are, in characters.
#[derive(Clone, Copy, Debug)]
pub struct Tabs {
    /// At least.
    pub least: usize,
    /// Blanks behind the widest cell.
    pub padding: usize,
}

impl Tabs {
    /// Those of tables.
    pub const TABLE: Self = Self { least: 6, padding: 3 };
    /// Those of descriptions.
    pub const DESCRIPTION: Self = Self { least: 0, padding: 2 };

    /// `text` with its columns aligned.
    pub fn align(self, text: &str) -> String {
        self.aligned(text, None)
    }

    /// The same for text that goes on: no column is narrower than in `widths`, which are then the new ones.
    pub fn align_after(self, text: &str, widths: &mut Vec<usize>) -> String {
        self.aligned(text, Some(widths))
    }

    fn aligned(self, text: &str, mut remembered: Option<&mut Vec<usize>>) -> String {
        let lines: Vec<Vec<&str>> =
            text.split_terminator('\n').map(|line| line.split('\t').collect()).collect();
        let mut out = String::with_capacity(text.len() * 2);
        self.block(&lines, &mut Vec::new(), &mut remembered, &mut out);
        out
    }

    /// Writes lines whose first columns are as wide as `widths` says.
    fn block(
        self,
        lines: &[Vec<&str>],
        widths: &mut Vec<usize>,
        remembered: &mut Option<&mut Vec<usize>>,
        out: &mut String,
    ) {
        let column = widths.len();
        let has_cell = |line: &Vec<&str>| column + 1 < line.len();
        let mut rest = lines;
        while let Some(first) = rest.first() {
            let is_in = has_cell(first);
            let length = rest.iter().take_while(|line| has_cell(line) == is_in).count();
            let (these, others) = rest.split_at(length);
            rest = others;
            if !is_in {
                these.iter().for_each(|line| write(line, widths, out));
                continue;
            }
            let cells = these.iter().filter_map(|line| line.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or_default();
            let mut width = self.least.max(widest + self.padding);
            if let Some(remembered) = remembered {
                remembered.resize(remembered.len().max(column + 1), 0);
                if let Some(before) = remembered.get_mut(column) {
                    width = width.max(*before);
                    *before = width;
                }
            }
            widths.push(width);
            self.block(these, widths, remembered, out);
            widths.pop();
        }
    }
}

fn write(line: &[&str], widths: &[usize], out: &mut String) {
    for (at, cell) in line.iter().enumerate() {
        out.push_str(cell);
        if let Some(width) = widths.get(at) {
            out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_lines_have_the_same_columns_and_others_have_their_own() {
        let text = "NAME\tREADY\tAGE\nserviceb-node\tTrue\t3s\n\t\tx\nfree text\nab\tc\n";
        let expected = "NAME            READY   AGE\nserviceb-node   True    3s\n                        x\nfree text\nab    c\n";
        assert_eq!(Tabs::TABLE.align(text), expected);
        let text = "Name:\tapps\nLabels:\t<none>\nSpec:\n  Egress:\n    Type:\tDROP_ALL\n";
        let expected = "Name:    apps\nLabels:  <none>\nSpec:\n  Egress:\n    Type:  DROP_ALL\n";
        assert_eq!(Tabs::DESCRIPTION.align(text), expected);
    }

    #[test]
    fn a_table_that_goes_on_keeps_its_columns() {
        let mut widths = Vec::new();
        assert_eq!(Tabs::TABLE.align_after("longer-name\tx\n", &mut widths), "longer-name   x\n");
        assert_eq!(Tabs::TABLE.align_after("a\tb\n", &mut widths), "a             b\n");
    }

    #[test]
    fn letters_are_counted_and_not_their_bytes() {
        assert_eq!(Tabs::TABLE.align("ééé\tx\nabc\ty\n"), "ééé   x\nabc   y\n");
    }
}
