//! The names of members as words: `virtualRouterRef` is «Virtual Router Ref».

/// The words of a member's name. A name with anything but letters and dashes stays as it is.
pub fn label(name: &str) -> String {
    if !name.chars().all(|letter| letter.is_alphabetic() || letter == '-') {
        return name.to_owned();
    }
    let words = joined(split(name)).into_iter();
    let words = words.map(|word| {
        let is_acronym = ["API", "URL", "UID", "GUID"].contains(&word.to_uppercase().as_str());
        if is_acronym {
            word.to_uppercase()
        } else if word.to_lowercase() == word {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
        } else {
            word
        }
    });
    words.collect::<Vec<String>>().join(" ")
}

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Lower,
    Upper,
    Other,
}

/// Words of camel case: the last of several capitals begins a word.
fn split(name: &str) -> Vec<String> {
    let class = |letter: char| match letter {
        _ if letter.is_lowercase() => Class::Lower,
        _ if letter.is_uppercase() => Class::Upper,
        _ => Class::Other,
    };
    let mut runs: Vec<(Class, String)> = Vec::new();
    for letter in name.chars() {
        match runs.last_mut() {
            Some((last, run)) if *last == class(letter) => run.push(letter),
            Some((Class::Upper, run)) if class(letter) == Class::Lower => {
                let capital = run.pop();
                runs.push((Class::Lower, capital.into_iter().chain([letter]).collect()));
            }
            _ => runs.push((class(letter), letter.to_string())),
        }
    }
    runs.into_iter().map(|(_, run)| run).filter(|run| !run.is_empty()).collect()
}

/// Several capitals and a word behind them are one word.
fn joined(words: Vec<String>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    let mut goes_on = false;
    for word in words {
        let is_capital = word.starts_with(char::is_uppercase);
        let is_all_upper = word.chars().count() > 1 && word.chars().all(|letter| !letter.is_lowercase());
        match joined.last_mut() {
            Some(last) if goes_on && is_capital => {
                last.push_str(&word);
                goes_on = false;
            }
            _ => {
                joined.push(word);
                goes_on = is_all_upper;
            }
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn names_become_words() {
        for (name, words) in [
            ("spec", "Spec"),
            ("virtualRouterRef", "Virtual Router Ref"),
            ("apiVersion", "API Version"),
            ("uid", "UID"),
            ("meshARN", "Mesh ARN"),
            ("tlsCAFile", "Tls CAFile"),
            ("http2", "http2"),
            ("a.b/c", "a.b/c"),
            ("X", "X"),
        ] {
            assert_eq!(label(name), words, "{name}");
        }
    }
}
