//! The envelope of user data: a MIME message of several parts, as cloud-init reads it. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::options::DataPart;

/// The longest line of a MIME message, in characters (RFC 5322, section 2.1.1).
const MAX_LINE: usize = 998;
/// The most characters of an encoded line (RFC 2045, sections 6.7 and 6.8).
const ENCODED_LINE: usize = 76;

/// What a part's content looks like in a message.
struct Encoded {
    header: &'static str,
    body: String,
}

/// The message that holds `parts` in their order. The first one's name sorts first as well: cloud-init numbers parts
/// that have none.
pub(super) fn message(parts: &[DataPart]) -> String {
    let encoded: Vec<(&DataPart, Encoded)> = parts.iter().map(|part| (part, encode(&part.content))).collect();
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

/// Plain where that cannot change a byte, for people to read; otherwise what is shorter: a script with a name in it that
/// is not ASCII must not grow by a third for that.
fn encode(content: &str) -> Encoded {
    let plain = |c: char| c.is_ascii() && (!c.is_control() || c == '\n' || c == '\t');
    if content.chars().all(plain) && content.lines().all(|line| line.len() <= MAX_LINE) {
        return Encoded { header: "", body: content.to_owned() };
    }
    let (base64, quoted) = (base64(content), quoted_printable(content));
    if base64.len() < quoted.len() {
        Encoded { header: "Content-Transfer-Encoding: base64\n", body: base64 }
    } else {
        Encoded { header: "Content-Transfer-Encoding: quoted-printable\n", body: quoted }
    }
}

fn base64(content: &str) -> String {
    let mut body = String::new();
    for (index, c) in STANDARD.encode(content).chars().enumerate() {
        if index > 0 && index % ENCODED_LINE == 0 {
            body.push('\n');
        }
        body.push(c);
    }
    body
}

/// RFC 2045, section 6.7, with our own line breaks as they are: a library would write them as CRLF.
fn quoted_printable(content: &str) -> String {
    let (mut body, mut column) = (String::new(), 0);
    let mut bytes = content.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b'\n' {
            body.push('\n');
            column = 0;
            continue;
        }
        let ends = bytes.peek().is_none_or(|next| *next == b'\n');
        let written = match byte {
            b' ' | b'\t' if !ends => char::from(byte).to_string(),
            b'=' => "=3D".to_owned(),
            b'!'..=b'~' => char::from(byte).to_string(),
            _ => format!("={byte:02X}"),
        };
        // Room for the mark of a line that goes on.
        if column + written.len() > ENCODED_LINE - usize::from(!ends) {
            body += "=\n";
            column = 0;
        }
        column += written.len();
        body += &written;
    }
    body
}

/// A boundary that is in no part.
fn boundary(parts: &[(&DataPart, Encoded)]) -> String {
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

    fn part(content: &str) -> DataPart {
        DataPart { content_type: "text/plain".to_owned(), content: content.to_owned() }
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
            assert!(message(&[part(content)]).contains("Content-Transfer-Encoding"), "{content:?}");
        }
        for (content, encoding) in
            [("\u{e9}".repeat(100), "base64"), ("x=".repeat(5) + &"x ".repeat(600), "quoted-printable")]
        {
            let message = message(&[part(&content)]);
            assert!(message.contains(encoding), "{message}");
            assert_eq!(message.lines().map(str::len).max(), Some(76), "{message}");
        }
    }

    #[test]
    fn what_is_quoted_is_what_the_rfc_says() {
        assert_eq!(quoted_printable("caf\u{e9} = \u{2603}"), "caf=C3=A9 =3D =E2=98=83");
        assert_eq!(
            quoted_printable("a \n\tb\t\r\n"),
            "a=20\n\tb\t=0D\n",
            "blanks at an end are lost on the way"
        );
        assert_eq!(quoted_printable(&"x".repeat(76)), "x".repeat(76));
        assert_eq!(quoted_printable(&"x".repeat(77)), format!("{}=\nxx", "x".repeat(75)));
        assert_eq!(quoted_printable(&format!("{}=", "x".repeat(74))), format!("{}=\n=3D", "x".repeat(74)));
    }

    #[test]
    fn no_part_ends_the_message() {
        let text = message(&[part("--fleetmesh-0--\n--fleetmesh-1\n")]);
        assert!(text.contains("boundary=\"fleetmesh-2\"") && text.ends_with("\n--fleetmesh-2--\n"), "{text}");
    }
}
