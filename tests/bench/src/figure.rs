//! Figures beside their targets: the verdict on each, and the table that shows them. Pure.

/// One figure.
#[derive(Clone, Debug)]
pub struct Figure {
    name: String,
    measured: String,
    target: Option<FigureTarget>,
    /// AWS's controller's, where the issue gives it.
    peer: &'static str,
}

#[derive(Clone, Debug)]
struct FigureTarget {
    words: String,
    reached: bool,
}

impl Figure {
    /// One without a target.
    pub fn shown(name: &str, measured: String) -> Self {
        Self { name: name.to_owned(), measured, target: None, peer: "" }
    }

    /// One that should be `bound` at most.
    pub fn at_most(name: &str, measured: f64, digits: usize, bound: f64) -> Self {
        let target = FigureTarget { words: format!("≤ {bound}"), reached: measured <= bound };
        Self { target: Some(target), ..Self::shown(name, format!("{measured:.digits$}")) }
    }

    /// One that should be `bound` at least.
    pub fn at_least(name: &str, measured: f64, digits: usize, bound: f64) -> Self {
        let target = FigureTarget { words: format!("≥ {bound}"), reached: measured >= bound };
        Self { target: Some(target), ..Self::shown(name, format!("{measured:.digits$}")) }
    }

    /// The same beside AWS's controller's.
    pub fn beside(self, peer: &'static str) -> Self {
        Self { peer, ..self }
    }

    fn is_missed(&self) -> bool {
        self.target.as_ref().is_some_and(|target| !target.reached)
    }
}

/// The figures as the Markdown table of `docs/performance.md`; each that misses its target is marked. With `peer` there is a
/// column of this name for what they are beside.
pub fn table(figures: &[Figure], peer: Option<&str>) -> String {
    let row = |cells: [&str; 4]| {
        let cells = &cells[..if peer.is_some() { 4 } else { 3 }];
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = row(["figure", "measured", "to reach", peer.unwrap_or_default()]);
    text.push_str(if peer.is_some() { "|---|---|---|---|\n" } else { "|---|---|---|\n" });
    for figure in figures {
        let mark = if figure.is_missed() { " MISSED" } else { "" };
        let target = figure.target.as_ref().map_or("", |target| target.words.as_str());
        text.push_str(&row([&figure.name, &format!("{}{mark}", figure.measured), target, figure.peer]));
    }
    text
}

/// The names of those that miss their targets.
pub fn missed(figures: &[Figure]) -> Vec<&str> {
    figures.iter().filter(|figure| figure.is_missed()).map(|figure| figure.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_misses_its_target_is_marked_and_named_and_nothing_else() {
        let figures = [
            Figure::at_least("share", 79.96, 1, 80.0).beside("24"),
            Figure::at_least("rate", 80.0, 0, 80.0),
            Figure::at_most("slow", 20.1, 1, 20.0),
            Figure::at_most("quick", 20.0, 1, 20.0),
            Figure::at_least("unknown", f64::NAN, 1, 1.0),
            Figure::shown("free", "9".to_owned()),
        ];
        assert_eq!(
            missed(&figures),
            ["share", "slow", "unknown"],
            "what is shown as its bound may still miss it"
        );
        let text = table(&figures, Some("theirs"));
        assert!(text.starts_with("| figure | measured | to reach | theirs |\n|---|---|---|---|\n"), "{text}");
        assert!(text.contains("| share | 80.0 MISSED | ≥ 80 | 24 |\n"), "{text}");
        assert!(text.contains("| quick | 20.0 | ≤ 20 |  |\n| unknown | NaN MISSED | ≥ 1 |  |\n"), "{text}");
        assert_eq!(text.matches("MISSED").count(), 3, "{text}");
        assert!(table(&figures, None).ends_with("| free | 9 |  |\n"));
    }
}
