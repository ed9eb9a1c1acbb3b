//! Group commit: the tasks of a batch in one transaction, each in a savepoint of its own.

use super::append::End;
use super::task::Task;
use crate::sqlite::error::is_fatal;
use crate::sqlite::faults::Faults;
use rusqlite::{Connection, ErrorCode};

/// Why a batch was not committed, or its outcome is unknown.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Rolled back: nothing was written.
    Failed(rusqlite::Error),
    /// The disk failed. Opening the file again shows whether the batch was written.
    Fatal(rusqlite::Error),
}

/// Executes the tasks on top of `end` and commits. The tasks then hold their results; the new end
/// is returned.
pub(super) fn commit(
    connection: &Connection,
    tasks: &mut [Task],
    end: &End,
    faults: &dyn Faults,
) -> Result<End, Trouble> {
    let executed = execute(connection, tasks, end, faults);
    let (end, wrote) = match executed {
        Ok(executed) => executed,
        Err(error) => return Err(roll_back(connection, error)),
    };
    if !wrote {
        return match run(connection, "ROLLBACK") {
            Ok(()) => Ok(end),
            Err(error) => Err(Trouble::Fatal(error)),
        };
    }
    if let Some(fault) = faults.before_commit(tasks.len()) {
        return Err(roll_back(connection, fault.error()));
    }
    match run(connection, "COMMIT") {
        Ok(()) => Ok(end),
        // Refused for lack of space before anything was made durable: the only failure of COMMIT
        // with a certain outcome.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
            Err(roll_back(connection, error))
        }
        Err(error) => Err(Trouble::Fatal(error)),
    }
}

/// Executes the tasks. Returns the new end, and whether anything was written.
fn execute(
    connection: &Connection,
    tasks: &mut [Task],
    from: &End,
    faults: &dyn Faults,
) -> rusqlite::Result<(End, bool)> {
    let mut end = from.clone();
    let mut wrote = false;
    run(connection, "BEGIN IMMEDIATE")?;
    for task in tasks {
        let before = end.clone();
        run(connection, "SAVEPOINT task")?;
        if task.execute(connection, &mut end, faults)? {
            wrote = true;
        } else {
            end = before;
            run(connection, "ROLLBACK TO task")?;
        }
        run(connection, "RELEASE task")?;
    }
    if end.frontier.size() != from.frontier.size() {
        let sql = "UPDATE head SET position = ?1, at = ?2, frontier = ?3 WHERE id = 1";
        let stored = |number: u64| {
            i64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, i64::MAX))
        };
        let params = rusqlite::params![
            stored(end.frontier.size())?,
            stored(end.at.0)?,
            end.frontier.to_bytes()
        ];
        connection.prepare_cached(sql)?.execute(params)?;
    }
    Ok((end, wrote))
}

/// Ends the transaction after an error, unless SQLite has already ended it.
fn roll_back(connection: &Connection, error: rusqlite::Error) -> Trouble {
    if !connection.is_autocommit()
        && let Err(second) = run(connection, "ROLLBACK")
        && !connection.is_autocommit()
    {
        return Trouble::Fatal(second);
    }
    if is_fatal(&error) { Trouble::Fatal(error) } else { Trouble::Failed(error) }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
