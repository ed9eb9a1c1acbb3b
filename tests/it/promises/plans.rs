//! Statements of the embedded store are planned as they are meant
//! (`ops/docs/adr/0035-statements-and-clocks.md`).

use crate::harness::environment::NOW;
use crate::harness::stores::sqlite;
use claviger_domain::id::{RunId, UserId};
use claviger_projections::ports::{DeltaPlace, DeltaRow, Deltas as _};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uuid::Uuid;

/// What stands where a statement has a placeholder: each alternative is planned, and looked for in
/// the sources.
const PARTS: [(&str, &[&str]); 6] = [
    ("{order}", &["ASC", "DESC"]),
    ("{after}", &["(sort, id) < (?3, ?4)", "?3 IS NULL AND ?4 IS NULL"]),
    ("{before}", &["(sort, id) > (?5, ?6)", "?5 IS NULL AND ?6 IS NULL"]),
    (
        "{whose}",
        &[
            "events INDEXED BY events_by_subject WHERE owner = ?1 AND subject = ?2",
            "events INDEXED BY events_by_owner WHERE owner = ?1 AND ?2 IS NULL",
        ],
    ),
    ("{of_timer}", &["owner = ?1 AND kind = ?2 AND subject = ?3 AND due_at = ?4"]),
    ("{kinds}", &["kind IN (SELECT value FROM json_each(?3))", "?3 IS NULL"]),
];

/// Statements that read a whole table or index, each with why that may be.
const WHOLE: [(&str, &str); 8] = [
    ("SELECT kek, wrapped_index_key, canary FROM store_keys ORDER BY seq DESC", "a few rows"),
    ("SELECT kek FROM store_keys ORDER BY seq DESC LIMIT 1", "its first row"),
    (
        "SELECT kek, count(*) FROM user_keys GROUP BY kek ORDER BY kek",
        "`vault status` and rotations",
    ),
    ("SELECT count(*) FROM secrets", "`vault status`"),
    ("SELECT name, program FROM required ORDER BY name", "a few rows, once at the start"),
    ("SELECT ifnull(max(position), 0) FROM events", "its last row, once at the start"),
    (
        "SELECT type, name, tbl_name, ifnull(sql, '') FROM sqlite_schema WHERE name NOT IN ('sqlite_stat1', 'sqlite_stat4')",
        "a few rows, once at the start",
    ),
    (
        "INSERT INTO store_keys (kek, wrapped_index_key, canary, seq) SELECT ?1, ?2, ?3, 1 WHERE NOT EXISTS (SELECT 1 FROM store_keys)",
        "its first row",
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Without `inspect.rs`, whose one statement reads whole tables in the order of their keys, for
/// `verify`.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.file_name().is_some_and(|name| name != "schema.rs" && name != "inspect.rs") {
            found.push(path);
        }
    }
}

/// The string literals of a source without its tests, with runs of white space as one space.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap();
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n").replace("'\"'", "").replace("\\\"", "");
    let texts = code.split('"').skip(1).step_by(2);
    texts
        .map(|text| text.replace('\\', " ").split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// Every statement that the text stands for.
fn alternatives(text: &str, columns: &str) -> Vec<String> {
    let mut texts = vec![text.replace("{EVENT}", columns)];
    for (name, parts) in PARTS {
        let of = |text: String| {
            if text.contains(name) {
                parts.iter().map(|part| text.replace(name, part)).collect()
            } else {
                vec![text]
            }
        };
        texts = texts.into_iter().flat_map(of).collect();
    }
    texts
}

/// Each statement of the store with the files that hold it.
fn statements() -> BTreeMap<String, Vec<String>> {
    let folder = root().join("src/store/src/sqlite");
    let mut files = Vec::new();
    sources(&folder, &mut files);
    let texts: Vec<(String, Vec<String>)> = files
        .iter()
        .map(|file| {
            let name = file.strip_prefix(&folder).unwrap().display().to_string();
            (name, literals(&std::fs::read_to_string(file).unwrap()))
        })
        .collect();
    let all: Vec<&String> = texts.iter().flat_map(|(_, texts)| texts).collect();
    let columns = all.iter().find(|text| text.starts_with("position, id, stream")).unwrap();
    for part in PARTS.iter().flat_map(|(_, parts)| parts.iter()) {
        assert!(all.iter().any(|text| text == part), "no source has {part:?} any more");
    }
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for (file, texts) in &texts {
        let is_statement = |text: &&String| {
            ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "REPLACE ", "WITH "]
                .iter()
                .any(|verb| text.starts_with(verb))
        };
        for text in texts.iter().filter(is_statement) {
            for statement in alternatives(text, columns) {
                assert!(!statement.contains('{'), "{file}: an unknown part in {statement}");
                let files = found.entry(statement).or_default();
                if !files.contains(file) {
                    files.push(file.clone());
                }
            }
        }
    }
    found
}

