//! The rows of the screen, as a function of the run's state, the time and the size. Untrusted text
//! is sanitized.

use super::figures::{about_tokens, count, took, usd};
use super::message::{RunState, StepState, WireRun};
use super::screen::{RunScreen, StepScreen};
use crate::cli::sanitize::{clipped, one_line, sanitize, width, width_of};

/// Widest column of agents, and of steps' purposes.
const AGENT_MAX: usize = 20;
const PURPOSE_MAX: usize = 22;

/// Most rows of text under a running step.
const TAIL_MAX: usize = 4;

const SPINNER: [char; 8] = ['⣾', '⣽', '⣻', '⢿', '⡿', '⣟', '⣯', '⣷'];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The style of a piece of a row, where there is colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Plain,
    Bold,
    Faint,
    Good,
    Bad,
    Odd,
    Live,
}

impl Look {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\u{1b}[1m",
            Self::Faint => "\u{1b}[2m",
            Self::Good => "\u{1b}[32m",
            Self::Bad => "\u{1b}[31m",
            Self::Odd => "\u{1b}[33m",
            Self::Live => "\u{1b}[36m",
        }
    }
}

/// Draws rows of one width, with or without colour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pen {
    pub(super) size: Size,
    pub(super) colour: bool,
}

struct Row {
    pen: Pen,
    text: String,
    left: usize,
}

impl Row {
    const fn new(pen: Pen) -> Self {
        Self { pen, text: String::new(), left: pen.size.columns }
    }

    /// Appends a text, cut to the room that is left.
    fn put(mut self, text: &str, look: Look) -> Self {
        let text = clipped(text, self.left);
        self.left = self.left.saturating_sub(width_of(&text));
        if self.pen.colour && look != Look::Plain && !text.is_empty() {
            self.text.push_str(look.code());
            self.text.push_str(&text);
            self.text.push_str("\u{1b}[0m");
        } else {
            self.text.push_str(&text);
        }
        self
    }

    /// Appends a text in a column of `places` columns.
    fn column(self, text: &str, places: usize, look: Look) -> Self {
        let text = clipped(text, places);
        let gap = " ".repeat((places + 2).saturating_sub(width_of(&text)));
        self.put(&text, look).put(&gap, Look::Plain)
    }

    /// The same, right-aligned.
    fn number(self, text: &str, places: usize, look: Look) -> Self {
        let gap = " ".repeat(places.saturating_sub(width_of(text)));
        self.put(&gap, Look::Plain).put(text, look).put("  ", Look::Plain)
    }
}

/// A step's purpose and round.
pub(super) fn purpose(step: &StepScreen) -> String {
    let round = step.round.map(|round| format!(", round {round}")).unwrap_or_default();
    // A step without an agent is named after its purpose.
    let what = if step.agent == step.purpose { "" } else { &step.purpose };
    one_line(&format!("{what}{round}"))
}

/// The tokens a step has written: counted, or estimated while it writes.
pub(super) fn tokens(step: &StepScreen) -> String {
    let (_, counted) = step.usage.in_and_out();
    match step.state {
        StepState::Running => format!("~{} tokens", count(about_tokens(&step.text))),
        StepState::Planned | StepState::Skipped => String::new(),
        StepState::Waiting | StepState::Completed | StepState::Failed => {
            format!("{} tokens", count(counted))
        }
    }
}

/// The run's pattern and title.
pub(super) fn title(run: &WireRun) -> String {
    let title = run.title.as_deref().map(|title| format!(" “{title}”")).unwrap_or_default();
    one_line(&format!("{}{title}", run.pattern.to_lowercase()))
}

/// A run's usage, cost and duration.
pub(super) fn summary(run: &WireRun) -> String {
    let (input, output) = run.usage.in_and_out();
    let mut parts = vec![format!("{} tokens in, {} out", count(input), count(output))];
    parts.push(match run.cost_nano_usd.as_deref().map(str::parse) {
        Some(Ok(nano)) => usd(nano),
        Some(Err(_)) | None => "cost unknown".to_owned(),
    });
    let steps = |state| run.steps.iter().filter(|step| step.state == state).count();
    let (failed, skipped) = (steps(StepState::Failed), steps(StepState::Skipped));
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    if skipped > 0 {
        parts.push(format!("{skipped} skipped"));
    }
    let in_time = run.duration_ms.map(|ms| format!(" in {}", took(ms))).unwrap_or_default();
    let why = run
        .error
        .as_ref()
        .map(|error| format!(": {} [{}]", one_line(&error.message), one_line(&error.code)));
    format!("{}{in_time}, {}{}", run.state.word(), parts.join(", "), why.unwrap_or_default())
}

/// How many steps at the front must leave the screen so that the rest fits. Only steps in a final
/// state leave.
pub(super) fn to_leave(screen: &RunScreen, gone: usize, size: Size) -> usize {
    let mut leaving = 0;
    for step in screen.steps.iter().skip(gone) {
        let left = screen.steps.len().saturating_sub(gone + leaving);
        if !step.state.is_settled() || left + 2 < size.rows {
            break;
        }
        leaving += 1;
    }
    leaving
}

