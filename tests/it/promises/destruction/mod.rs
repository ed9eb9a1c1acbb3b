//! Everything that may be done to a row, done to every table and column of both stores, and what
//! `verify` then says. The list is that of `ops/docs/SECURITY.md`; a column without a line there
//! fails the test.
//!
//! On MongoDB a part of the cases runs. `CLAVIGER_TEST_DESTRUCTION=all cargo test --test it
//! destruction` runs all of them, and with `print` instead of `all` prints the list as it should
//! be (`-- --nocapture`).

mod cases;
mod example;
mod list;
mod tables;

use crate::harness::mongo::server;
use crate::harness::stores::StoreKind;
use cases::{Depth, every_case};
use claviger_store::sqlite::DATABASE_FILE;
use example::Example;
use list::{Found, Listed};

async fn compared(kind: StoreKind, heading: &str) {
    let asked = std::env::var_os("CLAVIGER_TEST_DESTRUCTION").unwrap_or_default();
    // Each case on MongoDB takes several times as long as on SQLite.
    let is_brief = kind == StoreKind::MongoDb && asked.is_empty();
    let depth = if is_brief { Depth::Brief } else { Depth::Full };
    let mut found = Found::default();
    // Boxes of their own have only events of a quarter of a megabyte: a store with nothing else.
    for parts in [false, true] {
        let example = Example::build(kind, parts).await;
        let report = example.verified().await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        let more = every_case(&example, depth, |table| (table == "parts") == parts).await;
        found.0.extend(more.0);
        example.close().await;
    }
    if asked == "print" {
        found.print(heading);
        return;
    }
    Listed::of(heading).compare(&found, depth);
}

#[tokio::test]
async fn every_table_and_column_of_sqlite_is_listed_as_verify_sees_it() {
    compared(StoreKind::Sqlite, "SQLite").await;
}

#[tokio::test]
async fn every_collection_and_field_of_mongodb_is_listed_as_verify_sees_it() {
    if server().await.is_some() {
        compared(StoreKind::MongoDb, "MongoDB").await;
    }
}

#[tokio::test]
async fn what_was_destroyed_is_named_and_the_rest_is_read() {
    let example = Example::build(StoreKind::Sqlite, false).await;
    let sql = |sql: &str| {
        let db = rusqlite::Connection::open(example.dir.join(DATABASE_FILE)).unwrap();
        db.execute(sql, []).unwrap()
    };
    let gone = sql("DELETE FROM events WHERE position = 20");
    let secrets = sql("DELETE FROM secrets");
    let keys = sql("DELETE FROM user_keys WHERE rowid = (SELECT min(rowid) FROM user_keys)");
    let report = example.verified().await.unwrap();
    let said = |words: &str| report.problems.iter().filter(|it| it.contains(words)).count();
    assert_eq!((gone, said("position 20 is missing")), (1, 1), "{:#?}", report.problems);
    assert_eq!(said("the secret of key"), secrets, "{:#?}", report.problems);
    assert_eq!((keys, said("the user key of")), (1, 1), "{:#?}", report.problems);
    assert_eq!(report.rows["claims"], 15, "what follows is read all the same");
    example.close().await;
}
