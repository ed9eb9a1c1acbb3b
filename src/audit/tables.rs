//! The tables beside the log, each read as a whole and compared with what the log expects, both
//! ways: no row may be missing, and none may be there that the log does not know.

mod keys;
mod log;
mod people;
mod text;
mod views;

use super::expected::{Expected, Records};
use super::report::Report;
use crate::keychain::Opener;
use crate::system::failure::store_failure;
use claviger_domain::failure::Failure;
use claviger_projections::ports::{
    CommandRecord, Inspected, Mark, Store, StoreError, StoredRow, Table, Unreadable,
};

/// Bytes read at a time, of any table.
pub(super) const PAGE: usize = 1 << 20;

/// The tables in the order in which they are read: keys before what they open.
const ORDER: &[Table] = &[
    Table::StoreKeys,
    Table::UserKeys,
    Table::IndexKeys,
    Table::ContentKeys,
    Table::Secrets,
    Table::Credentials,
    Table::Claims,
    Table::Sessions,
    Table::Parts,
    Table::Required,
    Table::Timers,
    Table::Deltas,
    Table::Views,
    Table::Defaults,
    Table::Checkpoints,
    Table::Quarantine,
];

/// Compares rows with the log, one kind after the other.
pub(super) struct Walk<'a> {
    expected: Expected,
    opener: Opener,
    /// The last position of the log.
    last: u64,
    report: &'a mut Report,
}

/// What is still missing of a table while it is read.
#[derive(Default)]
struct Missing {
    keys: keys::Missing,
    people: people::Missing,
    log: log::Missing,
}

/// Reads all tables but the log, and the command records, which are read before it.
///
/// # Errors
/// When the store is unavailable.
pub(super) async fn check(
    store: &dyn Store,
    (expected, last): (Expected, u64),
    opener: Opener,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut walk = Walk { expected, opener, last, report };
    let mut missing = Missing::default();
    for table in ORDER {
        walk.expect(*table, &mut missing);
        walk.read(store, *table, &mut missing).await?;
        walk.rest(*table, &mut missing);
    }
    walk.records();
    Ok(())
}

/// The command records in the store. They are read before the log, so that only their events have
/// to be remembered, not the commands of all events.
///
/// # Errors
/// When the store is unavailable.
pub(super) async fn records(store: &dyn Store, report: &mut Report) -> Result<Records, Failure> {
    let mut records = Records::default();
    let mut from = Some(None);
    while let Some(after) = from {
        let page = page(store, Table::Commands, after, report).await?;
        for row in page.rows {
            report.row(Table::Commands.name());
            match row {
                Ok(StoredRow::Command(record)) => records.add(*record),
                Ok(_) => {}
                Err(unreadable) => report.problem(unreadable.error.to_string()),
            }
        }
        from = page.next.map(Some);
    }
    Ok(records)
}

/// The next rows of a table. A table that can't be read further is a problem, and ends there.
///
/// # Errors
/// When the store is unavailable.
pub(super) async fn page(
    store: &dyn Store,
    table: Table,
    after: Option<Mark>,
    report: &mut Report,
) -> Result<Inspected, Failure> {
    match store.inspect(table, after, PAGE).await {
        Ok(page) => Ok(page),
        Err(error @ (StoreError::Corrupt(_) | StoreError::Gap { .. })) => {
            report.problem(format!(
                "table {} cannot be read to its end: {error}: restore the store from a backup",
                table.name()
            ));
            Ok(Inspected::default())
        }
        Err(error @ (StoreError::Unavailable(_) | StoreError::Closed)) => {
            Err(store_failure(&error))
        }
    }
}

