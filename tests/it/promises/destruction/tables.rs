//! Rows of a store as they are, read and written behind its back.

use crate::harness::stores::Opened;
use claviger_store::sqlite::DATABASE_FILE;
use futures::TryStreamExt as _;
use mongodb::Database;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::path::Path;

/// A row or document.
pub(super) type Row = Document;

pub(super) enum Tables {
    Sqlite(Connection),
    MongoDb(Database),
}

impl Tables {
    /// Beside the store that is open.
    pub(super) fn of(opened: &Opened, dir: &Path) -> Self {
        match opened {
            Opened::Sqlite(_) => {
                let db = Connection::open(dir.join(DATABASE_FILE)).unwrap();
                db.pragma_update(None, "synchronous", "OFF").unwrap();
                Self::Sqlite(db)
            }
            Opened::MongoDb(store) => Self::MongoDb(store.database().clone()),
        }
    }

    pub(super) async fn names(&self) -> Vec<String> {
        let mut names = match self {
            Self::Sqlite(db) => {
                let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'";
                let mut statement = db.prepare(sql).unwrap();
                let names = statement.query_map([], |row| row.get(0)).unwrap();
                names.collect::<Result<_, _>>().unwrap()
            }
            Self::MongoDb(db) => db.list_collection_names().await.unwrap(),
        };
        names.sort();
        names
    }

    /// The columns of a table; the fields of all documents that are there.
    pub(super) async fn columns(&self, table: &str) -> Vec<String> {
        match self {
            Self::Sqlite(db) => columns_where(db, table, "1"),
            Self::MongoDb(_) => {
                let mut fields = Vec::<String>::new();
                for row in self.rows(table).await {
                    fields.extend(row.keys().cloned());
                }
                fields.sort();
                fields.dedup();
                fields
            }
        }
    }

    pub(super) async fn rows(&self, table: &str) -> Vec<Row> {
        match self {
            Self::Sqlite(db) => {
                let columns = columns_where(db, table, "1");
                let mut statement = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
                let rows = statement.query_map([], |row| {
                    let cell =
                        |(at, name): (usize, &String)| Ok((name.clone(), bson(row.get(at)?)));
                    columns.iter().enumerate().map(cell).collect::<Result<Row, _>>()
                });
                rows.unwrap().collect::<Result<_, _>>().unwrap()
            }
            Self::MongoDb(db) => {
                let documents = db.collection::<Row>(table);
                let all = documents.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
                all.try_collect().await.unwrap()
            }
        }
    }

    /// A row for a table that has none in a sound store.
    pub(super) fn made_up(&self, table: &str) -> Option<Row> {
        let id = |n: u8, subtype| Bson::Binary(Binary { subtype, bytes: vec![n; 16] });
        let row = |subtype| {
            doc! { "view": "usage", "owner": id(1, subtype), "id": id(2, subtype), "position": 1_i64, "reason": "unknown_event" }
        };
        if table != "quarantine" {
            return None;
        }
        Some(match self {
            Self::Sqlite(_) => row(BinarySubtype::Generic),
            Self::MongoDb(_) => {
                let uuid = BinarySubtype::Uuid;
                let mut row = row(uuid);
                row.insert("_id", doc! { "w": "usage", "o": id(1, uuid), "i": id(2, uuid) });
                row
            }
        })
    }

    /// The part of a row that makes it unique.
    pub(super) fn key(&self, table: &str, row: &Row) -> Row {
        let columns = match self {
            Self::Sqlite(db) => columns_where(db, table, "pk > 0"),
            Self::MongoDb(_) => vec!["_id".to_owned()],
        };
        columns
            .into_iter()
            .map(|name| {
                let cell = row[&name].clone();
                (name, cell)
            })
            .collect()
    }

    /// Takes rows away and puts earlier ones back. On MongoDB the store that is open may have written
    /// the line of its process again meanwhile.
    pub(super) async fn restore(&mut self, table: &str, remove: &[Row], back: &[Row]) -> bool {
        let Self::MongoDb(db) = self else { return self.change(table, remove, back).await };
        let documents = db.collection::<Row>(table);
        for row in remove {
            documents.delete_one(doc! { "_id": row["_id"].clone() }).await.unwrap();
        }
        for row in back {
            let of = doc! { "_id": row["_id"].clone() };
            documents.replace_one(of, row).upsert(true).await.unwrap();
        }
        true
    }

    /// Takes rows away and puts others in their place; `false`, and nothing is changed, if the store
    /// itself refuses them.
    pub(super) async fn change(&mut self, table: &str, remove: &[Row], add: &[Row]) -> bool {
        let keys: Vec<Row> = remove.iter().map(|row| self.key(table, row)).collect();
        match self {
            Self::Sqlite(db) => {
                let transaction = db.transaction().unwrap();
                let done = keys
                    .iter()
                    .try_for_each(|key| delete(&transaction, table, key))
                    .and_then(|()| add.iter().try_for_each(|row| insert(&transaction, table, row)));
                match done {
                    Ok(()) => transaction.commit().is_ok(),
                    Err(_) => false,
                }
            }
            Self::MongoDb(db) => {
                let documents = db.collection::<Row>(table);
                for key in &keys {
                    documents.delete_one(key.clone()).await.unwrap();
                }
                for (at, row) in add.iter().enumerate() {
                    if documents.insert_one(row).await.is_ok() {
                        continue;
                    }
                    for row in add.get(..at).unwrap() {
                        documents.delete_one(doc! { "_id": row["_id"].clone() }).await.unwrap();
                    }
                    for row in remove {
                        documents.insert_one(row).await.unwrap();
                    }
                    return false;
                }
                true
            }
        }
    }
}

fn columns_where(db: &Connection, table: &str, condition: &str) -> Vec<String> {
    let sql = format!("SELECT name FROM pragma_table_info('{table}') WHERE {condition}");
    let mut statement = db.prepare_cached(&sql).unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.collect::<Result<_, _>>().unwrap()
}

fn delete(db: &Connection, table: &str, key: &Row) -> rusqlite::Result<()> {
    let condition: Vec<String> = key.keys().map(|name| format!("{name} = ?")).collect();
    let sql = format!("DELETE FROM {table} WHERE {}", condition.join(" AND "));
    db.execute(&sql, params_from_iter(key.values().map(value))).map(drop)
}

fn insert(db: &Connection, table: &str, row: &Row) -> rusqlite::Result<()> {
    let names: Vec<&str> = row.keys().map(String::as_str).collect();
    let places = vec!["?"; names.len()].join(", ");
    let sql = format!("INSERT INTO {table} ({}) VALUES ({places})", names.join(", "));
    db.execute(&sql, params_from_iter(row.values().map(value))).map(drop)
}

fn bson(value: Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Integer(number) => Bson::Int64(number),
        Value::Real(number) => Bson::Double(number),
        Value::Text(text) => Bson::String(text),
        Value::Blob(bytes) => Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes }),
    }
}

fn value(cell: &Bson) -> Value {
    if let Some(number) = cell.as_i64() {
        Value::Integer(number)
    } else if let Some(number) = cell.as_f64() {
        Value::Real(number)
    } else if let Some(text) = cell.as_str() {
        Value::Text(text.to_owned())
    } else if let Bson::Binary(binary) = cell {
        Value::Blob(binary.bytes.clone())
    } else {
        assert_eq!(cell, &Bson::Null, "SQLite has no such value");
        Value::Null
    }
}
