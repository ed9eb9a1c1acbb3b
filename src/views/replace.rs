//! Replaces an owner's rows where they differ from the log. Both functions return whether the view
//! agreed, and replace nothing for a mere check.

use super::check::{MOST_TRIES, unsettled};
use super::followed::FollowedHistory;
use super::history::InlineHistory;
use crate::system::environment::Environment;
use crate::system::failure::store_failure;
use claviger_domain::failure::Failure;
use claviger_projections::ports::ReplaceError;

/// Replaces the rows of an inline view, while commands continue.
pub(super) async fn replace_inline(
    mut history: InlineHistory<'_>,
    env: &Environment,
    is_check: bool,
) -> Result<bool, Failure> {
    history.read_on().await?;
    for _ in 0..MOST_TRIES {
        let agrees = history.compare().await?.agrees();
        // Events appended meanwhile weren't in the fold that was compared.
        if history.read_on().await? {
            continue;
        }
        if agrees || is_check {
            return Ok(agrees);
        }
        let replacement = history.replacement(env).await?;
        match history.store().replace(replacement).await {
            Ok(()) => return Ok(false),
            Err(ReplaceError::Moved) => drop(history.read_on().await?),
            Err(ReplaceError::Store(error)) => return Err(store_failure(&error)),
        }
    }
    Err(unsettled(history.owner()))
}

/// Replaces the rows of a followed view, while its follower continues.
pub(super) async fn replace_followed(
    mut history: FollowedHistory<'_>,
    is_check: bool,
) -> Result<bool, Failure> {
    for _ in 0..MOST_TRIES {
        let (at, checked) = history.compare().await?;
        if checked.agrees() || is_check {
            return Ok(checked.agrees());
        }
        match history.store().replace(history.replacement(at)).await {
            Ok(()) => return Ok(false),
            Err(ReplaceError::Moved) => {}
            Err(ReplaceError::Store(error)) => return Err(store_failure(&error)),
        }
    }
    Err(unsettled(history.owner()))
}