impl Walk<'_> {
    async fn read(
        &mut self,
        store: &dyn Store,
        table: Table,
        missing: &mut Missing,
    ) -> Result<(), Failure> {
        let mut from = Some(None);
        while let Some(after) = from {
            let page = page(store, table, after, self.report).await?;
            for row in page.rows {
                self.report.row(table.name());
                match row {
                    Ok(row) => self.row(row, missing),
                    Err(Unreadable { error, .. }) => self.report.problem(error.to_string()),
                }
            }
            from = page.next.map(Some);
        }
        Ok(())
    }

    /// One function for each kind of row.
    fn row(&mut self, row: StoredRow, missing: &mut Missing) {
        match row {
            // Read elsewhere.
            StoredRow::Event(_) | StoredRow::Command(_) => {}
            StoredRow::StoreKey(row, seq) => self.store_key(&row, seq, &mut missing.keys),
            StoredRow::UserKey(row) => self.user_key(row, &mut missing.keys),
            StoredRow::IndexKey(row) => self.index_key(row, &mut missing.keys),
            StoredRow::ContentKey(row) => self.content_key(row, &mut missing.keys),
            StoredRow::Secret(row) => self.secret(&row, &mut missing.keys),
            StoredRow::Credential(row) => self.credential(&row, &mut missing.keys),
            StoredRow::Claim(row) => self.claim(&row, &mut missing.people),
            StoredRow::Session(row) => self.session(&row, &mut missing.people),
            StoredRow::Part(position, part) => self.part(position, part),
            StoredRow::Required(requirement, _) => {
                missing.log.required.remove(&requirement);
            }
            StoredRow::Timer(row) => self.timer(&row),
            StoredRow::Delta(row) => self.delta(&row),
            StoredRow::View { view, owner, id } => self.view(&view, owner, id),
            StoredRow::Default(owner, _, key) => self.default_key(owner, key),
            StoredRow::Checkpoint(view, at) => self.checkpoint(&view, at),
            StoredRow::Quarantined(view, row) => self.quarantined(&view, &row),
        }
    }

    /// What a table must hold, before it is read.
    fn expect(&self, table: Table, missing: &mut Missing) {
        match table {
            Table::UserKeys | Table::IndexKeys | Table::ContentKeys => {
                missing.keys.expect_keys(table, &self.expected);
            }
            Table::Secrets => missing.keys.expect_secrets(&self.expected),
            Table::Credentials => missing.keys.expect_credentials(&self.expected),
            Table::Claims => missing.people.expect_claims(&self.expected),
            Table::Sessions => missing.people.expect_sessions(&self.expected),
            Table::Required => missing.log.required = self.expected.required.clone(),
            Table::StoreKeys
            | Table::Events
            | Table::Parts
            | Table::Commands
            | Table::Timers
            | Table::Views
            | Table::Defaults
            | Table::Checkpoints
            | Table::Quarantine
            | Table::Deltas => {}
        }
    }

    /// What a table should have held, after it was read.
    fn rest(&mut self, table: Table, missing: &mut Missing) {
        match table {
            Table::StoreKeys => self.missing_store_keys(&missing.keys),
            Table::UserKeys => self.missing_user_keys(&mut missing.keys),
            Table::IndexKeys => self.missing_index_keys(&mut missing.keys),
            Table::ContentKeys => self.missing_content_keys(&mut missing.keys),
            Table::Secrets => self.missing_secrets(&mut missing.keys),
            Table::Credentials => self.missing_credentials(&mut missing.keys),
            Table::Claims => self.missing_claims(&mut missing.people),
            Table::Sessions => self.missing_sessions(&mut missing.people),
            Table::Required => self.missing_requirements(&mut missing.log),
            Table::Timers => self.missing_timers(),
            Table::Deltas => self.missing_deltas(),
            // A part that is missing makes its event unreadable; the views are compared row by row.
            Table::Events
            | Table::Parts
            | Table::Commands
            | Table::Views
            | Table::Defaults
            | Table::Checkpoints
            | Table::Quarantine => {}
        }
    }

    fn problem(&mut self, text: String) {
        self.report.problem(text);
    }

    /// A row that the log does not know.
    fn unknown(&mut self, row: &str) {
        self.report.problem(format!(
            "{row} is there, and by the log it should not be: nothing written by this program left \
             it, find out who did, then delete it"
        ));
    }

    fn records(&mut self) {
        let problems: Vec<String> =
            self.expected.records.problems().map(|(record, why)| problem_of(record, why)).collect();
        for problem in problems {
            self.report.problem(problem);
        }
        self.open_records();
    }
}

fn problem_of(record: &CommandRecord, why: &str) -> String {
    format!(
        "the record of command {} {why}: delete it, and a repeat of the command is executed again",
        hex(&record.command_id.0)
    )
}

/// Bytes in hex, as they are shown.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    // Formatting into a string cannot fail.
    claviger_domain::id::write_hex(&mut text, bytes).unwrap_or_default();
    text
}
