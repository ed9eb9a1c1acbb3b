//! Writes to the terminal. A reader that closes the pipe (`claviger key list | head`) is not an
//! error.

use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// The reader of standard output has gone.
static GONE: AtomicBool = AtomicBool::new(false);

/// Writes one line of output.
pub fn line(text: &str) {
    if writeln!(io::stdout().lock(), "{text}").is_err() {
        GONE.store(true, Ordering::Relaxed);
    }
}

/// Whether nobody reads the output any more: what goes on only to write more may end.
pub fn is_unread() -> bool {
    GONE.load(Ordering::Relaxed)
}

/// Writes the output as one JSON value.
pub fn json<T: Serialize>(value: &T) {
    if let Ok(text) = serde_json::to_string_pretty(value) {
        line(&text);
    }
}

/// Writes an error to standard error.
pub fn error(code: &str, message: &str, as_json: bool) {
    let text = if as_json {
        serde_json::json!({ "error": { "code": code, "message": message } }).to_string()
    } else {
        format!("error: {message} [{code}]")
    };
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Prompts on standard error: standard output is for results.
pub fn prompt(text: &str) {
    let mut to = io::stderr().lock();
    drop(write!(to, "{text}").and_then(|()| to.flush()));
}

/// Reports progress on standard error: standard output is for results.
pub fn note(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Whether standard output is a terminal, so that colour helps.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Rows under a heading, each column as wide as its widest cell.
fn columns(heading: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heading.get(column).map(|cell| cell.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |cells: &[String]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        text.trim_end().to_owned()
    };
    let heading: Vec<String> = heading.iter().map(|cell| (*cell).to_owned()).collect();
    std::iter::once(&heading).chain(rows).map(|cells| line(cells) + "\n").collect()
}

/// Writes rows under a heading.
pub fn table(heading: &[&str], rows: &[Vec<String>]) {
    whole(&columns(heading, rows));
}

/// Writes a text as it is.
pub fn whole(text: &str) {
    let mut to = io::stdout().lock();
    drop(to.write_all(text.as_bytes()).and_then(|()| to.flush()));
}

/// What a command says, put together before it is written: perhaps by another process.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// Adds one line.
    pub fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// Adds one JSON value.
    pub fn json<T: Serialize>(&mut self, value: &T) {
        if let Ok(text) = serde_json::to_string_pretty(value) {
            self.line(&text);
        }
    }

    /// Adds rows under a heading.
    pub fn table(&mut self, heading: &[&str], rows: &[Vec<String>]) {
        self.0.push_str(&columns(heading, rows));
    }

    /// All of it.
    pub fn into_string(self) -> String {
        self.0
    }
}
