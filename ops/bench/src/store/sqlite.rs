//! The embedded store under measurement, and the same rows inserted without it: one connection with
//! the writer's pragmas, prepared `INSERT`s, one transaction per batch, checkpoints as often as the
//! writer makes them.

use crate::{Bare, Batches, BenchError, Ground, Sample, Trial};
use claviger::system::environment::Environment;
use claviger_projections::ports::{BoxFuture, Store};
use claviger_store::sqlite::SqliteConfig;
use claviger_store::sqlite::SqliteStore;
use claviger_store::sqlite::raw::{
    CHECKPOINT_BYTES, COMMIT_BYTES, code, make_dir, open_reader, open_writer,
};
use claviger_store::sqlite::{Fault, Faults};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;

/// What an append of a measurement writes, table by table, in the order of the log.
const TABLES: [(&str, &str); 3] = [
    ("events", "SELECT * FROM events ORDER BY position"),
    (
        "views",
        "SELECT v.* FROM events e JOIN views v ON v.owner = e.owner AND v.view = 'keys' AND v.id = e.subject ORDER BY e.position",
    ),
    ("commands", "SELECT * FROM commands ORDER BY position"),
];

/// Temporary stores in directories of their own.
pub struct SqliteGround {
    beneath: PathBuf,
    env: Environment,
}

impl fmt::Debug for SqliteGround {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteGround").field("beneath", &self.beneath).finish_non_exhaustive()
    }
}

impl SqliteGround {
    pub fn new(beneath: PathBuf, env: Environment) -> Self {
        Self { beneath, env }
    }
}

impl Ground for SqliteGround {
    fn trial(&self, _processes: usize) -> BoxFuture<'_, Result<Box<dyn Trial>, BenchError>> {
        let dir = Dir(self.beneath.join(format!("claviger-bench-{}", self.env.ids.next())));
        let batches = Arc::new(Batches::default());
        let mut config =
            SqliteConfig::new(dir.0.join("store"), "claviger bench", self.env.clock.now());
        config.faults = Arc::new(Noted(Arc::clone(&batches)));
        Box::pin(async move {
            let opening = TaskTracker::new()
                .spawn_blocking(move || SqliteStore::open(&config).map(|store| (store, config)));
            let opened = opening.await.map_err(|_| BenchError::Lost)?;
            let (store, config) = opened.map_err(|error| BenchError::Open(Box::new(error)))?;
            Ok(Box::new(SqliteTrial { store: Arc::new(store), config, batches, dir })
                as Box<dyn Trial>)
        })
    }
}

/// A directory that is removed when dropped.
struct Dir(PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(dir = %self.0.display(), %error, "the directory of a measurement could not be removed");
        }
    }
}

struct Noted(Arc<Batches>);

impl Faults for Noted {
    fn before_commit(&self, tasks: usize) -> Option<Fault> {
        self.0.note(tasks);
        None
    }
}

struct SqliteTrial {
    // Dropped in this order: the store is closed before its directory is removed.
    store: Arc<SqliteStore>,
    config: SqliteConfig,
    batches: Arc<Batches>,
    dir: Dir,
}

impl Trial for SqliteTrial {
    fn stores(&self) -> Vec<Arc<dyn Store>> {
        vec![Arc::<SqliteStore>::clone(&self.store)]
    }

    fn batches(&self) -> Vec<usize> {
        self.batches.noted()
    }

    fn conflicts(&self) -> u64 {
        0
    }

    fn bare(&self) -> BoxFuture<'_, Result<Bare, BenchError>> {
        let (from, batches) = (self.config.dir.clone(), self.batches());
        let into = SqliteConfig { dir: self.dir.0.join("bare"), ..self.config.clone() };
        let inserting =
            TaskTracker::new().spawn_blocking(move || insert_bare(&from, &into, &batches));
        Box::pin(async move { inserting.await.map_err(|_| BenchError::Lost)? })
    }

    /// Only one process writes, so there is no contended counter.
    fn counter(
        &self,
        _writers: usize,
        _time: Duration,
    ) -> BoxFuture<'_, Result<Option<Sample>, BenchError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn remove(self: Box<Self>) -> BoxFuture<'static, Result<(), BenchError>> {
        let removing = TaskTracker::new().spawn_blocking(move || drop(self));
        Box::pin(async move { removing.await.map_err(|_| BenchError::Lost) })
    }
}

/// The rows of one append: one of each table.
type Rows = [Vec<Value>; TABLES.len()];

fn insert_bare(from: &Path, into: &SqliteConfig, batches: &[usize]) -> Result<Bare, BenchError> {
    let opened = |error| BenchError::Open(Box::new(error));
    let reader = open_reader(from).map_err(opened)?;
    let rows = read(&reader).map_err(|error| failed(&error))?;
    drop(reader);
    make_dir(&into.dir).map_err(opened)?;
    let connection = open_writer(into).map_err(opened)?;
    let began = Instant::now();
    insert(&connection, &rows, batches).map_err(|error| failed(&error))?;
    Ok(Bare { appends: rows.len(), took: began.elapsed() })
}

fn failed(error: &rusqlite::Error) -> BenchError {
    BenchError::Baseline(format!("SQLite code {}", code(error)))
}

fn read(connection: &Connection) -> rusqlite::Result<Vec<Rows>> {
    let [events, views, commands] = TABLES.map(|(_, sql)| table(connection, sql));
    Ok(events?
        .into_iter()
        .zip(views?)
        .zip(commands?)
        .map(|((event, view), command)| [event, view, command])
        .collect())
}

fn table(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let rows =
        statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?;
    rows.collect()
}

fn insert(connection: &Connection, rows: &[Rows], batches: &[usize]) -> rusqlite::Result<()> {
    let widths = rows.first().map(|rows| rows.each_ref().map(Vec::len)).unwrap_or_default();
    let inserts = TABLES
        .iter()
        .zip(widths)
        .map(|((table, _), columns)| connection.prepare(&insert_into(table, columns)));
    let mut statements = inserts.collect::<rusqlite::Result<Vec<_>>>()?;
    let (mut left, mut written) = (rows, 0);
    for size in batches {
        let (batch, rest) = left.split_at(left.len().min(*size));
        left = rest;
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for rows in batch {
            for (statement, cells) in statements.iter_mut().zip(rows) {
                statement.execute(params_from_iter(cells))?;
                written += cells.iter().map(bytes).sum::<usize>();
            }
        }
        connection.prepare_cached("COMMIT")?.execute([])?;
        written += COMMIT_BYTES;
        if written >= CHECKPOINT_BYTES {
            written = 0;
            connection
                .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?
                .query_row([], |_| Ok(()))?;
        }
    }
    Ok(())
}

fn insert_into(table: &str, columns: usize) -> String {
    let places: Vec<String> = (1..=columns).map(|column| format!("?{column}")).collect();
    format!("INSERT INTO {table} VALUES ({})", places.join(", "))
}

fn bytes(cell: &Value) -> usize {
    match cell {
        Value::Null => 0,
        Value::Integer(_) | Value::Real(_) => 8,
        Value::Text(text) => text.len(),
        Value::Blob(blob) => blob.len(),
    }
}
