//! Transactions, every concern said out loud.

use super::error::{DbError, code, is_unknown_commit};
use mongodb::error::Error;
use mongodb::options::{ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{Client, ClientSession};
use std::time::Duration;

/// How long the server may take over a commit.
const COMMIT_TIME: Duration = Duration::from_secs(5);

/// What is acknowledged is on the disks of a majority.
pub(super) fn durable() -> WriteConcern {
    let mut concern = WriteConcern::majority();
    concern.journal = Some(true);
    concern
}

/// From the one member that may know the end of the log.
pub(super) fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

/// Begins a transaction that sees one snapshot. One of the same session that is still open on the server ends by that, uncommitted.
pub(super) async fn begin(session: &mut ClientSession) -> Result<(), Error> {
    let begun =
        session.start_transaction().read_concern(ReadConcern::snapshot()).write_concern(durable());
    begun.selection_criteria(primary()).max_commit_time(COMMIT_TIME).await
}

/// A session in a transaction.
pub(super) async fn snapshot(client: &Client) -> Result<ClientSession, Error> {
    let mut session = client.start_session().await?;
    begin(&mut session).await?;
    Ok(session)
}

/// Ends a transaction whose writes don't matter: what it saw counts once its commit went through.
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

/// Aborts; that this fails changes nothing that counts: the server ends the transaction in its time.
pub(super) async fn abort(session: &mut ClientSession) {
    if let Err(error) = session.abort_transaction().await {
        tracing::debug!(code = code(&error), "a transaction could not be aborted");
    }
}

/// How a commit ended.
pub(super) enum Committed {
    /// It is in, for good.
    Yes,
    /// Nobody knows.
    Unknown,
}

/// Commits. An unknown outcome is asked for again, by the commit alone, a few times. Any other error leaves doubt as well: the driver may
/// have repeated the commit by itself, and what it was told the second time says nothing about the first.
pub(super) async fn commit(session: &mut ClientSession) -> Committed {
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