pub(super) fn step_row(screen: &RunScreen, step: &StepScreen, now_ms: u64, pen: Pen) -> String {
    let widest = |of: &dyn Fn(&StepScreen) -> usize, most: usize| {
        screen.steps.iter().map(of).max().unwrap_or(0).min(most)
    };
    let agents = widest(&|step| width_of(&one_line(&step.agent)), AGENT_MAX);
    let purposes = widest(&|step| width_of(&purpose(step)), PURPOSE_MAX);
    let (mark, look) = match step.state {
        StepState::Planned => ('·', Look::Faint),
        StepState::Running => (spinner(now_ms), Look::Live),
        StepState::Waiting => ('↻', Look::Odd),
        StepState::Completed => ('✓', Look::Good),
        StepState::Failed => ('✗', Look::Bad),
        StepState::Skipped => ('–', Look::Faint),
    };
    let seconds = step.took_ms(now_ms).map(took).unwrap_or_default();
    let row = Row::new(pen)
        .put(&format!("{mark} "), look)
        .column(&one_line(&step.agent), agents, Look::Bold)
        .column(&purpose(step), purposes, Look::Plain)
        .number(&seconds, 8, Look::Plain)
        .number(&tokens(step), 13, Look::Faint);
    if let (Some(waiting), StepState::Waiting) = (&step.waiting, step.state) {
        return row.put(&one_line(&waiting.words()), Look::Odd).text;
    }
    match (&step.trouble, step.state) {
        (Some(trouble), StepState::Waiting) => {
            row.put(&format!("tried again soon: {}", one_line(&trouble.message)), Look::Odd)
        }
        (Some(trouble), StepState::Failed) => row.put(&one_line(&trouble.message), Look::Bad),
        (_, StepState::Completed) => {
            row.put(&one_line(&beginning(&step.text, pen.size.columns)), Look::Faint)
        }
        (_, StepState::Planned | StepState::Waiting | StepState::Failed | StepState::Skipped) => {
            row.put(step.state.word(), Look::Faint)
        }
        (_, StepState::Running) if step.attempt > 1 => {
            row.put(&format!("attempt {}", step.attempt), Look::Odd)
        }
        (_, StepState::Running) => row,
    }
    .text
}

fn spinner(now_ms: u64) -> char {
    let turn = usize::try_from(now_ms / 100).unwrap_or_default() % SPINNER.len();
    SPINNER.get(turn).copied().unwrap_or('*')
}

fn beginning(text: &str, places: usize) -> String {
    text.trim_start().chars().take(places).collect()
}

/// The last rows of a text, wrapped at the width.
fn tail(text: &str, columns: usize, rows: usize) -> Vec<String> {
    let columns = columns.max(8);
    // Only the visible end is processed: a character takes at least one byte, and most take a
    // column.
    let seen = columns.saturating_mul(rows + 1).saturating_mul(4);
    let mut start = text.len().saturating_sub(seen);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let shown = sanitize(text.get(start..).unwrap_or_default()).replace('\t', "    ");
    let mut lines = Vec::new();
    for line in shown.trim_end().lines().filter(|line| !line.trim().is_empty()) {
        let (mut row, mut places) = (String::new(), 0);
        for letter in line.chars() {
            if places + width(letter) > columns {
                lines.push(std::mem::take(&mut row));
                places = 0;
            }
            places += width(letter);
            row.push(letter);
        }
        lines.push(row);
    }
    lines.split_off(lines.len().saturating_sub(rows))
}

/// The rows that are redrawn: the steps still on the screen, the text of the running ones, and the
/// status line.
pub(super) fn live(screen: &RunScreen, gone: usize, now_ms: u64, pen: Pen) -> Vec<String> {
    let steps = || screen.steps.iter().skip(gone);
    let running = steps().filter(|step| step.state == StepState::Running).count();
    let most = pen.size.rows.saturating_sub(2);
    let room = most.saturating_sub(steps().count());
    let tails = room.checked_div(running).unwrap_or(0).min(TAIL_MAX);
    let mut rows = Vec::new();
    for step in steps() {
        rows.push(step_row(screen, step, now_ms, pen));
        if step.state == StepState::Running {
            let lines = tail(&step.text, pen.size.columns.saturating_sub(4), tails);
            rows.extend(
                lines
                    .iter()
                    .map(|line| Row::new(pen).put("  │ ", Look::Live).put(line, Look::Plain).text),
            );
        }
    }
    // If even the rows of steps are too many, the last are left out until there is room.
    rows.truncate(most);
    rows.push(status(screen, now_ms, pen));
    rows
}

/// The status line.
fn status(screen: &RunScreen, now_ms: u64, pen: Pen) -> String {
    let row = Row::new(pen);
    if let Some(since) = screen.cut_ms {
        let text = format!(
            "{} connection lost, reconnecting… {}",
            spinner(now_ms),
            took(now_ms.saturating_sub(since))
        );
        return row.put(&text, Look::Odd).text;
    }
    let Some(run) = &screen.run else {
        return row.put(&format!("{} waiting for the run", spinner(now_ms)), Look::Faint).text;
    };
    if screen.is_over {
        let look = match run.state {
            RunState::Completed => Look::Good,
            RunState::Failed => Look::Bad,
            RunState::Queued | RunState::Running | RunState::Paused | RunState::Cancelled => {
                Look::Odd
            }
        };
        return row.put(&summary(run), look).text;
    }
    let seconds = took(now_ms.saturating_sub(screen.began_ms.unwrap_or(now_ms)));
    let done = screen.steps.iter().filter(|step| step.state.is_settled()).count();
    let figures = format!("{seconds}, {done} of {} steps", screen.planned.max(screen.steps.len()));
    match (&screen.paused, run.state) {
        (reason, RunState::Paused) => {
            let reason = reason
                .as_deref()
                .map(|reason| format!(" ({})", one_line(reason)))
                .unwrap_or_default();
            row.put(
                &format!("‖ paused{reason}: claviger run resume {}", one_line(&run.id)),
                Look::Odd,
            )
            .text
        }
        (_, state) => {
            row.put(&format!("{} {}, {figures}", spinner(now_ms), state.word()), Look::Faint).text
        }
    }
}

#[cfg(test)]
mod tests;
