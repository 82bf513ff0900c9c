//! What Go's `encoding/base64` says of text that is none.

/// Where Go's decoder of unpadded base64 in the alphabet of URLs stops, as a number of bytes; nothing when it does not.
pub fn base64_error(text: &str) -> Option<usize> {
    let mut digits = 0_usize;
    for (at, letter) in text.bytes().enumerate() {
        match letter {
            b'\r' | b'\n' => {}
            b'-' | b'_' => digits += 1,
            letter if letter.is_ascii_alphanumeric() => digits += 1,
            _ => return Some(at),
        }
    }
    // One digit alone is no byte.
    (digits % 4 == 1).then(|| text.len() - 1)
}

#[test]
fn the_place_is_that_of_go() {
    for (text, place) in [
        ("", None),
        ("YQ", None),
        ("YWI\n", None),
        ("x", Some(0)),
        ("YWJjx", Some(4)),
        ("Y+", Some(1)),
        ("YQ==", Some(2)),
    ] {
        assert_eq!(base64_error(text), place, "{text:?}");
    }
}
