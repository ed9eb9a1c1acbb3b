//! The obvious way to number events, as a baseline: each append is a transaction of its own that
//! increments a counter, inserts its documents, commits, and starts again after a conflict. Nothing
//! is batched, so all writers compete for the counter.

use super::mongo::{COLLECTIONS, Documents, failed, readable};
use crate::{BenchError, Sample};
use claviger_store::mongo::raw::{Committed, DbError, abort, begin, commit};
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use mongodb::{ClientSession, Database};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;

const COUNTERS: &str = "counters";

/// Writers that take their appends from one shared list.
struct Shared {
    db: Database,
    written: Vec<Documents>,
    next: AtomicUsize,
    until: Instant,
}

/// Appends for `time`, or until nothing is left.
pub(super) async fn run(
    db: &Database,
    written: Vec<Documents>,
    writers: usize,
    time: Duration,
) -> Result<Sample, BenchError> {
    let tracker = TaskTracker::new();
    let counters = db.collection::<Document>(COUNTERS);
    let made = tracker
        .spawn(async move { counters.insert_one(doc! { "_id": "events", "n": 0_i64 }).await });
    made.await.map_err(|_| BenchError::Lost)?.map_err(|error| failed(&error))?;
    let began = Instant::now();
    let shared = Arc::new(Shared {
        db: db.clone(),
        written,
        next: AtomicUsize::new(0),
        until: began + time,
    });
    let running: Vec<_> = (0..writers).map(|_| tracker.spawn(write(Arc::clone(&shared)))).collect();
    let mut all = Sample::default();
    for writer in running {
        let sample = writer.await.map_err(|_| BenchError::Lost)??;
        all.latencies.extend(sample.latencies);
        all.conflicts += sample.conflicts;
    }
    all.took = began.elapsed();
    Ok(all)
}

async fn write(shared: Arc<Shared>) -> Result<Sample, BenchError> {
    let mut sample = Sample::default();
    let mut session = shared.db.client().start_session().await.map_err(|error| failed(&error))?;
    while let Some(documents) = shared.written.get(shared.next.fetch_add(1, Ordering::Relaxed)) {
        let [event, row, record] = documents;
        let documents = [readable(event)?, readable(row)?, readable(record)?];
        let began = Instant::now();
        loop {
            if Instant::now() >= shared.until {
                return Ok(sample);
            }
            match append(&shared.db, &mut session, &documents).await {
                Ok(()) => break,
                Err(error) if error.is_transient() => sample.conflicts += 1,
                Err(DbError::Mongo(error)) => return Err(failed(&error)),
                Err(DbError::Store(error)) => return Err(BenchError::Baseline(error.to_string())),
                Err(DbError::Silent) => {
                    return Err(BenchError::Baseline("MongoDB does not answer".to_owned()));
                }
            }
        }
        sample.latencies.push(began.elapsed());
    }
    Ok(sample)
}

async fn append(
    db: &Database,
    session: &mut ClientSession,
    documents: &[Document; 3],
) -> Result<(), DbError> {
    begin(session).await?;
    if let Err(error) = insert(db, session, documents).await {
        abort(session).await;
        return Err(error);
    }
    match commit(session).await {
        Committed::Yes => Ok(()),
        Committed::Unknown => Err(claviger_projections::ports::StoreError::Unavailable(
            "a commit's outcome".to_owned(),
        )
        .into()),
    }
}

async fn insert(
    db: &Database,
    session: &mut ClientSession,
    documents: &[Document; 3],
) -> Result<(), DbError> {
    let counters = db.collection::<Document>(COUNTERS);
    let count =
        counters.find_one_and_update(doc! { "_id": "events" }, doc! { "$inc": { "n": 1_i64 } });
    let counted = count.return_document(ReturnDocument::After).session(&mut *session).await?;
    let position = counted.and_then(|counter| counter.get_i64("n").ok()).unwrap_or_default();
    for (collection, document) in COLLECTIONS.into_iter().zip(documents) {
        let mut document = document.clone();
        if document.contains_key("position") {
            document.insert("position", position);
        }
        db.collection::<Document>(collection).insert_one(document).session(&mut *session).await?;
    }
    Ok(())
}
