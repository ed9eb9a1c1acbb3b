//! The result of a verification.

use serde::Serialize;
use std::collections::BTreeMap;

/// Most problems listed in a report.
const MOST_PROBLEMS: usize = 100;

#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub events: u64,
    /// Streams the events belong to.
    pub streams: u64,
    pub accounts: u64,
    pub keys: u64,
    pub runs: u64,
    /// Rows that were read of each other table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Something was appended while the store was read, so a problem may be none.
    pub written_meanwhile: bool,
    /// Root of the tree over all events, in hex.
    pub root: String,
    /// The problems found, each with its location; at most a hundred.
    pub problems: Vec<String>,
    /// The number of all problems.
    pub problem_count: u64,
}

impl Report {
    pub(super) fn problem(&mut self, text: String) {
        self.problem_count += 1;
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(text);
        }
    }

    /// A row was read of a table.
    pub(super) fn row(&mut self, table: &'static str) {
        *self.rows.entry(table).or_default() += 1;
    }
}
