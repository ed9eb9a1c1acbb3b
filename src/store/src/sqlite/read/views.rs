//! Queries of views.

use crate::skipped::Skipped;
use crate::sqlite::cells::{Cells, bound};
use crate::sqlite::query::{self, DbError};
use claviger_domain::id::{ContextTag, KeyId, UserId};
use claviger_projections::ports::{Page, PageOf, StoreError, ViewRow};
use rusqlite::{Connection, params};
use uuid::Uuid;

/// A page of an owner's rows with their total, from one snapshot.
pub(in crate::sqlite) fn page(
    connection: &Connection,
    view: &'static str,
    owner: UserId,
    page: Page,
    skipped: &Skipped,
) -> Result<PageOf, DbError> {
    let (after_sort, after_id) = page.after.unzip();
    let (before_sort, before_id) = page.before.unzip();
    let after =
        if page.after.is_some() { "(sort, id) < (?3, ?4)" } else { "?3 IS NULL AND ?4 IS NULL" };
    let before =
        if page.before.is_some() { "(sort, id) > (?5, ?6)" } else { "?5 IS NULL AND ?6 IS NULL" };
    let order = if page.from_end { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT id, owner, sort, stream, facts, content FROM views WHERE view = ?1 AND owner = ?2 AND {after} AND {before} \
         ORDER BY sort {order}, id {order}"
    );
    let params = params![
        view,
        owner.0.as_bytes(),
        after_sort.map(bound),
        after_id.map(Uuid::into_bytes),
        before_sort.map(bound),
        before_id.map(Uuid::into_bytes),
    ];
    // One more than requested shows whether there are more.
    let wanted = (page.limit.saturating_add(1), skipped);
    let found = (sql.as_str(), params);
    let mut rows =
        query::rows_but_corrupt(connection, "views", found, wanted, |cells| view_row(view, cells))?;
    let more = rows.len() > page.limit;
    rows.truncate(page.limit);
    if page.from_end {
        rows.reverse();
    }
    let sql = "SELECT count(*) FROM views WHERE view = ?1 AND owner = ?2";
    let total = query::count(connection, "views", sql, params![view, owner.0.as_bytes()])?;
    Ok(PageOf { rows, total, more })
}

pub(in crate::sqlite) fn view_row_of(
    connection: &Connection,
    view: &'static str,
    owner: UserId,
    id: Uuid,
) -> Result<Option<ViewRow>, DbError> {
    let sql = "SELECT id, owner, sort, stream, facts, content FROM views WHERE view = ?1 AND owner = ?2 AND id = ?3";
    query::row(
        connection,
        "views",
        sql,
        params![view, owner.0.as_bytes(), id.as_bytes()],
        |cells| view_row(view, cells),
    )
}

fn view_row(view: &'static str, cells: &mut Cells<'_, '_>) -> Result<ViewRow, StoreError> {
    let id = cells.id()?;
    Ok(ViewRow {
        view,
        owner: UserId(cells.id()?),
        id,
        sort: cells.u64()?,
        stream: cells.stream()?,
        facts: cells.bytes()?.to_vec(),
        content: cells.opt_bytes()?.map(<[u8]>::to_vec),
    })
}

pub(in crate::sqlite) fn default_key(
    connection: &Connection,
    owner: UserId,
    tag: ContextTag,
) -> Result<Option<KeyId>, DbError> {
    let sql = "SELECT key FROM defaults WHERE owner = ?1 AND tag = ?2";
    query::row(connection, "defaults", sql, params![owner.0.as_bytes(), tag.0], |cells| {
        cells.id().map(KeyId)
    })
}

pub(in crate::sqlite) fn defaults(
    connection: &Connection,
    owner: UserId,
) -> Result<Vec<(ContextTag, KeyId)>, DbError> {
    let sql = "SELECT tag, key FROM defaults WHERE owner = ?1 ORDER BY tag";
    query::rows(connection, "defaults", sql, [owner.0.as_bytes()], |cells| {
        Ok((ContextTag(cells.array()?), KeyId(cells.id()?)))
    })
}

/// Owners that have rows in a view.
pub(in crate::sqlite) fn owners(
    connection: &Connection,
    view: &'static str,
    after: Option<UserId>,
    limit: usize,
    skipped: &Skipped,
) -> Result<Vec<UserId>, DbError> {
    // An empty blob sorts before every id.
    let after = after.map_or_else(Vec::new, |owner| owner.0.as_bytes().to_vec());
    let sql = "SELECT DISTINCT owner FROM views WHERE view = ?1 AND owner > ?2 ORDER BY owner";
    let behind = (sql, params![view, after]);
    query::rows_but_corrupt(connection, "views", behind, (limit, skipped), |cells| {
        cells.id().map(UserId)
    })
}

/// Rows of a view, of all owners.
pub(in crate::sqlite) fn rows_of_all(
    connection: &Connection,
    view: &'static str,
    after: Option<(UserId, Uuid)>,
    limit: usize,
    skipped: &Skipped,
) -> Result<Vec<ViewRow>, DbError> {
    // Empty blobs sort before every id.
    let (owner, id) = after.map_or_else(Default::default, |(owner, id)| {
        (owner.0.as_bytes().to_vec(), id.as_bytes().to_vec())
    });
    let sql = "SELECT id, owner, sort, stream, facts, content FROM views WHERE view = ?1 AND (owner, id) > (?2, ?3) \
               ORDER BY owner, id";
    let behind = (sql, params![view, owner, id]);
    query::rows_but_corrupt(connection, "views", behind, (limit, skipped), |cells| {
        view_row(view, cells)
    })
}
