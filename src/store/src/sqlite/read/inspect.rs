//! Every row of every table, for auditors: rows that cannot be read are passed on as such.

use super::deltas::delta_row;
use super::events::{EVENT, claim_kind_of, command_row, parts, stored_event};
use super::rotation::user_key_state;
use super::rows::{content_key_row, secret_row, session_row, timer_row};
use crate::sqlite::cells::Cells;
use crate::sqlite::query::DbError;
use claviger_domain::catalogue::Requirement;
use claviger_domain::id::{ContextTag, KeyId, UserId};
use claviger_projections::ports::{
    Checkpoint, ClaimRow, CredentialRow, IndexKeyRow, Inspected, Mark, MarkPart, PoisonReason,
    Quarantined, StoreError, StoreKeyRow, StoredRow, Table, Unreadable,
};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

/// How a table is read: the columns that make a row, and those of its key, which order it.
struct Source {
    columns: &'static str,
    key: &'static str,
    read: fn(&mut Cells<'_, '_>) -> Result<StoredRow, StoreError>,
}

/// The key of tables that have row numbers.
const NUMBERED: &str = "rowid";

const fn source(table: Table) -> Source {
    let (columns, key, read): (_, _, fn(&mut Cells<'_, '_>) -> _) = match table {
        Table::Events => (EVENT, "position", unreached),
        Table::Parts => ("position, part, box", NUMBERED, part),
        Table::Claims => ("kind, hash, holder, subject", "kind, hash", claim),
        Table::Commands => (
            "command_id, request_hash, owner, subject, event_ids, position, stream, version, open, expires_at",
            "command_id",
            |cells| command_row(cells).map(|record| StoredRow::Command(Box::new(record))),
        ),
        Table::UserKeys => ("owner, version, kek, wrapped, worn", NUMBERED, |cells| {
            user_key_state(cells).map(StoredRow::UserKey)
        }),
        Table::IndexKeys => ("owner, user_key_version, wrapped", NUMBERED, index_key),
        Table::ContentKeys => ("stream, owner, user_key_version, wrapped", NUMBERED, |cells| {
            content_key_row(cells).map(StoredRow::ContentKey)
        }),
        Table::Secrets => (
            "owner, key, secret_version, user_key_version, wrapped_data_key, sealed",
            NUMBERED,
            |cells| secret_row(cells).map(StoredRow::Secret),
        ),
        Table::Credentials => {
            ("owner, password_version, user_key_version, sealed", NUMBERED, credential)
        }
        Table::Sessions => (
            "id, owner, created_at, last_seen_at, expires_at, generation, rotated_at, content, mac",
            NUMBERED,
            |cells| session_row(cells).map(StoredRow::Session),
        ),
        Table::Timers => {
            ("owner, kind, subject, command, due_at", "owner, kind, subject", |cells| {
                timer_row(cells).map(StoredRow::Timer)
            })
        }
        Table::Views => ("id, owner, view, sort, stream, facts, content", NUMBERED, view),
        Table::Defaults => ("owner, tag, key", "owner, tag", default_key),
        Table::Checkpoints => ("view, position, repairs", "view", checkpoint),
        Table::Quarantine => ("id, owner, view, position, reason", "view, owner, id", quarantined),
        Table::Deltas => ("run, v, d, owner, sealed, at", NUMBERED, |cells| {
            delta_row(cells).map(StoredRow::Delta)
        }),
        Table::Required => ("name, program", "name", required),
        Table::StoreKeys => ("kek, wrapped_index_key, canary, seq", NUMBERED, store_key),
    };
    Source { columns, key, read }
}

/// The next rows of a table.
pub(in crate::sqlite) fn inspect(
    connection: &Connection,
    table: Table,
    after: Option<&Mark>,
    bytes: usize,
) -> Result<Inspected, DbError> {
    let Source { columns, key, read } = source(table);
    let parts = key.split(", ").count();
    let behind = match after {
        Some(_) => format!("WHERE ({key}) > ({})", vec!["?"; parts].join(", ")),
        None => String::new(),
    };
    let name = table.name();
    let sql = format!("SELECT {columns}, {key} FROM {name} {behind} ORDER BY {key}");
    let mut statement = connection.prepare_cached(&sql)?;
    let params = after.into_iter().flat_map(|mark| mark.0.iter().map(value));
    let mut found = statement.query(params_from_iter(params))?;
    let mut page = Inspected::default();
    let mut size = 0;
    while let Some(row) = found.next()? {
        let columns = row.as_ref().column_count();
        let mark = Mark((columns - parts..columns).map(|at| part_of(row, at)).collect());
        size += (0..columns).map(|at| length(row, at)).sum::<usize>();
        let mut cells = Cells::new(name, row);
        let stored =
            if table == Table::Events { event(connection, &mut cells)? } else { read(&mut cells) };
        if let Ok(StoredRow::Event(event)) = &stored
            && event.content.len() > 1
        {
            size += event.content.iter().map(Vec::len).sum::<usize>();
        }
        page.rows
            .push(stored.map_err(|error| Unreadable { position: position(table, &mark), error }));
        if size >= bytes {
            page.next = Some(mark);
            break;
        }
    }
    Ok(page)
}

