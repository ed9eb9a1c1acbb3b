//! The output formats of a watched run: a screen for a terminal, lines for pipes and files, JSON
//! for scripts.

use super::args::ShowArg;
use super::frame::summary;
use super::message::{StepState, WireRun};
use super::plain::{Plain, heading};
use super::screen::{Change, RunScreen};
use super::terminal::{Terminal, size};
use crate::app::config;
use crate::cli::output;
use crate::cli::sanitize::{harmless_json, sanitize, width_of};
use serde_json::Value;
use std::io::Stdout;
use std::time::Duration;

/// The interval between drawings of a screen.
const PACE: Duration = Duration::from_millis(60);

/// How to choose the output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Manner {
    /// By the flags.
    Of {
        show: ShowArg,
        /// One JSON line per message.
        json: bool,
    },
    /// A screen on a terminal, else each step's text; without the result at the end.
    Brief,
}

/// An output format.
pub(in crate::cli) enum Face {
    /// A screen; the flag adds the result at the end.
    Screen(Box<Terminal<Stdout>>, bool),
    /// Lines; the flag adds the result at the end.
    Lines(Plain, bool),
    /// The result alone.
    Result,
    Json,
}

impl Face {
    /// The format for this manner on this output.
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

    /// The interval for calls of [`Face::tick`].
    pub(in crate::cli) const fn pace(&self) -> Option<Duration> {
        match self {
            Self::Screen(..) => Some(PACE),
            Self::Lines(..) | Self::Result | Self::Json => None,
        }
    }

    /// Redraws the screen.
    pub(in crate::cli) fn tick(&mut self, screen: &RunScreen, now_ms: u64) {
        if let Self::Screen(terminal, _) = self {
            terminal.draw(screen, now_ms);
        }
    }

    /// Shows a message and the changes it made.
    pub(in crate::cli) fn tell(&mut self, message: &Value, screen: &RunScreen, changes: &[Change]) {
        match self {
            Self::Lines(plain, _) => {
                for line in plain.lines(screen, changes) {
                    output::line(&line);
                }
            }
            Self::Json => output::line(&harmless_json(&message.to_string())),
            // A screen is drawn by `tick`; the result is shown at the end.
            Self::Screen(..) | Self::Result => {}
        }
    }

    /// Reports that the connection broke or was restored.
    pub(in crate::cli) fn cut(&self, is_cut: bool) {
        if !matches!(self, Self::Screen(..)) {
            output::note(if is_cut {
                "connection to the server lost: reconnecting"
            } else {
                "reconnected to the server"
            });
        }
    }

    /// Stops drawing; the screen's content stays.
    pub(in crate::cli) fn leave(&mut self, screen: &RunScreen, now_ms: u64) {
        if let Self::Screen(terminal, _) = self {
            terminal.draw(screen, now_ms);
            terminal.give_back();
        }
    }

    /// Shows the end of the run.
    pub(in crate::cli) fn conclude(&mut self, screen: &RunScreen, now_ms: u64) {
        self.leave(screen, now_ms);
        match self {
            Self::Screen(_, true) => result(screen, true),
            Self::Lines(_, true) => {
                let output = screen.run.as_ref().and_then(|run| run.output.as_deref());
                let shown =
                    output.map(|output| format!("\n== result\n{}", sanitize(output.trim_end())));
                if let Some(text) = shown {
                    output::line(&text);
                }
            }
            Self::Result => result(screen, false),
            Self::Screen(_, false) | Self::Lines(_, false) | Self::Json => {}
        }
    }
}

/// The final text, or each step's text if the pattern has no final one.
fn result(screen: &RunScreen, apart: bool) {
    // The last row of the screen says it, unless it has no room for all of it.
    let is_cut = |run: &&WireRun| apart && width_of(&summary(run)) > size().columns;
    if let Some(error) = screen.run.as_ref().filter(is_cut).and_then(|run| run.error.as_ref()) {
        output::line(&sanitize(&error.message));
    }
    if apart {
        output::line("");
    }
    if let Some(output) = screen.run.as_ref().and_then(|run| run.output.as_deref()) {
        return output::line(&sanitize(output.trim_end()));
    }
    for step in screen.steps.iter().filter(|step| step.state == StepState::Completed) {
        output::line(&format!("== {}", heading(step)));
        output::line(&sanitize(step.text.trim_end()));
        output::line("");
    }
}
