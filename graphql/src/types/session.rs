//! The viewer's sessions.

use crate::scalars::DateTime;
use async_graphql::{ID, Object};
use claviger_application::SessionView;
use claviger_application::ids::{self, IdKind};

/// A signed-in session.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) view: SessionView,
    pub(crate) is_current: bool,
}

#[Object]
impl Session {
    /// The session's id.
    pub(crate) async fn id(&self) -> ID {
        ID(ids::encode(IdKind::Session, self.view.id.0))
    }
    /// When the session began.
    async fn created_at(&self) -> DateTime {
        DateTime(self.view.created_at)
    }
    /// When the refresh token was last used, or when the session began.
    async fn last_seen_at(&self) -> Option<DateTime> {
        Some(DateTime(self.view.last_seen_at))
    }
    /// The `User-Agent` of the client that began the session, as the client sent it.
    async fn user_agent(&self) -> Option<&str> {
        self.view.user_agent.as_deref()
    }
    /// Whether this request belongs to the session.
    async fn is_current(&self) -> bool {
        self.is_current
    }
}
