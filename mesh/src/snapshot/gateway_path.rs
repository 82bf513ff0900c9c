//! Two conditions on the path of one request: a gateway route's on what the client asked for, and a route's on what the
//! gateway made of it. Pure.

use envoy_types::pb::envoy::config::route::v3::HeaderMatcher;
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};
use fleetmesh_model::re2;

/// A condition on a path, without its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// How it begins; `/` is any.
    Prefix(String),
    /// The whole of it.
    Exact(String),
    /// A regular expression for the whole of it.
    Regex(String),
}

impl Path {
    /// A condition of Envoy's; `None` for one that App Mesh does not have.
    pub(super) fn of(specifier: Option<&PathSpecifier>) -> Option<Self> {
        match specifier {
            None => Some(Self::Prefix("/".into())),
            Some(PathSpecifier::Prefix(prefix)) => Some(Self::Prefix(prefix.clone())),
            Some(PathSpecifier::Path(path)) => Some(Self::Exact(path.clone())),
            Some(PathSpecifier::SafeRegex(regex)) => Some(Self::Regex(regex.regex.clone())),
            Some(_) => None,
        }
    }

    fn specifier(self) -> PathSpecifier {
        match self {
            Self::Prefix(prefix) => PathSpecifier::Prefix(prefix),
            Self::Exact(path) => PathSpecifier::Path(path),
            Self::Regex(regex) => PathSpecifier::SafeRegex(matcher(regex)),
        }
    }
}

/// What a gateway makes of a path that it matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rewrite {
    /// It stays.
    Nothing,
    /// What matched becomes this.
    Matched(String),
    /// What the expression finds becomes this.
    Found {
        /// The regular expression.
        regex: String,
        /// What stands in its place; a backslash is written as two.
        becomes: String,
    },
}

/// Both conditions in one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Joined {
    pub(super) path: PathSpecifier,
    /// The second one, where one condition on the path cannot say both.
    pub(super) also: Option<HeaderMatcher>,
    pub(super) rewrite: Rewrite,
}

impl Joined {
    fn expressions(&self) -> impl Iterator<Item = &str> {
        let path = match &self.path {
            PathSpecifier::SafeRegex(path) => Some(path.regex.as_str()),
            _ => None,
        };
        let rewrite = match &self.rewrite {
            Rewrite::Found { regex, .. } => Some(regex.as_str()),
            Rewrite::Nothing | Rewrite::Matched(_) => None,
        };
        path.into_iter().chain(rewrite).chain(self.also.as_ref().and_then(expression_of))
    }
}

fn expression_of(condition: &HeaderMatcher) -> Option<&str> {
    match &condition.header_match_specifier {
        Some(HeaderMatchSpecifier::StringMatch(StringMatcher {
            match_pattern: Some(MatchPattern::SafeRegex(value)),
            ..
        })) => Some(&value.regex),
        _ => None,
    }
}

/// Why two conditions have none in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Apart {
    /// No request fulfils both.
    Never,
    /// It cannot be said to Envoy.
    Unspeakable,
}

/// What fulfils `gateway` and, after the prefix or the path that it matched became `new`, `route`.
pub(super) fn join(gateway: &Path, new: Option<&str>, route: &Path) -> Result<Joined, Apart> {
    let joined = match (gateway, new) {
        (_, None) => unchanged(gateway, route),
        (Path::Prefix(matched), Some(new)) => new_prefix(matched, new, route),
        (Path::Exact(_) | Path::Regex(_), Some(new)) => new_path(gateway, new, route),
    }?;
    // Two that Envoy takes may make one that it does not: too large, or the end of one within a quotation of the other.
    if joined.expressions().all(|expression| re2::check(expression).is_ok()) {
        Ok(joined)
    } else {
        Err(Apart::Unspeakable)
    }
}

fn unchanged(gateway: &Path, route: &Path) -> Result<Joined, Apart> {
    use Path::{Exact, Prefix, Regex};
    let (path, also) = match (gateway, route) {
        (Prefix(a), Prefix(b)) if b.starts_with(a.as_str()) => (Prefix(b.clone()), None),
        (Prefix(a), Prefix(b)) if a.starts_with(b.as_str()) => (Prefix(a.clone()), None),
        (Prefix(prefix), Exact(path)) | (Exact(path), Prefix(prefix))
            if path.starts_with(prefix.as_str()) =>
        {
            (Exact(path.clone()), None)
        }
        (Exact(a), Exact(b)) if a == b => (Exact(a.clone()), None),
        (Prefix(_) | Exact(_), Prefix(_) | Exact(_)) => return Err(Apart::Never),
        (Regex(regex), Prefix(prefix)) | (Prefix(prefix), Regex(regex)) => {
            let also = (prefix != "/").then(|| on_path(MatchPattern::Prefix(prefix.clone())));
            (Regex(regex.clone()), also)
        }
        (Regex(regex), Exact(path)) | (Exact(path), Regex(regex)) => {
            (Exact(path.clone()), Some(whole(regex)))
        }
        (Regex(a), Regex(b)) => (Regex(a.clone()), (a != b).then(|| whole(b))),
    };
    Ok(Joined { path: path.specifier(), also, rewrite: Rewrite::Nothing })
}

