//! `verify`: reads the whole log once, checks its integrity, opens and folds every event, and
//! compares the result with the views.

pub use super::report::Report;

use super::integrity::Integrity;
use crate::keychain::{Keychain, open_event};
use crate::system::failure::store_failure;
use crate::views::registry::{self, View};
use crate::views::{Taken, WholeLog};
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{Store, StoredEvent};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Events read at a time.
const BATCH: usize = 1000;

/// Verifies a store. Nothing may write to it meanwhile.
///
/// # Errors
/// When the store is unavailable. Problems in the store's content are in the report.
pub async fn verify(store: Arc<dyn Store>, keychain: Arc<Keychain>) -> Result<Report, Failure> {
    let mut report = Report::default();
    let evidence = Arc::clone(keychain.evidence());
    let mut log = WholeLog::new(Arc::clone(&store), keychain).await?;
    let mut integrity = Integrity::default();
    loop {
        let events =
            store.read(report.events, BATCH).await.map_err(|error| store_failure(&error))?;
        for event in &events {
            if let Err(error) = evidence.check_start(event, integrity.root()) {
                report.problem(error.to_string());
            }
            if let Err(error) = evidence.check_signature(event) {
                report.problem(error.to_string());
            }
            integrity.take(event, &mut report);
            fold(&mut log, event, &mut report).await;
        }
        log.follow(&events);
        if events.len() < BATCH {
            break;
        }
    }
    let head = store.head().await.map_err(|error| store_failure(&error))?;
    integrity.end(&head, &mut report);
    report.accounts = log.accounts();
    for view in registry::ALL {
        let rows = compare(&mut log, view, &mut report).await?;
        if **view == registry::KEYS {
            report.keys = rows;
        } else if **view == registry::RUNS {
            report.runs = rows;
        }
    }
    Ok(report)
}

/// Opens and folds an event. An event that can't be opened or decoded is a problem; the others are
/// still folded.
async fn fold(log: &mut WholeLog, event: &StoredEvent, report: &mut Report) {
    let position = event.envelope.position;
    let stream = event.envelope.stream;
    let Some(owner) = event.envelope.owner else { return };
    let Ok(content) = open(log, owner, event).await else {
        report.problem(format!("position {position}: the content does not open"));
        return;
    };
    match log.take(owner, event, content.as_ref().map(|content| content.as_slice())) {
        Ok(Taken::Folded) => {}
        Ok(Taken::RunEnded) => log.keys().forget_run(stream),
        Ok(Taken::NoFirstEvent(run)) => {
            report.problem(format!("position {position}: the first event of run {run} is missing"));
        }
        Err(_) => report.problem(format!("position {position}: {}", unknown(stream))),
    }
}

async fn open(
    log: &mut WholeLog,
    owner: UserId,
    event: &StoredEvent,
) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    if event.content.is_empty() {
        return Ok(None);
    }
    open_event(event, log.keys().get(owner, event.envelope.stream).await?)
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
    log.check(view, &mut |owner, checked| match checked {
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
    .await?;
    Ok(rows)
}
