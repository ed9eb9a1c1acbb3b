//! Whether a file has the tables and indexes of its format and nothing else. A trigger changes what
//! a statement does, a view stands for a table, and a table with other constraints refuses or lets in
//! what it should not: whoever can write the file could leave one to act later.

use super::error::OpenError;
use super::schema;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::Path;

/// Most things that an error names.
const NAMED: usize = 5;

/// Longest name that an error shows.
const SHOWN: usize = 40;

/// A thing of the schema: kind, name, table, statement.
type Thing = (String, String, String, String);

/// Refuses a file with more, less or other things than its format has.
pub(super) fn check(connection: &Connection, path: &Path, format: u32) -> Result<(), OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let mut plain = Connection::open_in_memory().map_err(sqlite)?;
    schema::bring_to(&mut plain, path, format)?;
    let (found, made) = (things(connection).map_err(sqlite)?, things(&plain).map_err(sqlite)?);
    let more = found.difference(&made).map(|thing| format!("holds {}", shown(thing)));
    let less = made.difference(&found).map(|thing| format!("lacks {}", shown(thing)));
    let mut wrong: Vec<String> = more.chain(less).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let rest = wrong.len().saturating_sub(NAMED);
    wrong.truncate(NAMED);
    if rest > 0 {
        wrong.push(format!("and {rest} more"));
    }
    Err(OpenError::Foreign { path: path.to_owned(), what: wrong.join(", ") })
}

/// Statistics for the planner are nobody's: `ANALYZE` leaves them, and every statement that matters
/// names its index or has only one.
fn things(connection: &Connection) -> rusqlite::Result<BTreeSet<Thing>> {
    let sql = "SELECT type, name, tbl_name, ifnull(sql, '') FROM sqlite_schema \
               WHERE name NOT IN ('sqlite_stat1', 'sqlite_stat4')";
    let mut statement = connection.prepare(sql)?;
    let found = statement.query_map([], |row| {
        let text = |at| {
            row.get_ref(at).map(|cell| {
                let bytes = cell.as_bytes_or_null().ok().flatten().unwrap_or_default();
                String::from_utf8_lossy(bytes).into_owned()
            })
        };
        Ok((text(0)?, text(1)?, text(2)?, in_words(&text(3)?)))
    })?;
    found.collect()
}

/// A statement without the white space that changes nothing: `ALTER TABLE` leaves another amount of it.
fn in_words(sql: &str) -> String {
    let mut words = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    for mark in ["(", ")", ","] {
        words = words.replace(&format!(" {mark}"), mark).replace(&format!("{mark} "), mark);
    }
    words
}

/// A thing by its kind and name, which somebody else may have chosen.
fn shown((kind, name, table, _): &Thing) -> String {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric() || *c == '_').take(SHOWN).collect()
    };
    if kind == "table" || kind == "view" {
        format!("the {} {}", plain(kind), plain(name))
    } else {
        format!("the {} {} on {}", plain(kind), plain(name), plain(table))
    }
}
