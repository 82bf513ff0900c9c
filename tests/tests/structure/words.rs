//! Words that docs/glossary.md retired do not come back: not in identifiers, docs, comments or messages of Rust sources.

use crate::{root, sources};

const PAGE: &str = "docs/glossary.md";

/// Where a retired word is meant as everybody else means it, or is what users know: folder or file, and the text around it.
const EXCEPTIONS: [(&str, &str); 20] = [
    // The member `told` of a rollout's status.
    ("", "rollout.told"),
    ("operator/core/src/canary/action.rs", "RolloutStatus { told:"),
    ("operator/core/src/canary/finish.rs", "told: None,"),
    ("operator/core/src/canary/course.rs", "told: None,"),
    ("crds/src/canary/rollout.rs", "pub told: Option<Verb>"),
    // The head of a table, and rows of the benchmarks.
    ("tests/tests/helm/dashboard.rs", "| tells |"),
    ("tests/bench/src/distribution/report.rs", "a reader was told"),
    ("tests/bench/src/distribution/report.rs", "reader is told everything"),
    ("operator/src/metrics.rs", "round_seconds"),
    ("operator/src/metrics.rs", "\"rounds\""),
    ("operator/core/src/condition.rs", "Round"),
    ("operator/core/src/canary/simulate.rs", "The world of a simulation"),
    ("operator/core/src/canary/observations.rs", "What is seen of the world"),
    ("control-plane/src/api/validate/tests.rs", "round_trips"),
    ("tests/tests/aws_cli", "round_trips"),
    ("tests", "rounds_total"),
    ("tests/tests/helm/dashboard.rs", "operator_round"),
    ("", "round trip"),
    ("", "state of the world"),
    ("tests/tests/structure/words.rs", ""),
];

/// A word that is not to be used below a folder, and the one that took its place.
#[derive(Debug, PartialEq)]
struct Retired {
    word: String,
    folder: String,
    instead: String,
}

/// The words in the last column of the page's tables of four columns. `word (folder)` is retired in that folder alone; what has
/// a comma after it is followed by an explanation that is for people.
fn retired(page: &str) -> Vec<Retired> {
    let rows = page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let rows = rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    let rows = rows.filter(|cells| cells.len() == 4 && cells[3] != "instead of");
    rows.flat_map(|cells| {
        let words = cells[3].split("; ").filter(|words| !words.is_empty() && !words.contains(", "));
        words.map(|words| retired_word(words, cells[0])).collect::<Vec<_>>()
    })
    .collect()
}

fn retired_word(words: &str, instead: &str) -> Retired {
    let (word, folder) = words.split_once(" (").unwrap_or((words, ""));
    let folder = folder.trim_end_matches(')').trim_matches('`');
    Retired { word: word.to_owned(), folder: folder.to_owned(), instead: instead.to_owned() }
}

/// The words of a line, in lower case, each with where it begins: also those that identifiers are made of.
fn words(line: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut last = ' ';
    for (at, letter) in line.char_indices() {
        let goes_on =
            last.is_ascii_alphabetic() && !(last.is_ascii_lowercase() && letter.is_ascii_uppercase());
        if letter.is_ascii_alphabetic() {
            match found.last_mut() {
                Some((_, word)) if goes_on => word.push(letter.to_ascii_lowercase()),
                _ => found.push((at, letter.to_ascii_lowercase().to_string())),
            }
        }
        last = letter;
    }
    found
}

/// The word as it stands, in the singular, and its regular forms.
fn same(word: &str, retired: &str) -> bool {
    word == retired || word.strip_suffix('s') == Some(retired)
}

/// Each use of a retired word in the source at `path`, as `path:line: word`, unless it is an exception.
fn uses(path: &str, source: &str, retired: &[Retired]) -> Vec<String> {
    let excepted = |line: &str| {
        EXCEPTIONS.iter().any(|(place, text)| {
            path.starts_with(place) && line.to_lowercase().contains(&text.to_lowercase())
        })
    };
    let mut found = Vec::new();
    for (number, line) in source.lines().enumerate() {
        for (_, word) in words(line) {
            let Some(old) =
                retired.iter().find(|old| same(&word, &old.word) && path.starts_with(&old.folder))
            else {
                continue;
            };
            if !excepted(line) {
                found.push(format!("{path}:{}: {word}: say {}", number + 1, old.instead));
            }
        }
    }
    found
}

#[test]
fn retired_words_do_not_come_back() {
    let retired = retired(&std::fs::read_to_string(root().join(PAGE)).unwrap());
    assert!(retired.len() >= 8, "{PAGE} retires what it did: {retired:?}");
    let mut found = Vec::new();
    for path in sources() {
        let source = std::fs::read_to_string(root().join(&path)).unwrap();
        found.extend(uses(&path.display().to_string(), &source, &retired));
    }
    assert!(found.is_empty(), "{PAGE} retired these words:\n{}", found.join("\n"));
}

#[test]
fn a_retired_word_is_found_wherever_it_stands() {
    let page = "| word | what it is | source | instead of |\n|---|---|---|---|\n\
                | cache | what is known | client-go | world (`operator/src`) |\n\
                | reconcile | a pass | controller-runtime | round |\n";
    let retired = retired(page);
    assert_eq!(
        retired,
        [
            Retired { word: "world".into(), folder: "operator/src".into(), instead: "cache".into() },
            Retired { word: "round".into(), folder: String::new(), instead: "reconcile".into() },
        ]
    );
    for line in ["fn next_round() {}", "struct RoundLabels;", "// Rounds end.", "\"a round failed\""] {
        assert_eq!(uses("x.rs", line, &retired).len(), 1, "{line}");
    }
    for line in ["ground", "background_work", "around", "Surrounding", "let world = 1;", "a round trip"] {
        assert_eq!(uses("x.rs", line, &retired), [""; 0], "{line}");
    }
    assert_eq!(uses("operator/src/x.rs", "let world = 1;", &retired).len(), 1);
}
