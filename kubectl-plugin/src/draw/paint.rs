//! Colours and marks.

use std::fmt::Display;

use console::style;
use fleetmesh_crds::Phase;
use fleetmesh_crds::canary::{Verdict, WebhookAnswer};

/// What a colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Under way.
    Going,
    /// Something is waited for.
    Waiting,
    /// Failed.
    Bad,
    /// A title.
    Title,
    /// Not so important.
    Faint,
}

/// Paints, or leaves text as it is.
#[derive(Clone, Copy, Debug)]
pub struct Painter {
    pub colour: bool,
}

impl Painter {
    /// The text in the colour of its tone.
    pub fn paint(self, tone: Tone, text: impl Display) -> String {
        let text = style(text).force_styling(self.colour);
        match tone {
            Tone::Good => text.green(),
            Tone::Going => text.cyan(),
            Tone::Waiting => text.yellow(),
            Tone::Bad => text.red(),
            Tone::Title => text.bold(),
            Tone::Faint => text.dim(),
        }
        .to_string()
    }

    /// A mark in the colour of its tone.
    pub fn mark(self, tone: Tone) -> String {
        let mark = match tone {
            Tone::Good => "✓",
            Tone::Going => "▶",
            Tone::Waiting => "!",
            Tone::Bad => "✗",
            Tone::Title | Tone::Faint => "·",
        };
        self.paint(tone, mark)
    }
}

/// The tone of a phase.
pub fn of_phase(phase: Phase) -> Tone {
    match phase {
        Phase::Stable | Phase::Promoted => Tone::Good,
        Phase::Progressing | Phase::Baking | Phase::Draining => Tone::Going,
        Phase::Held | Phase::Paused => Tone::Waiting,
        Phase::Aborted | Phase::RolledBack => Tone::Bad,
        Phase::Superseded => Tone::Faint,
    }
}

/// The tone of a verdict.
pub fn of_verdict(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Pass => Tone::Good,
        Verdict::Fail => Tone::Bad,
        Verdict::NoData | Verdict::Error => Tone::Waiting,
    }
}

/// The tone of a webhook's answer.
pub fn of_answer(answer: WebhookAnswer) -> Tone {
    match answer {
        WebhookAnswer::Confirmed => Tone::Good,
        WebhookAnswer::NotYet | WebhookAnswer::Error => Tone::Waiting,
        WebhookAnswer::Refused => Tone::Bad,
    }
}
