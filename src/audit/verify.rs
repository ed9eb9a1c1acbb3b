//! `verify`: reads the whole log once, checks its integrity, opens and folds every event, and
//! compares the result with the views and with every other table.
//!
//! It takes nothing for granted: a row that can't be read is a problem, and what comes after it is
//! read all the same. Memory holds a page of rows, the state of all accounts, keys and runs, the
//! wrapped keys, and the command records; it does not grow with events or text.

pub use super::report::Report;

use super::expected::Expected;
use super::integrity::Integrity;
use super::tables::{self, page};
use crate::keychain::{Keychain, Opener, open_event};
use crate::system::failure::store_failure;
use crate::views::registry::{self, View};
use crate::views::{Taken, WholeLog};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{Head, Store, StoreError, StoredEvent, StoredRow, Table};
use std::collections::BTreeSet;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Verifies a store. What is written to it meanwhile may show up as a problem.
///
/// # Errors
/// When the store is unavailable. Problems in the store's content are in the report.
pub async fn verify(store: Arc<dyn Store>, keychain: Arc<Keychain>) -> Result<Report, Failure> {
    let mut report = Report::default();
    let records = tables::records(&*store, &mut report).await?;
    let head = head(&*store, &mut report).await?;
    let mut reading = Reading {
        log: WholeLog::new(Arc::clone(&store), Arc::clone(&keychain)).await?,
        integrity: Integrity::new(head),
        expected: Expected::new(records),
        keychain: Arc::clone(&keychain),
        closed: BTreeSet::new(),
    };
    reading.read(&*store, &mut report).await?;
    let Reading { mut log, integrity, expected, .. } = reading;
    let last = integrity.last();
    integrity.end(&mut report);
    report.accounts = log.accounts();
    for view in registry::ALL {
        let rows = compare(&mut log, view, &mut report).await?;
        if **view == registry::KEYS {
            report.keys = rows;
        } else if **view == registry::RUNS {
            report.runs = rows;
        }
    }
    tables::check(&*store, (expected, last), Opener::new(keychain), &mut report).await?;
    let now = self::head(&*store, &mut report).await?.position;
    report.written_meanwhile = now > last;
    if now < last {
        report.problem(format!(
            "the head is at {now}, the log at {last}: restore the head from a backup"
        ));
    }
    Ok(report)
}

/// The head; a row that can't be read is a problem.
async fn head(store: &dyn Store, report: &mut Report) -> Result<Head, Failure> {
    match store.head().await {
        Ok(head) => Ok(head),
        Err(error @ (StoreError::Corrupt(_) | StoreError::Gap { .. })) => {
            report.problem(format!("the head cannot be read: {error}"));
            Ok(Head::default())
        }
        Err(error @ (StoreError::Unavailable(_) | StoreError::Closed)) => {
            Err(store_failure(&error))
        }
    }
}

/// The log while it is read.
struct Reading {
    log: WholeLog,
    integrity: Integrity,
    expected: Expected,
    keychain: Arc<Keychain>,
    /// Streams whose content key does not open. Their rows of keys tell why.
    closed: BTreeSet<StreamName>,
}

impl Reading {
    async fn read(&mut self, store: &dyn Store, report: &mut Report) -> Result<(), Failure> {
        let mut from = Some(None);
        while let Some(after) = from {
            let page = page(store, Table::Events, after, report).await?;
            let mut events = Vec::with_capacity(page.rows.len());
            for row in page.rows {
                match row {
                    Ok(StoredRow::Event(event)) => {
                        self.check(&event, report);
                        self.fold(&event, report).await?;
                        events.push(*event);
                    }
                    Ok(_) => {}
                    Err(row) => {
                        self.integrity.unreadable(row.position, &row.error.to_string(), report);
                    }
                }
            }
            self.log.follow(&events);
            from = page.next.map(Some);
        }
        Ok(())
    }

