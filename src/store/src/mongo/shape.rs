//! Whether the collections are plain ones. A database has no triggers of its own, but it has what
//! changes what a statement does: a view in the place of a collection, a validator that refuses
//! documents, a collection that drops its oldest, an order of its own for texts, and indexes that
//! delete documents with time or refuse a second one.

use super::error::{OpenError, code, open_error};
use super::schema::{self, CollectionIndexes};
use futures::TryStreamExt as _;
use futures::future::try_join_all;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use std::collections::HashSet;

/// Options of a collection that change what is stored in it or found there. Others, such as those of
/// the storage engine, are the operator's.
const OPTIONS: [&str; 7] = [
    "validator",
    "capped",
    "collation",
    "timeseries",
    "viewOn",
    "expireAfterSeconds",
    "encryptedFields",
];

/// The server's code for a collection that is not there.
const NO_COLLECTION: i32 = 26;

fn foreign(db: &Database, what: String) -> OpenError {
    OpenError::Foreign { database: db.name().to_owned(), what }
}

/// The names of all collections. One of ours that is not plain is refused.
pub(super) async fn collections(db: &Database) -> Result<HashSet<String>, OpenError> {
    let mongo = |error: Error| open_error(db.name(), error.into());
    let listed = db.run_cursor_command(doc! { "listCollections": 1 }).await.map_err(mongo)?;
    let listed: Vec<Document> = listed.try_collect().await.map_err(mongo)?;
    let mut names = HashSet::new();
    for found in listed {
        let Ok(name) = found.get_str("name") else { continue };
        if schema::is_ours(name)
            && let Some(what) = not_plain(&found)
        {
            return Err(foreign(db, format!("the collection {name} has {what}")));
        }
        names.insert(name.to_owned());
    }
    Ok(names)
}

/// What makes a collection more than a plain one.
fn not_plain(found: &Document) -> Option<String> {
    let kind = found.get_str("type").unwrap_or("collection");
    if kind != "collection" {
        return Some("another type than collection".to_owned());
    }
    let options = found.get_document("options").ok()?;
    // `capped: false` and an empty validator are those of a plain collection.
    let is_set = |option: &&&str| match options.get(**option) {
        None | Some(mongodb::bson::Bson::Null | mongodb::bson::Bson::Boolean(false)) => false,
        Some(mongodb::bson::Bson::Document(option)) => !option.is_empty(),
        Some(_) => true,
    };
    OPTIONS.iter().find(is_set).map(|option| format!("the option {option}"))
}

/// Refuses an index that is not ours and deletes documents, or refuses some. Others only take time,
/// and may be an operator's.
pub(super) async fn check_indexes(db: &Database) -> Result<(), OpenError> {
    try_join_all(schema::collections().map(|(name, ours)| check_indexes_of(db, name, ours)))
        .await
        .map(drop)
}

async fn check_indexes_of(
    db: &Database,
    collection: &'static str,
    ours: CollectionIndexes,
) -> Result<(), OpenError> {
    let listed = match db.run_cursor_command(doc! { "listIndexes": collection }).await {
        Ok(listed) => listed.try_collect::<Vec<Document>>().await,
        Err(error) if code(&error) == NO_COLLECTION => return Ok(()),
        Err(error) => Err(error),
    };
    let listed = listed.map_err(|error| open_error(db.name(), error.into()))?;
    for index in listed {
        let name = index.get_str("name").unwrap_or_default();
        let is_ours = name == "_id_" || ours.has(name);
        let is = |option: &str| index.get_bool(option).unwrap_or(false);
        let what = if index.contains_key("expireAfterSeconds") {
            "deletes documents with time"
        } else if is("unique") && !is_ours {
            "refuses documents"
        } else if is_ours && (is("hidden") || index.contains_key("partialFilterExpression")) {
            "leaves documents out"
        } else {
            continue;
        };
        return Err(foreign(db, format!("an index of the collection {collection} {what}")));
    }
    Ok(())
}
