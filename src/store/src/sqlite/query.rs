//! The three shapes of a query, over cached statements.

use super::cells::Cells;
use super::error;
use super::inline_reads;
use crate::skipped::Skipped;
use claviger_projections::ports::StoreError;
use rusqlite::{Connection, Params};

/// SQLite failed, or a row does not hold what was written. The writer must distinguish the two.
#[derive(Debug)]
pub enum DbError {
    /// A statement failed.
    Sqlite(rusqlite::Error),
    /// A row is corrupt.
    Store(StoreError),
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for DbError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<DbError> for StoreError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Sqlite(error) => error::store_error(&error),
            DbError::Store(error) => error,
        }
    }
}

/// All rows of a query.
pub fn rows<T>(
    connection: &Connection,
    table: &'static str,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&mut Cells<'_, '_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, DbError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    let mut all = Vec::new();
    while let Some(row) = found.next()? {
        let mut cells = Cells::new(table, row);
        all.push(read(&mut cells)?);
        inline_reads::spend(cells.bytes_taken())?;
    }
    Ok(all)
}

/// The first rows of a query, but for those that cannot be decoded: for readers of many owners' rows,
/// where one such row must not hold what belongs to others. The statement has no limit of its own,
/// which rows that are passed over would use up.
pub(super) fn rows_but_corrupt<T>(
    connection: &Connection,
    table: &'static str,
    (sql, params): (&str, impl Params),
    (limit, skipped): (usize, &Skipped),
    mut read: impl FnMut(&mut Cells<'_, '_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, DbError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    let mut all = Vec::new();
    while all.len() < limit
        && let Some(row) = found.next()?
    {
        let mut cells = Cells::new(table, row);
        all.extend(skipped.unless_corrupt(read(&mut cells)));
        inline_reads::spend(cells.bytes_taken())?;
    }
    Ok(all)
}

/// The first row of a query.
pub fn row<T>(
    connection: &Connection,
    table: &'static str,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&mut Cells<'_, '_>) -> Result<T, StoreError>,
) -> Result<Option<T>, DbError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    match found.next()? {
        None => Ok(None),
        Some(row) => Ok(Some(read(&mut Cells::new(table, row))?)),
    }
}

/// The result of a `count` query.
pub fn count(
    connection: &Connection,
    table: &'static str,
    sql: &str,
    params: impl Params,
) -> Result<u64, DbError> {
    let counted = row(connection, table, sql, params, |cells| {
        let count = cells.u64()?;
        Ok(count)
    })?;
    Ok(counted.unwrap_or_default())
}