fn plan(connection: &Connection, statement: &str) -> Vec<String> {
    let mut explained = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
    let mut rows = explained.raw_query();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        lines.push(row.get::<_, String>("detail").unwrap());
    }
    lines
}

/// The list is `plans/sqlite.txt`; `CLAVIGER_TEST_WRITE_PLANS=1` writes it anew, to be read before
/// it is committed.
#[test]
fn every_statement_uses_the_index_that_is_meant() {
    let dir = TempDir::new().unwrap();
    sqlite(dir.path()).close();
    let connection = Connection::open(dir.path().join("claviger.db")).unwrap();
    let (mut list, mut whole) = (String::new(), Vec::new());
    for (statement, files) in statements() {
        let lines = plan(&connection, &statement);
        if lines.iter().any(|line| line.starts_with("SCAN ") && !line.contains("json_each")) {
            whole.push(statement.clone());
        }
        writeln!(list, "{statement}\n    in {}", files.join(", ")).unwrap();
        for line in lines {
            writeln!(list, "    {line}").unwrap();
        }
    }
    let allowed: Vec<&str> = WHOLE.iter().map(|(statement, _)| *statement).collect();
    let unknown: Vec<_> = whole.iter().filter(|it| !allowed.contains(&it.as_str())).collect();
    assert!(unknown.is_empty(), "these read a whole table: {unknown:#?}");
    let file = root().join("tests/it/promises/plans/sqlite.txt");
    if std::env::var_os("CLAVIGER_TEST_WRITE_PLANS").is_some() {
        std::fs::write(&file, &list).unwrap();
    }
    let known = std::fs::read_to_string(&file).unwrap();
    let new: Vec<_> = list.lines().filter(|line| !known.lines().any(|it| it == *line)).collect();
    assert_eq!(list, known, "not as in {}: {new:#?}", file.display());
}

fn rows(owner: UserId, run: RunId, count: u64) -> Vec<DeltaRow> {
    let row =
        |d| DeltaRow { place: DeltaPlace { run, v: 1, d }, owner, sealed: vec![7; 64], at: NOW };
    (1..=count).map(row).collect()
}

/// How long the text of a run of 300 rows takes to expire where its owner has so many others.
async fn expiry(others: u64) -> Duration {
    let (dir, owner) = (TempDir::new().unwrap(), UserId(Uuid::from_u128(1)));
    let store = sqlite(dir.path());
    for run in 0..others / 1_000 {
        let run = RunId(Uuid::from_u128(100 + u128::from(run)));
        store.flush(rows(owner, run, 1_000)).await.unwrap();
    }
    let mut took = Vec::new();
    for run in 1..=5 {
        let run = RunId(Uuid::from_u128(run));
        store.flush(rows(owner, run, 300)).await.unwrap();
        let start = Instant::now();
        assert_eq!(store.expire_deltas(owner, run).await.unwrap(), 300);
        took.push(start.elapsed());
    }
    store.close();
    took.sort();
    took[2]
}

/// The long form of the plan's line: `CLAVIGER_TEST_EXPIRY_ROWS=300000 cargo test --test it
/// expiry_takes_as_long`. Without the variable it checks slices only.
#[tokio::test]
async fn expiry_takes_as_long_however_much_text_the_owner_has() {
    let others = std::env::var_os("CLAVIGER_TEST_EXPIRY_ROWS");
    let others = others.map_or(2_000, |count| count.to_str().unwrap().parse().unwrap());
    let (few, many) = (expiry(0).await, expiry(others).await);
    println!("a run's text expires in {few:?}, beside {others} other rows in {many:?}");
    // With the owner's index it took a hundred times as long, at 300,000 rows.
    assert!(others < 100_000 || many < few * 4 + Duration::from_millis(5), "{few:?} {many:?}");
}
