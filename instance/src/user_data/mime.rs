//! The envelope of user data: a MIME message of several parts, as cloud-init reads it. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::options::Part;

/// The longest line of a MIME message, in characters (RFC 5322, section 2.1.1).
const MAX_LINE: usize = 998;
/// The length of a line of base64, in characters (RFC 2045, section 6.8).
const BASE64_LINE: usize = 76;

/// What a part's content looks like in a message.
struct Encoded {
    header: &'static str,
    body: String,
}

/// The message that holds `parts` in their order. The first one's name sorts first as well: cloud-init numbers parts
/// that have none.
pub(super) fn message(parts: &[Part]) -> String {
    let encoded: Vec<(&Part, Encoded)> = parts.iter().map(|part| (part, encode(&part.content))).collect();
    let boundary = boundary(&encoded);
    let mut text = format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n");
    for (part, Encoded { header, body }) in &encoded {
        text += &format!(
            "--{boundary}\nContent-Type: {}; charset=\"utf-8\"\n{header}\n{body}\n",
            part.content_type
        );
    }
    text + &format!("--{boundary}--\n")
}

/// Plain where that cannot change a byte, for people to read; base64 otherwise.
fn encode(content: &str) -> Encoded {
    let plain = |c: char| c.is_ascii() && (!c.is_control() || c == '\n' || c == '\t');
    if content.chars().all(plain) && content.lines().all(|line| line.len() <= MAX_LINE) {
        return Encoded { header: "", body: content.to_owned() };
    }
    let mut body = String::new();
    for (index, c) in STANDARD.encode(content).chars().enumerate() {
        if index > 0 && index % BASE64_LINE == 0 {
            body.push('\n');
        }
        body.push(c);
    }
    Encoded { header: "Content-Transfer-Encoding: base64\n", body }
}

/// A boundary that is in no part.
fn boundary(parts: &[(&Part, Encoded)]) -> String {
    let mut number = 0_usize;
    loop {
        let boundary = format!("fleetmesh-{number}");
        if !parts.iter().any(|(_, Encoded { body, .. })| body.contains(&boundary)) {
            return boundary;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(content: &str) -> Part {
        Part { content_type: "text/plain".to_owned(), content: content.to_owned() }
    }

    #[test]
    fn what_is_plain_stays_readable() {
        let expected = "Content-Type: multipart/mixed; boundary=\"fleetmesh-0\"\nMIME-Version: 1.0\n\n\
                        --fleetmesh-0\nContent-Type: text/plain; charset=\"utf-8\"\n\na\n\tb\n\n--fleetmesh-0--\n";
        assert_eq!(message(&[part("a\n\tb\n")]), expected);
    }

    #[test]
    fn what_a_message_could_change_is_encoded() {
        for content in ["caf\u{e9}", "a\r\nb", "\u{c}", &"x".repeat(999)] {
            assert!(message(&[part(content)]).contains("base64"), "{content:?}");
        }
        let longest = message(&[part(&"\u{e9}".repeat(100))]).lines().map(str::len).max();
        assert_eq!(longest, Some(76));
    }

    #[test]
    fn no_part_ends_the_message() {
        let text = message(&[part("--fleetmesh-0--\n--fleetmesh-1\n")]);
        assert!(text.contains("boundary=\"fleetmesh-2\"") && text.ends_with("\n--fleetmesh-2--\n"), "{text}");
    }
}
