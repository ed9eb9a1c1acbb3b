//! Who is shown a run: a person at a terminal, a person or file that reads lines, a script.

use super::args::ShowArg;
use super::message::StepState;
use super::plain::{Plain, heading};
use super::screen::{Change, RunScreen};
use super::terminal::{Terminal, size};
use crate::cli::harmless::{harmless, harmless_json};
use crate::cli::output;
use crate::config;
use serde_json::Value;
use std::io::Stdout;
use std::time::Duration;

/// How often a screen is drawn.
const PACE: Duration = Duration::from_millis(60);

/// How a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Manner {
    /// As the flags say.
    Of {
        /// What was asked for.
        show: ShowArg,
        /// One JSON line for each message.
        json: bool,
    },
    /// A screen on a terminal, else each step's text; without the result at the end.
    Brief,
}

/// One who is shown a run.
pub(in crate::cli) enum Face {
    /// A screen; whether the result follows it.
    Screen(Box<Terminal<Stdout>>, bool),
    /// Lines; whether the result follows them.
    Lines(Plain, bool),
    /// The result alone.
    Result,
    /// JSON lines.
    Json,
}

impl Face {
    /// Whom this manner means here.
    pub(in crate::cli) fn new(manner: Manner) -> Self {
        let (show, json, with_result) = match manner {
            Manner::Of { show, json } => (show, json, true),
            Manner::Brief => (ShowArg::Auto, false, false),
        };
        let look = config::look();
        match show {
            _ if json => Self::Json,
            ShowArg::Auto if output::is_terminal() && !look.is_dumb => Self::Screen(
                Box::new(Terminal::new(std::io::stdout(), size, look.colour)),
                with_result,
            ),
            ShowArg::Auto | ShowArg::Steps => Self::Lines(Plain::new(false), with_result),
            ShowArg::Lines => Self::Lines(Plain::new(true), with_result),
            ShowArg::Result => Self::Result,
        }
    }

    /// How often [`Face::tick`] is wanted.
    pub(in crate::cli) const fn pace(&self) -> Option<Duration> {
        match self {
            Self::Screen(..) => Some(PACE),
            Self::Lines(..) | Self::Result | Self::Json => None,
        }
    }

    /// Time goes by.
    pub(in crate::cli) fn tick(&mut self, screen: &RunScreen, now_ms: u64) {
        if let Self::Screen(terminal, _) = self {
            terminal.draw(screen, now_ms);
        }
    }

    /// A message came, and these are its changes.
    pub(in crate::cli) fn tell(&mut self, message: &Value, screen: &RunScreen, changes: &[Change]) {
        match self {
            Self::Lines(plain, _) => {
                for line in plain.lines(screen, changes) {
                    output::line(&line);
                }
            }
            Self::Json => output::line(&harmless_json(&message.to_string())),
            // Drawn when it is time; shown at the end.
            Self::Screen(..) | Self::Result => {}
        }
    }

    /// The connection broke, or is there again.
    pub(in crate::cli) fn cut(&self, is_cut: bool) {
        if !matches!(self, Self::Screen(..)) {
            output::note(if is_cut {
                "the server went away: looking for it"
            } else {
                "the server is there again"
            });
        }
    }

    /// Nothing more will be drawn; what stands on the screen stays.
    pub(in crate::cli) fn leave(&mut self, screen: &RunScreen, now_ms: u64) {
        if let Self::Screen(terminal, _) = self {
            terminal.draw(screen, now_ms);
            terminal.give_back();
        }
    }

    /// The run has ended, and everything is known.
    pub(in crate::cli) fn conclude(&mut self, screen: &RunScreen, now_ms: u64) {
        self.leave(screen, now_ms);
        match self {
            Self::Screen(_, true) => result(screen, true),
            Self::Lines(_, true) => {
                let output = screen.run.as_ref().and_then(|run| run.output.as_deref());
                let shown =
                    output.map(|output| format!("\n== result\n{}", harmless(output.trim_end())));
                if let Some(text) = shown {
                    output::line(&text);
                }
            }
            Self::Result => result(screen, false),
            Self::Screen(_, false) | Self::Lines(_, false) | Self::Json => {}
        }
    }
}

/// The final text, or each step's where the pattern has none.
fn result(screen: &RunScreen, apart: bool) {
    let error = screen.run.as_ref().and_then(|run| run.error.as_ref()).filter(|_| apart);
    if let Some(error) = error {
        // The last row of the screen may have had no room for it.
        output::line(&harmless(&error.message));
    }
    if apart {
        output::line("");
    }
    if let Some(output) = screen.run.as_ref().and_then(|run| run.output.as_deref()) {
        return output::line(&harmless(output.trim_end()));
    }
    for step in screen.steps.iter().filter(|step| step.state == StepState::Completed) {
        output::line(&format!("== {}", heading(step)));
        output::line(&harmless(step.text.trim_end()));
        output::line("");
    }
}
