//! Replays a view for all owners.

use super::content_keys::ContentKeys;
use super::followed::FollowedHistory;
use super::history::InlineHistory;
use super::record;
use super::registry::{Kind, View};
use super::replace::{replace_followed, replace_inline};
use crate::keychain::Keychain;
use crate::system::environment::Environment;
use crate::system::failure::store_failure;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::system::{Rebuilt, SystemEvent};
use claviger_projections::ports::Store;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Owners listed at a time.
const OWNERS: usize = 500;

/// How often repaired owners are checked again.
const MOST_ROUNDS: usize = 3;

/// Most owners named in a report.
const MOST_NAMED: usize = 100;

/// The result of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub view: &'static str,
    /// The number of owners checked.
    pub owners: u64,
    /// Owners whose rows differed from the log; at most a hundred.
    pub differing: Vec<String>,
    /// The number of all such owners.
    pub differing_count: u64,
    /// The number of owners whose rows were replaced.
    pub changed: u64,
    /// Owners that couldn't be checked because their events or keys can't be read; at most a
    /// hundred. The log has the reasons.
    pub failed: Vec<String>,
    /// The number of all such owners.
    pub failed_count: u64,
    /// The number of rows that no longer advance because of an event that can't be applied.
    pub quarantined: u64,
    /// Position of the event that records the repair; `None` without a repair.
    pub position: Option<u64>,
}

#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Replay {
    pub store: Arc<dyn Store>,
    pub keychain: Arc<Keychain>,
    pub env: Environment,
    /// Only compares, and repairs nothing.
    pub check: bool,
}

impl Replay {
    /// Replays a view for all owners.
    ///
    /// # Errors
    /// When the store is unavailable. An owner that can't be checked is in the report.
    pub async fn run(&self, view: &View) -> Result<Report, Failure> {
        let mut report = Report { view: view.name(), ..Report::default() };
        let mut after = None;
        let mut repaired = BTreeSet::new();
        loop {
            let owners = self.owners(view, after).await?;
            let Some(last) = owners.last() else { break };
            after = Some(*last);
            for owner in owners {
                report.owners += 1;
                match self.owner(view, owner).await {
                    Ok(true) => {}
                    Ok(false) => {
                        name(&mut report.differing, &mut report.differing_count, owner);
                        repaired.insert(owner);
                    }
                    Err(failure) if failure.code == ErrorCode::StoreUnavailable => {
                        return Err(failure);
                    }
                    Err(_) => name(&mut report.failed, &mut report.failed_count, owner),
                }
            }
        }
        if !self.check && !repaired.is_empty() {
            report.changed = repaired.len() as u64;
            let checked = self.check_again(view, repaired).await;
            let facts = Rebuilt {
                view: view.name().to_owned(),
                owners: report.owners,
                changed: report.changed,
            };
            let event = SystemEvent::ProjectionRebuilt(facts);
            report.position = Some(record::record(&*self.store, &self.env, &event).await?);
            checked?;
        }
        let counted = self.store.count_quarantined(view.name()).await;
        report.quarantined = counted.map_err(|error| store_failure(&error))?;
        Ok(report)
    }

    /// Checks repaired owners again. A command that read a row before the repair and committed
    /// after it has written the old row back, with its own change on top.
    async fn check_again(
        &self,
        view: &View,
        mut repaired: BTreeSet<UserId>,
    ) -> Result<(), Failure> {
        for _ in 0..MOST_ROUNDS {
            let mut again = BTreeSet::new();
            for owner in repaired {
                if !self.owner(view, owner).await? {
                    again.insert(owner);
                }
            }
            if again.is_empty() {
                break;
            }
            repaired = again;
        }
        Ok(())
    }

    /// The next owners, by id: those with a user key, and those with rows.
    async fn owners(&self, view: &View, after: Option<UserId>) -> Result<Vec<UserId>, Failure> {
        let keyed = self
            .store
            .owners_with_keys(after, OWNERS)
            .await
            .map_err(|error| store_failure(&error))?;
        let shown = self
            .store
            .owners(view.name(), after, OWNERS)
            .await
            .map_err(|error| store_failure(&error))?;
        // A full list may leave out owners after its last one.
        let end = |list: &[UserId]| if list.len() < OWNERS { None } else { list.last().copied() };
        let bound = [end(&keyed), end(&shown)].into_iter().flatten().min();
        let owners: BTreeSet<UserId> = keyed.into_iter().chain(shown).collect();
        Ok(owners.into_iter().filter(|owner| bound.is_none_or(|bound| *owner <= bound)).collect())
    }

    /// Whether the view agrees with the log for this owner. Unless this is a check, a difference is
    /// repaired.
    async fn owner(&self, view: &View, owner: UserId) -> Result<bool, Failure> {
        let Self { store, keychain, env, check } = self;
        match view.kind {
            Kind::Inline(inline) => {
                let keys = ContentKeys::new(Arc::clone(keychain));
                let history = InlineHistory::new((view, inline), &**store, keys, owner);
                replace_inline(history, env, *check).await
            }
            Kind::Followed(followed) => {
                let history = FollowedHistory::new((view, followed()), &**store, owner);
                replace_followed(history, *check).await
            }
        }
    }
}

fn name(list: &mut Vec<String>, count: &mut u64, owner: UserId) {
    *count += 1;
    if list.len() < MOST_NAMED {
        list.push(owner.to_string());
    }
}
