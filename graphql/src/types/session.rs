//! Where the viewer is signed in.

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
    /// Its id.
    pub(crate) async fn id(&self) -> ID {
        ID(ids::encode(IdKind::Session, self.view.id.0))
    }
    /// When it began.
    async fn created_at(&self) -> DateTime {
        DateTime(self.view.created_at)
    }
    /// When its refresh token was last used, or it began.
    async fn last_seen_at(&self) -> Option<DateTime> {
        Some(DateTime(self.view.last_seen_at))
    }
    /// Where it was begun from, in the client's own words.
    async fn user_agent(&self) -> Option<&str> {
        self.view.user_agent.as_deref()
    }
    /// It is the one of this request.
    async fn is_current(&self) -> bool {
        self.is_current
    }
}
