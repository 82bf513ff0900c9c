//! Secrets that a test plants, and the search for them in whatever form a log could give them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// A secret: what it is, and its text, which is nowhere else.
struct PlantedSecret {
    what: String,
    text: String,
}

/// The secrets.
#[derive(Default)]
pub struct Planted(Vec<PlantedSecret>);

impl Planted {
    /// A new secret of 40 letters and digits, so that it looks the same in a URL, in a header and in JSON.
    pub fn secret(&mut self, what: &str) -> String {
        let text = format!("CANARY{}", random(self.0.len()));
        self.known(what, &text);
        text
    }

    /// A secret that somebody else made.
    pub fn known(&mut self, what: &str, text: &str) {
        assert!(text.len() >= 12, "{what} is too short to be searched for");
        self.0.push(PlantedSecret { what: what.to_owned(), text: text.to_owned() });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What is in `text`: each secret, the form it is in, and the words around it.
    pub fn found(&self, text: &str) -> Vec<String> {
        let found = self.0.iter().flat_map(|secret| {
            let forms = forms(&secret.text);
            forms.into_iter().filter_map(|(form, needle)| {
                let at = text.find(&needle)?;
                let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
                let line: String = text[line..].chars().take(400).collect();
                Some(format!("{} {form}: {line}", secret.what))
            })
        });
        found.collect()
    }
}

/// A new text of 34 letters and digits.
fn random(count: usize) -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let half = || format!("{:016x}", RandomState::new().hash_one(count));
    format!("{}{}{count:02}", half(), half())
}

/// `secret` as it is, in base 64 at each of the three places that it can have in a longer text, and as the numbers that
/// Rust shows bytes as.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let encoded = (0..3).map(|offset| {
        let text = STANDARD_NO_PAD.encode([vec![b'x'; offset], secret.into()].concat());
        // The ends depend on the neighbours.
        ("in base 64", text[4 * offset.min(1)..text.len() - 4].to_owned())
    });
    let numbers: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
    let plain = ("as it is", secret.to_owned());
    std::iter::once(plain).chain(encoded).chain([("as numbers", numbers.join(", "))]).collect()
}

#[test]
fn a_secret_is_found_in_every_form() {
    let mut planted = Planted::default();
    let secret = planted.secret("a key");
    assert_eq!((secret.len(), planted.len()), (40, 1));
    assert_ne!(planted.secret("another"), secret);
    for text in [
        format!("url=http://u:{secret}@host/"),
        format!("{:?}", format!("body {secret}").as_bytes()),
        base64::engine::general_purpose::STANDARD.encode(format!("x{secret}")),
        base64::engine::general_purpose::STANDARD.encode(format!("yz{secret} and more")),
        base64::engine::general_purpose::STANDARD.encode(format!("{secret}!")),
    ] {
        let found = planted.found(&format!("a line\nTRACE {text}\nanother"));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with("a key ") && found[0].contains("TRACE"), "{found:?}");
    }
    assert!(planted.found("CANARY").is_empty());
}
