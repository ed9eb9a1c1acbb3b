//! A screen on a terminal: rows redrawn in place, using only cursor movements that every terminal
//! supports.

use super::frame::{Pen, Size, live, step_row, title, to_leave};
use super::screen::RunScreen;
use crate::cli::sanitize::width_of;
use std::io::Write;

/// Hides the cursor and turns wrapping off.
const BEGIN: &str = "\u{1b}[?25l\u{1b}[?7l";
const END: &str = "\u{1b}[?7h\u{1b}[?25h";

/// A run drawn in place. Dropping it restores the terminal.
pub(in crate::cli) struct Terminal<W: Write> {
    out: W,
    size: fn() -> Size,
    colour: bool,
    /// The width, in columns, of each row drawn last.
    drawn: Vec<usize>,
    /// Steps that have scrolled off the top.
    gone: usize,
    is_titled: bool,
    is_begun: bool,
}

impl<W: Write> Drop for Terminal<W> {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl<W: Write> Terminal<W> {
    pub(super) const fn new(out: W, size: fn() -> Size, colour: bool) -> Self {
        Self { out, size, colour, drawn: Vec::new(), gone: 0, is_titled: false, is_begun: false }
    }

    /// Draws the current state. A terminal that went away is not an error.
    pub(super) fn draw(&mut self, screen: &RunScreen, now_ms: u64) {
        let pen = Pen { size: (self.size)(), colour: self.colour };
        let mut text = String::new();
        if !self.is_begun {
            text.push_str(BEGIN);
            self.is_begun = true;
        }
        let up = self.rows_drawn(pen.size.columns);
        if up > 0 {
            text = format!("{text}\u{1b}[{up}A\r");
        }
        let mut put = |row: &str| {
            text.push_str(row);
            text.push_str("\u{1b}[K\n");
        };
        if let Some(run) = screen.run.as_ref().filter(|_| !self.is_titled) {
            self.is_titled = true;
            let title = title(run);
            put(&if self.colour { format!("\u{1b}[1m{title}\u{1b}[0m") } else { title });
        }
        let leaving = to_leave(screen, self.gone, pen.size);
        for step in screen.steps.iter().skip(self.gone).take(leaving) {
            put(&step_row(screen, step, now_ms, pen));
        }
        self.gone += leaving;
        let rows = live(screen, self.gone, now_ms, pen);
        for row in &rows {
            put(row);
        }
        text.push_str("\u{1b}[J");
        self.drawn = rows.iter().map(|row| places(row)).collect();
        drop(self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()));
    }

    /// How many rows the last drawing takes now: a terminal that became narrower has wrapped them.
    fn rows_drawn(&self, columns: usize) -> usize {
        self.drawn.iter().map(|places| places.div_ceil(columns.max(1)).max(1)).sum()
    }

    /// Restores the terminal; what is drawn stays.
    pub(super) fn give_back(&mut self) {
        if std::mem::take(&mut self.is_begun) {
            drop(self.out.write_all(END.as_bytes()).and_then(|()| self.out.flush()));
        }
        self.drawn.clear();
    }
}

/// A row's width in columns, without its colour codes.
fn places(row: &str) -> usize {
    let mut parts = row.split('\u{1b}');
    let first = parts.next().map_or(0, width_of);
    parts.fold(first, |sum, part| sum + part.split_once('m').map_or(0, |(_, text)| width_of(text)))
}

/// The size of the terminal on standard output; a default if it isn't one.
pub(super) fn size() -> Size {
    let known = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let of = |number: Option<u16>, usual: usize| {
        number.filter(|number| *number > 0).map_or(usual, usize::from)
    };
    Size {
        columns: of(known.map(|size| size.ws_col), 80),
        rows: of(known.map(|size| size.ws_row), 24),
    }
}

#[cfg(test)]
mod tests;
