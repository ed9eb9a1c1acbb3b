//! Transactions, with every concern set explicitly.

use super::error::{DbError, code, is_unknown_commit};
use mongodb::error::Error;
use mongodb::options::{ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{Client, ClientSession};
use std::time::Duration;

/// How long the server may take for a commit.
const COMMIT_TIME: Duration = Duration::from_secs(5);

/// Acknowledged writes are on the disks of a majority.
pub fn durable() -> WriteConcern {
    let mut concern = WriteConcern::majority();
    concern.journal = Some(true);
    concern
}

/// Reads from the primary, the only member that may have the end of the log.
pub(super) fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

/// Begins a transaction that sees one snapshot. A transaction of the same session that is still
/// open on the server ends uncommitted.
pub async fn begin(session: &mut ClientSession) -> Result<(), Error> {
    let begun =
        session.start_transaction().read_concern(ReadConcern::snapshot()).write_concern(durable());
    begun.selection_criteria(primary()).max_commit_time(COMMIT_TIME).await
}

/// Starts a session with an open transaction.
pub(super) async fn snapshot(client: &Client) -> Result<ClientSession, Error> {
    let mut session = client.start_session().await?;
    begin(&mut session).await?;
    Ok(session)
}

/// Ends a transaction whose writes do not matter: its reads are valid only once its commit
/// succeeds.
pub(super) async fn end<T>(
    session: &mut ClientSession,
    read: Result<T, DbError>,
) -> Result<T, DbError> {
    match read {
        Ok(found) => {
            session.commit_transaction().await?;
            Ok(found)
        }
        Err(error) => {
            abort(session).await;
            Err(error)
        }
    }
}

/// Aborts. A failure has no consequence: the server ends the transaction in time.
pub async fn abort(session: &mut ClientSession) {
    if let Err(error) = session.abort_transaction().await {
        tracing::debug!(code = code(&error), "a transaction could not be aborted");
    }
}

/// How a commit ended.
#[derive(Debug)]
pub enum Committed {
    /// Committed for good.
    Yes,
    /// The outcome is unknown.
    Unknown,
}

/// Commits. After an unknown outcome, only the commit is repeated, a few times. Any other error
/// leaves doubt as well: the driver may have repeated the commit by itself, and the reply to the
/// second attempt proves nothing about the first.
pub async fn commit(session: &mut ClientSession) -> Committed {
    for _ in 0..3 {
        match session.commit_transaction().await {
            Ok(()) => return Committed::Yes,
            Err(error) => {
                tracing::warn!(code = code(&error), "the outcome of a commit is unknown");
                if !is_unknown_commit(&error) {
                    break;
                }
            }
        }
    }
    Committed::Unknown
}
