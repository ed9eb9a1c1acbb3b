//! Sessions as the log knows them. A session's row is only believed together with the checked
//! account of the user whom it names.

use super::accounts::Auth;
use crate::aggregates::Member;
use crate::system::failure::store_failure;
use claviger_domain::failure::Failure;
use claviger_domain::id::{SessionId, UserId};
use claviger_projections::ports::SessionRow;

/// An open session: its row, and the account of its owner.
pub(super) struct OpenSession {
    pub(super) row: SessionRow,
    pub(super) member: Member,
}

impl Auth {
    /// The session, if it is open and belongs to this user.
    ///
    /// # Errors
    /// When the store is unavailable, or the row is not the one that was written.
    pub(super) async fn session_of(
        &self,
        id: SessionId,
        owner: UserId,
    ) -> Result<Option<OpenSession>, Failure> {
        let (row, member) =
            futures::join!(self.session_row(id), self.reads().aggregates.member(owner));
        let (Some(row), Some(member)) = (row?, member?) else { return Ok(None) };
        if row.owner == owner && member.begun_at(id).is_some() {
            return self.checked(row, member).map(Some);
        }
        // A sign-in or sign-out may have come between the two reads, which ran together.
        let Some(row) = self.session_row(id).await? else { return Ok(None) };
        self.opened(row, owner).await
    }

    /// The session of this row; `None` if it has ended since the row was read.
    ///
    /// # Errors
    /// When the store is unavailable, or the row is not the one that was written.
    pub(super) async fn opened(
        &self,
        row: SessionRow,
        owner: UserId,
    ) -> Result<Option<OpenSession>, Failure> {
        // The account is read after the row, so it knows of the row's beginning. Only an end may
        // have come between, which deletes the row.
        let member = self.reads().aggregates.member(owner).await?.unwrap_or_default();
        let is_open = row.owner == owner && member.begun_at(row.id).is_some();
        if !is_open && self.session_row(row.id).await?.as_ref() != Some(&row) {
            return Ok(None);
        }
        if row.owner != owner {
            tracing::error!(session = %row.id, "the row of a session names another owner");
            return Err(Failure::internal());
        }
        self.checked(row, member).map(Some)
    }

    fn checked(&self, row: SessionRow, member: Member) -> Result<OpenSession, Failure> {
        let evidence = self.ports().keychain.evidence();
        let checked = evidence.check_session_row(&row, member.begun_at(row.id));
        checked.map_err(|error| store_failure(&error))?;
        Ok(OpenSession { row, member })
    }

    pub(super) async fn session_row(&self, id: SessionId) -> Result<Option<SessionRow>, Failure> {
        self.ports().store.session(id).await.map_err(|error| store_failure(&error))
    }
}
