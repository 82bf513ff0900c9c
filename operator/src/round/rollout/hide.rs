//! Takes out of words what a user's address may hold of secrets: a webhook's token in its path, a password before the host.
//! Servers like to say in a refusal what they were asked for, and the words go into status and Events. Pure.

use std::cmp::Reverse;

use percent_encoding::percent_decode_str;

/// The shortest user, or part of a path or a query, that is taken for a secret; shorter ones are words like `hooks`.
const TOKEN: usize = 6;
/// The shortest password that is hidden.
const PASSWORD: usize = 3;

/// `words` without the parts of `url` that may be secret: all of it, user and password, path and query, and whatever
/// is long in them, also percent-decoded. Host and port stay.
pub fn without(words: &str, url: &str) -> String {
    let mut parts = parts(url);
    let decoded: Vec<String> =
        parts.iter().map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect();
    parts.extend(decoded);
    parts.sort_by_key(|part| Reverse(part.len()));
    parts.iter().fold(words.to_owned(), |words, part| words.replace(part.as_str(), "…"))
}

fn parts(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let whole = [(url, TOKEN), (target, TOKEN), (user, TOKEN), (name, TOKEN), (password, PASSWORD)];
    let of_target = target.split(['/', '?', '#', '&', '=']).map(|part| (part, TOKEN));
    let parts = whole.into_iter().chain(of_target);
    parts.filter(|(part, shortest)| part.len() >= *shortest).map(|(part, _)| part.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_repeats_is_hidden_and_its_own_words_are_not() {
        let url = "https://ann:pass%2Fword@ci.example.com:8443/hooks/T0K3N-1?token=s3cr3t-2&x=1";
        for (words, shown) in [
            ("Cannot POST /hooks/T0K3N-1?token=s3cr3t-2&x=1", "Cannot POST …"),
            ("no hook T0K3N-1 for ann:pass/word", "no hook … for …"),
            ("s3cr3t-2 is expired, pass/word is wrong", "… is expired, … is wrong"),
            ("ci.example.com:8443 says: not before noon", "ci.example.com:8443 says: not before noon"),
            (url, "…"),
        ] {
            assert_eq!(without(words, url), shown);
        }
        assert_eq!(without("not today", "http://10.0.0.1"), "not today");
        assert_eq!(without("not / today", "http://10.0.0.1/"), "not / today");
    }
}