/// An event with its boxes, which may be rows of another table.
fn event(
    connection: &Connection,
    cells: &mut Cells<'_, '_>,
) -> Result<Result<StoredRow, StoreError>, DbError> {
    let (mut event, boxes) = match stored_event(cells) {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    if boxes > 1 {
        match parts(connection, event.envelope.position, boxes) {
            Ok(content) => event.content = content,
            Err(DbError::Store(error)) => return Ok(Err(error)),
            Err(DbError::Sqlite(error)) => return Err(DbError::Sqlite(error)),
        }
    }
    Ok(Ok(StoredRow::Event(Box::new(event))))
}

fn position(table: Table, mark: &Mark) -> Option<u64> {
    match (table == Table::Events, mark.0.first()) {
        (true, Some(MarkPart::Number(number))) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// Columns of a `STRICT` table have their type. A file that was edited as bytes may have others:
/// they are read as what sorts lowest.
fn part_of(row: &Row<'_>, at: usize) -> MarkPart {
    match row.get_ref(at) {
        Ok(ValueRef::Text(text)) => MarkPart::Text(String::from_utf8_lossy(text).into_owned()),
        Ok(ValueRef::Blob(bytes)) => MarkPart::Bytes(bytes.to_vec()),
        Ok(ValueRef::Integer(number)) => MarkPart::Number(number),
        Ok(ValueRef::Null | ValueRef::Real(_)) | Err(_) => MarkPart::Number(i64::MIN),
    }
}

fn value(part: &MarkPart) -> Value {
    match part {
        MarkPart::Number(number) => Value::Integer(*number),
        MarkPart::Text(text) => Value::Text(text.clone()),
        MarkPart::Bytes(bytes) => Value::Blob(bytes.clone()),
    }
}

fn length(row: &Row<'_>, at: usize) -> usize {
    match row.get_ref(at) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => bytes.len(),
        Ok(ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_)) | Err(_) => 8,
    }
}

/// Events are read by [`event`], which may need another table.
fn unreached(cells: &mut Cells<'_, '_>) -> Result<StoredRow, StoreError> {
    Err(cells.corrupt())
}

fn part(cells: &mut Cells<'_, '_>) -> Result<StoredRow, StoreError> {
    let (position, part) = (cells.u64()?, cells.u64()?);
    cells.bytes()?;
    Ok(StoredRow::Part(position, part))
}

fn claim(cells: &mut Cells<'_, '_>) -> Result<StoredRow, StoreError> {
    let kind = claim_kind_of(cells.u64()?).ok_or_else(|| cells.corrupt())?;
    let (hash, holder) = (cells.array()?, UserId(cells.id()?));
    Ok(StoredRow::Claim(ClaimRow { kind, hash, holder, subject: cells.id()? }))
}

fn index_key(cells: &mut Cells<'_, '_>) -> Result<StoredRow, StoreError> {
    Ok(StoredRow::IndexKey(IndexKeyRow {
        owner: UserId(cells.id()?),
        user_key_version: cells.u32()?,
        wrapped: cells.bytes()?.to_vec(),
    }))
}

fn credential(cells: &mut Cells<'_, '_>) -> Result<StoredRow, StoreError> {
    Ok(StoredRow::Credential(CredentialRow {
        owner: UserId(cells.id()?),
        password_version: cells.u32()?,
        user_key_version: cells.u32()?,
        sealed: cells.bytes()?.to_vec(),
    }))
}

fn view(cells: &mut Cells<'_, '_>) -> Result<StoredRow, StoreError> {
    let (id, owner, view) = (cells.id()?, UserId(cells.id()?), cells.text()?.to_owned());
    cells.u64()?;
    cells.stream()?;
    cells.bytes()?;
    cells.opt_bytes()?;
    Ok(StoredRow::View { view, owner, id })
}

fn default_key(cells: &mut Cells<'_, '_>) -> Result<StoredRow, StoreError> {
    let owner = UserId(cells.id()?);
    Ok(StoredRow::Default(owner, ContextTag(cells.array()?), KeyId(cells.id()?)))
}

fn checkpoint(cells: &mut Cells<'_, '_>) -> Result<StoredRow, StoreError> {
    let view = cells.text()?.to_owned();
    let at = Checkpoint { position: cells.u64()?, repairs: cells.u64()? };
    Ok(StoredRow::Checkpoint(view, at))
}

fn quarantined(cells: &mut Cells<'_, '_>) -> Result<StoredRow, StoreError> {
    let (id, owner, view) = (cells.id()?, UserId(cells.id()?), cells.text()?.to_owned());
    let position = cells.u64()?;
    let reason = PoisonReason::parse(cells.text()?).ok_or_else(|| cells.corrupt())?;
    Ok(StoredRow::Quarantined(view, Quarantined { owner, id, position, reason }))
}

fn required(cells: &mut Cells<'_, '_>) -> Result<StoredRow, StoreError> {
    let requirement = Requirement::stored(cells.text()?);
    Ok(StoredRow::Required(requirement, cells.text()?.to_owned()))
}

fn store_key(cells: &mut Cells<'_, '_>) -> Result<StoredRow, StoreError> {
    let row = StoreKeyRow {
        kek: cells.array()?,
        wrapped_index_key: cells.bytes()?.to_vec(),
        canary: cells.bytes()?.to_vec(),
    };
    Ok(StoredRow::StoreKey(row, cells.u64()?))
}
