//! Reads of an asynchronous view, which may have to wait until the view has caught up.

use super::StoreReads;
use crate::system::failure::store_failure;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{KeyId, UserId};
use claviger_projections::activity::{ActivityView, KeyActivity};
use claviger_projections::ports::ACTIVITY;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The shortest and the longest pause between polls of a checkpoint. Polling is needed because
/// another process may be running the follower.
const LOOK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

impl StoreReads {
    /// What calls with a key have shown about it, once the view has reached a position.
    pub(super) async fn key_activity(
        &self,
        user: UserId,
        key: KeyId,
        position: Option<u64>,
    ) -> Result<Option<KeyActivity>, Failure> {
        if let Some(position) = position {
            self.reach_view(ACTIVITY, position).await?;
        }
        let row =
            self.store.row(ACTIVITY, user, key.0).await.map_err(|error| store_failure(&error))?;
        row.map(|row| ActivityView::read(&row)).transpose().map_err(|reason| {
            tracing::error!(view = ACTIVITY, row = %key, reason = reason.as_str(), "cannot read a view's row: run `claviger replay activity`");
            Failure::internal()
        })
    }

    /// Waits until a view has reached a position; fails with `VIEW_BEHIND` if it takes too long.
    async fn reach_view(&self, view: &'static str, position: u64) -> Result<(), Failure> {
        let deadline = Instant::now() + self.view_wait;
        let mut pause = LOOK.0;
        loop {
            let at =
                self.store.checkpoint(view).await.map_err(|error| store_failure(&error))?.position;
            if at >= position {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let message = format!(
                    "the view of {view} is at position {at}, before {position}: try again later, \
                     or leave out minPosition"
                );
                return Err(Failure::new(ErrorCode::ViewBehind, message));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOK.1);
        }
    }
}