/// A prefix that becomes one which ends in a slash takes a slash that follows it with it: `/api/x` becomes `/x` and not `//x`
/// when `/api` becomes `/`, and so does `/api` itself.
fn new_prefix(matched: &str, new: &str, route: &Path) -> Result<Joined, Apart> {
    let takes_slash = new.ends_with('/') && !matched.ends_with('/');
    let begin = if takes_slash { format!("{}/?", literal(matched)) } else { literal(matched) };
    let regex = || Rewrite::Found { regex: format!("^{begin}"), becomes: new.replace('\\', "\\\\") };
    let joined = |path: Path, rewrite| Ok(Joined { path: path.specifier(), also: None, rewrite });
    match route {
        Path::Prefix(prefix) if new.starts_with(prefix.as_str()) => {
            let rewrite = if takes_slash { regex() } else { Rewrite::Matched(new.to_owned()) };
            joined(Path::Prefix(matched.to_owned()), rewrite)
        }
        Path::Prefix(prefix) => match prefix.strip_prefix(new) {
            Some(rest) if takes_slash => joined(Path::Regex(format!("{begin}{}.*", literal(rest))), regex()),
            Some(rest) => joined(Path::Prefix(format!("{matched}{rest}")), Rewrite::Matched(prefix.clone())),
            None => Err(Apart::Never),
        },
        Path::Exact(path) => match path.strip_prefix(new) {
            Some(rest) if takes_slash => joined(Path::Regex(format!("{begin}{}", literal(rest))), regex()),
            Some(rest) => joined(Path::Exact(format!("{matched}{rest}")), Rewrite::Matched(path.clone())),
            None => Err(Apart::Never),
        },
        Path::Regex(expression) => {
            let rest = after(expression, new).ok_or(Apart::Unspeakable)?;
            joined(Path::Regex(format!("{begin}(?:{rest})")), regex())
        }
    }
}

/// A whole path that becomes another one: what the route says of that is known now.
fn new_path(gateway: &Path, new: &str, route: &Path) -> Result<Joined, Apart> {
    let fulfilled = match route {
        Path::Prefix(prefix) => new.starts_with(prefix.as_str()),
        Path::Exact(path) => new == path,
        Path::Regex(expression) if ANYTHING.contains(&expression.as_str()) => true,
        Path::Regex(expression) if is_plain(expression) => new == expression,
        Path::Regex(_) => return Err(Apart::Unspeakable),
    };
    if !fulfilled {
        return Err(Apart::Never);
    }
    let rewrite = match gateway {
        Path::Prefix(_) | Path::Exact(_) => Rewrite::Matched(new.to_owned()),
        Path::Regex(_) => Rewrite::Found { regex: "^/.*$".into(), becomes: new.replace('\\', "\\\\") },
    };
    Ok(Joined { path: gateway.clone().specifier(), also: None, rewrite })
}

/// Expressions that every path fulfils.
const ANYTHING: [&str; 4] = [".*", ".+", "/.*", "^/.*$"];

/// The expression for what may follow `begin`, of one for the whole; `None` where that cannot be read off.
fn after(expression: &str, begin: &str) -> Option<String> {
    if ANYTHING.contains(&expression) {
        return Some(".*".into());
    }
    let expression = expression.strip_prefix('^').unwrap_or(expression);
    if is_alternative(expression) {
        return None;
    }
    if expression.starts_with(".*") {
        return Some(expression.to_owned());
    }
    let rest = expression.strip_prefix(begin)?;
    let is_quantified = rest.starts_with(['*', '+', '?', '{']);
    (is_plain(begin) && !is_quantified).then(|| rest.to_owned())
}

/// Whether an expression may be one of several at its top. Where that is not sure it may.
fn is_alternative(expression: &str) -> bool {
    let mut depth = 0_usize;
    expression.chars().any(|letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == '|' && depth == 0
    })
}

