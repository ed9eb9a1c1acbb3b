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

/// A session in a transaction that sees one snapshot.
pub(super) async fn snapshot(client: &Client) -> Result<ClientSession, Error> {
    let mut session = client.start_session().await?;
    session
        .start_transaction()
        .read_concern(ReadConcern::snapshot())
        .write_concern(durable())
        .selection_criteria(primary())
        .max_commit_time(COMMIT_TIME)
        .await?;
    Ok(session)
}

/// Ends a transaction that only read: what it saw counts once its commit went through.
pub(super) async fn end<T>(mut session: ClientSession, read: Result<T, DbError>) -> Result<T, DbError> {
    match read {
        Ok(found) => {
            session.commit_transaction().await?;
            Ok(found)
        }
        Err(error) => {
            abort(&mut session).await;
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
    /// It is not in, and never will be.
    No(Error),
    /// Nobody knows.
    Unknown,
}

/// Commits. An unknown outcome is asked for again, by the commit alone, a few times; once it was unknown only a yes settles it.
pub(super) async fn commit(session: &mut ClientSession) -> Committed {
    let mut unsure = false;
    for _ in 0..3 {
        match session.commit_transaction().await {
            Ok(()) => return Committed::Yes,
            Err(error) if unsure || is_unknown_commit(&error) => {
                tracing::warn!(code = code(&error), "the outcome of a commit is unknown");
                unsure = true;
            }
            Err(error) => return Committed::No(error),
        }
    }
    Committed::Unknown
}
