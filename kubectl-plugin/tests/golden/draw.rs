//! The pictures of `canary status`: one for each state of a Route, compared with its golden file.

use std::path::PathBuf;

use fleetmesh_crds::Route;
use fleetmesh_kubectl::draw::{Style, draw};
use fleetmesh_kubectl::report::StatusReport;
use jiff::Timestamp;

use crate::files;

const STATES: [&str; 10] = [
    "progressing",
    "held",
    "awaiting-promotion",
    "waiting-for-proxies",
    "aborted",
    "baking",
    "draining",
    "aws",
    "without-canary",
    "new",
];

fn folder() -> PathBuf {
    PathBuf::from("tests/draw")
}

fn route(state: &str) -> Route {
    let text = std::fs::read_to_string(folder().join(format!("{state}.yaml"))).unwrap();
    let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{state}: {error}"))
}

fn now() -> Timestamp {
    "2026-12-01T10:04:00Z".parse().unwrap()
}

fn golden(name: &str, text: &str) {
    files::holds(&folder(), name, text);
}

#[test]
fn each_state_has_its_picture() {
    for state in STATES {
        golden(&format!("{state}.txt"), &draw(&route(state), now(), Style::default(), false));
    }
}

#[test]
fn the_whole_history_is_drawn_on_request() {
    let picture = draw(&route("draining"), now(), Style::default(), true);
    golden("whole-history.txt", &picture);
    assert_eq!(picture.matches(" after 27m: ").count(), 5);
}

#[test]
fn colours_change_nothing_but_colours() {
    let colours = Style { colour: true, width: None };
    for state in STATES {
        let (plain, painted) =
            (draw(&route(state), now(), Style::default(), false), draw(&route(state), now(), colours, false));
        assert!(!plain.contains('\x1b') && painted.contains('\x1b'), "{state}");
        assert_eq!(console::strip_ansi_codes(&painted), plain, "{state}");
    }
    golden("colours.txt", &draw(&route("held"), now(), colours, false));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [40, 80] {
        for (state, colour) in STATES.into_iter().zip([true, false].into_iter().cycle()) {
            let picture = draw(&route(state), now(), Style { colour, width: Some(width) }, true);
            for line in picture.lines() {
                assert!(console::measure_text_width(line) <= width, "{state}: {line}");
            }
        }
    }
    golden("narrow.txt", &draw(&route("aborted"), now(), Style { colour: false, width: Some(60) }, false));
}

#[test]
fn json_has_the_steps_in_effect_and_the_status() {
    for state in ["progressing", "without-canary"] {
        let json = serde_json::to_string_pretty(&StatusReport::of(&route(state))).unwrap();
        golden(&format!("{state}.json"), &format!("{json}\n"));
    }
}
