//! Plain lines, for pipes, files and users without a screen.

use super::figures::took;
use super::frame::{purpose, summary, title, tokens};
use super::message::{StepState, WireWaiting};
use super::screen::{Change, RunScreen, StepScreen};
use crate::cli::sanitize::{clipped, one_line, sanitize, width_of};
use std::collections::HashMap;

/// Widest name before a line, in columns.
const NAME_MAX: usize = 20;

/// Formats a run as lines.
#[derive(Debug, Default)]
pub(in crate::cli) struct Plain {
    /// Writes the lines of all steps as they come, instead of each step's text when it ends.
    is_live: bool,
    /// Bytes already written of each step's text.
    written: HashMap<usize, usize>,
}

impl Plain {
    pub(super) fn new(is_live: bool) -> Self {
        Self { is_live, written: HashMap::new() }
    }

    /// The lines that a message produces.
    pub(super) fn lines(&mut self, screen: &RunScreen, changes: &[Change]) -> Vec<String> {
        let mut lines = Vec::new();
        for change in changes {
            self.tell(screen, change, &mut lines);
        }
        lines
    }

    fn tell(&mut self, screen: &RunScreen, change: &Change, lines: &mut Vec<String>) {
        let step = |at: &usize| screen.steps.get(*at);
        match change {
            Change::Known => lines.extend(
                screen.run.as_ref().map(|run| format!("{}, {}", title(run), one_line(&run.id))),
            ),
            Change::Paused(reason) => lines.push(format!("-- paused: {}", one_line(reason))),
            Change::Text(at) if self.is_live => self.flush(screen, *at, false, lines),
            Change::Void(at, keep, reason) if self.is_live => {
                let written = self.written.entry(*at).or_default();
                if *written > *keep {
                    *written = *keep;
                    let name = step(at).map(|step| one_line(&step.agent)).unwrap_or_default();
                    lines
                        .push(format!("-- {name}: its last lines are void ({})", one_line(reason)));
                }
            }
            Change::Waiting(at) => lines.extend(step(at).map(|step| {
                let waits = step.waiting.as_ref().map(WireWaiting::words);
                let why = step.trouble.as_ref().map(|trouble| format!(": {}", trouble.message));
                let tried = || format!("is tried again{}", why.unwrap_or_default());
                let waits = one_line(&waits.unwrap_or_else(tried));
                format!("-- {} {waits}", one_line(&step.agent))
            })),
            Change::Settled(at) => self.settled(screen, *at, lines),
            Change::FellBack(at, what) => {
                let whose = at
                    .as_ref()
                    .and_then(step)
                    .map(|step| format!(" after {}", one_line(&step.agent)));
                lines.push(format!("-- fallback{}: {}", whose.unwrap_or_default(), one_line(what)));
            }
            Change::Ended => {
                lines.extend(screen.run.as_ref().map(summary));
            }
            Change::State(_)
            | Change::Began(_)
            | Change::Text(_)
            | Change::Void(..)
            | Change::Lost => {}
        }
    }

    /// Writes a step's complete lines, or all of its text.
    fn flush(&mut self, screen: &RunScreen, at: usize, all: bool, lines: &mut Vec<String>) {
        let Some(step) = screen.steps.get(at) else { return };
        let written = self.written.entry(at).or_default();
        let new = step.text.get(*written..).unwrap_or_default();
        let end = if all { new.len() } else { new.rfind('\n').map_or(0, |end| end + 1) };
        let new = new.get(..end).unwrap_or_default();
        *written += end;
        let widest = screen
            .steps
            .iter()
            .map(|step| width_of(&one_line(&step.agent)))
            .max()
            .unwrap_or(0)
            .min(NAME_MAX);
        let name = clipped(&one_line(&step.agent), widest);
        let gap = " ".repeat(widest.saturating_sub(width_of(&name)));
        lines.extend(sanitize(new).lines().map(|line| format!("{name}{gap} | {line}")));
    }

    fn settled(&mut self, screen: &RunScreen, at: usize, lines: &mut Vec<String>) {
        let Some(step) = screen.steps.get(at) else { return };
        if self.is_live {
            self.flush(screen, at, true, lines);
            lines.push(format!("-- {}", heading(step)));
            return;
        }
        lines.push(format!("== {}", heading(step)));
        if step.state == StepState::Completed {
            let said =
                if step.text.trim().is_empty() { "No response" } else { step.text.trim_end() };
            lines.push(sanitize(said));
        }
        lines.push(String::new());
    }
}

/// A step's agent, purpose and outcome.
pub(super) fn heading(step: &StepScreen) -> String {
    let mut parts = vec![step.state.word().to_owned()];
    if step.state != StepState::Skipped {
        parts.extend(step.duration_ms.map(took));
        parts.push(tokens(step));
    }
    let why = step.trouble.as_ref().filter(|_| step.state == StepState::Failed);
    let why = why.map(|trouble| format!(": {}", one_line(&trouble.message))).unwrap_or_default();
    let purpose = Some(purpose(step))
        .filter(|purpose| !purpose.is_empty())
        .map(|purpose| format!(", {purpose}"));
    format!("{}{} ({}){why}", one_line(&step.agent), purpose.unwrap_or_default(), parts.join(", "))
}

#[cfg(test)]
mod tests;