/// Whether an expression stands for itself.
fn is_plain(expression: &str) -> bool {
    !expression.contains(|letter: char| r".^$*+?()[]{}|\".contains(letter))
}

/// The expression of RE2 that stands for `text`.
fn literal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii_punctuation() && !"/_-".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

fn matcher(regex: String) -> RegexMatcher {
    RegexMatcher { regex, ..RegexMatcher::default() }
}

/// The condition that the path without its query fulfils the expression, as one on the header that holds both.
fn whole(regex: &str) -> HeaderMatcher {
    on_path(MatchPattern::SafeRegex(matcher(format!(r"(?:{regex})(?:\?.*)?"))))
}

fn on_path(pattern: MatchPattern) -> HeaderMatcher {
    HeaderMatcher {
        name: ":path".into(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(StringMatcher {
            match_pattern: Some(pattern),
            ..StringMatcher::default()
        })),
        ..HeaderMatcher::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Path {
        Path::Prefix(text.into())
    }

    fn exact(text: &str) -> Path {
        Path::Exact(text.into())
    }

    fn regex(text: &str) -> Path {
        Path::Regex(text.into())
    }

    fn shown(gateway: &Path, new: Option<&str>, route: &Path) -> String {
        match join(gateway, new, route) {
            Err(apart) => format!("{apart:?}"),
            Ok(Joined { path, also, rewrite }) => {
                let path = match path {
                    PathSpecifier::Prefix(text) => format!("{text}…"),
                    PathSpecifier::Path(text) => text,
                    PathSpecifier::SafeRegex(matcher) => format!("~{}", matcher.regex),
                    other => format!("{other:?}"),
                };
                let also = if also.is_some() { " and another" } else { "" };
                let rewrite = match rewrite {
                    Rewrite::Nothing => String::new(),
                    Rewrite::Matched(new) => format!(" to {new}"),
                    Rewrite::Found { regex, becomes } => format!(" {regex} to {becomes}"),
                };
                format!("{path}{also}{rewrite}")
            }
        }
    }

    #[test]
    fn conditions_on_the_same_path_are_joined() {
        for (gateway, route, expected) in [
            (prefix("/"), prefix("/a"), "/a…"),
            (prefix("/a"), prefix("/"), "/a…"),
            (prefix("/a"), prefix("/b"), "Never"),
            (prefix("/a"), exact("/a/b"), "/a/b"),
            (exact("/a"), prefix("/b"), "Never"),
            (exact("/a"), exact("/a"), "/a"),
            (regex("/a.*"), prefix("/"), "~/a.*"),
            (regex("/a.*"), prefix("/ab"), "~/a.* and another"),
            (prefix("/ab"), regex("/a.*"), "~/a.* and another"),
            (exact("/ab"), regex("/a.*"), "/ab and another"),
            (regex("/a.*"), regex("/a.*"), "~/a.*"),
            (regex("/a.*"), regex("/.*b"), "~/a.* and another"),
        ] {
            assert_eq!(shown(&gateway, None, &route), expected, "{gateway:?} {route:?}");
        }
    }

    #[test]
    fn a_route_sees_the_path_after_the_gateway_rewrote_its_prefix() {
        let api = prefix("/api");
        for (new, route, expected) in [
            ("/", prefix("/"), "/api… ^/api/? to /"),
            ("/", prefix("/v1"), "~/api/?v1.* ^/api/? to /"),
            ("/", exact("/"), "~/api/? ^/api/? to /"),
            ("/", exact("/v.1"), r"~/api/?v\.1 ^/api/? to /"),
            ("/", regex("/.*"), "~/api/?(?:.*) ^/api/? to /"),
            ("/", regex("/v[0-9]+"), "~/api/?(?:v[0-9]+) ^/api/? to /"),
            ("/", regex("/?x"), "Unspeakable"),
            ("/", regex("/a|/b"), "Unspeakable"),
            ("/new", prefix("/"), "/api… to /new"),
            ("/new", prefix("/newer"), "/apier… to /newer"),
            ("/new", prefix("/other"), "Never"),
            ("/new", exact("/new/x"), "/api/x to /new/x"),
            ("/new", exact("/other"), "Never"),
        ] {
            assert_eq!(shown(&api, Some(new), &route), expected, "{new} {route:?}");
        }
        assert_eq!(shown(&prefix("/test/"), Some("/red/"), &prefix("/red")), "/test/… to /red/");
    }

    /// Envoy would refuse the whole table of the port.
    #[test]
    fn an_expression_that_envoy_would_not_take_is_made_of_none_that_it_takes() {
        let long = format!("/{}", "a".repeat(600));
        for (gateway, new, route) in [
            (prefix(&long), Some("/"), prefix(&long)),
            (exact("/a"), None, regex("/a{990}")),
            (exact("/a"), None, regex(r"/\Qa")),
            (prefix("/api"), Some("/"), regex("/a{995}")),
        ] {
            for route in [&gateway, &route] {
                if let Path::Regex(alone) = route {
                    assert!(re2::check(alone).is_ok(), "{alone}");
                }
            }
            assert_eq!(shown(&gateway, new, &route), "Unspeakable", "{gateway:?} {route:?}");
        }
    }

    #[test]
    fn a_route_sees_the_path_that_the_gateway_put_in_the_place_of_a_whole_one() {
        let blue = exact("/rewrite/blue");
        assert_eq!(shown(&blue, Some("/blue"), &prefix("/blue")), "/rewrite/blue to /blue");
        assert_eq!(shown(&blue, Some("/blue"), &exact("/red")), "Never");
        assert_eq!(shown(&blue, Some("/blue"), &regex("/b.*")), "Unspeakable");
        assert_eq!(shown(&regex("/[a-z]+"), Some("/x"), &prefix("/")), "~/[a-z]+ ^/.*$ to /x");
    }
}