    /// Checks an event as it is stored, and who appended it.
    fn check(&mut self, event: &StoredEvent, report: &mut Report) {
        let evidence = self.keychain.evidence();
        // One loss is one problem: what is missing or edited before it is reported already.
        let before = self.integrity.root();
        let vouched = evidence
            .check_start(event, before)
            .and_then(|()| evidence.check_history(event, &before));
        let has_holes = self.integrity.has_holes();
        let is_whole = self.integrity.take(event, report);
        let signed = if is_whole { evidence.check_signature(event) } else { Ok(()) };
        let vouched = if has_holes { Ok(()) } else { vouched };
        for wrong in [vouched, signed] {
            if let Err(error) = wrong {
                report.problem(error.to_string());
            }
        }
    }

    /// Opens and folds an event. An event that can't be opened or decoded is a problem; the others
    /// are still folded.
    async fn fold(&mut self, event: &StoredEvent, report: &mut Report) -> Result<(), Failure> {
        let position = event.envelope.position;
        let stream = event.envelope.stream;
        let opened = match event.envelope.owner {
            Some(owner) => self.open(owner, event).await?,
            None => Some(None),
        };
        let Some(content) = opened else {
            report.problem(format!("position {position}: the content does not open"));
            return Ok(());
        };
        let content = content.as_ref().map(|content| content.as_slice());
        if let Some(wrong) = self.expected.take(event, content, &self.keychain) {
            report.problem(format!("position {position}: {wrong}"));
        }
        let Some(owner) = event.envelope.owner else { return Ok(()) };
        match self.log.take(owner, event, content) {
            Ok(Taken::Folded) => {}
            Ok(Taken::RunEnded) => self.log.keys().forget_run(stream),
            Ok(Taken::NoFirstEvent(run)) => {
                report.problem(format!(
                    "position {position}: the first event of run {run} is missing"
                ));
            }
            Err(_) => report.problem(format!("position {position}: {}", unknown(stream))),
        }
        Ok(())
    }

    /// The content, `Some(None)` without content or key, and `None` if the key does not open it.
    async fn open(
        &mut self,
        owner: UserId,
        event: &StoredEvent,
    ) -> Result<Option<Option<Zeroizing<Vec<u8>>>>, Failure> {
        let stream = event.envelope.stream;
        if event.content.is_empty() || self.closed.contains(&stream) {
            return Ok(Some(None));
        }
        let key = match self.log.keys().get(owner, stream).await {
            Ok(key) => key,
            Err(failure) if failure.code == ErrorCode::StoreUnavailable => return Err(failure),
            Err(_) => {
                self.closed.insert(stream);
                None
            }
        };
        Ok(open_event(event, key).ok())
    }
}

const fn unknown(stream: StreamName) -> &'static str {
    match stream {
        StreamName::KeyRing(_) => "unknown key ring event",
        StreamName::Account(_) => "unknown account event",
        StreamName::Run(_) => "unknown run event",
        StreamName::RunControl(_) => "unknown run request",
        StreamName::System => "unknown event of the installation",
    }
}

/// Compares a view with the log. Returns the number of its rows.
async fn compare(log: &mut WholeLog, view: &View, report: &mut Report) -> Result<u64, Failure> {
    let mut rows = 0;
    let compared = log
        .check(view, &mut |owner, checked| match checked {
            Ok(checked) => {
                rows += checked.rows;
                for problem in checked.problems(view, owner) {
                    report.problem(problem);
                }
            }
            Err(_) => {
                report.problem(format!("the view {} of {owner} cannot be checked", view.name()));
            }
        })
        .await;
    match compared {
        Err(failure) if failure.code == ErrorCode::StoreUnavailable => Err(failure),
        Err(_) => {
            report.problem(format!("the rows of the view {} cannot be listed", view.name()));
            Ok(rows)
        }
        Ok(()) => Ok(rows),
    }
}
