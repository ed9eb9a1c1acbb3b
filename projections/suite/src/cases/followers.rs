//! Views that are written after their events.

use claviger_projections::ports::{ACTIVITY, Advance, AdvanceError, Checkpoint, Fence, Hold, Holder, KEYS, LeaseName, PoisonReason, Quarantined, RowChange, Store, ViewChanges, ViewRow};
use crate::build::{Maker, user, uuid, view_row};
use crate::case::{Failure, cases, ensure, equal};
use crate::check::{ALL, WHOLE};
use claviger_domain::id::UserId;
use futures::future::join_all;

const LEASE: LeaseName = LeaseName::Follower(ACTIVITY);

/// A fence that holds until another process takes the lease.
async fn fence(store: &dyn Store, holder: u64) -> Result<Fence, Failure> {
    match store.hold(LEASE, Holder(uuid(holder)), 0).await? {
        Hold::Ours { token } => Ok(Fence { lease: LEASE, token }),
        Hold::Theirs { .. } => Err(Failure("a lease that has lapsed wasn't to be had".to_owned())),
    }
}

fn row(owner: UserId, n: u64, sort: u64) -> ViewRow {
    ViewRow { view: ACTIVITY, ..view_row(owner, uuid(n), sort) }
}

fn poison(owner: UserId, n: u64, position: u64) -> Quarantined {
    Quarantined { owner, id: uuid(n), position, reason: PoisonReason::UnreadableRow }
}

fn at(position: u64) -> Checkpoint {
    Checkpoint { position, repairs: 0 }
}

fn step(fence: Fence, from: u64, to: u64, put: Vec<ViewRow>) -> Advance {
    Advance { view: ACTIVITY, from: at(from), to, fence, changes: ViewChanges { put, ..ViewChanges::default() } }
}

/// Rows and checkpoint of the view.
async fn seen(store: &dyn Store, owner: UserId) -> Result<(Vec<ViewRow>, Checkpoint, Vec<Quarantined>), Failure> {
    let rows = store.page(ACTIVITY, owner, WHOLE).await?.rows;
    Ok((rows, store.checkpoint(ACTIVITY).await?, store.quarantined(ACTIVITY, ALL).await?))
}

cases! {
    async fn a_view_that_nobody_began_is_at_the_beginning(harness) {
        let store = harness.fresh().await?;
        equal!(store.checkpoint(ACTIVITY).await?, at(0), "the checkpoint");
        equal!(store.quarantined(ACTIVITY, ALL).await?, [], "quarantines");
        equal!(store.count_quarantined(ACTIVITY).await?, 0, "their number");
    }

    async fn a_view_and_its_checkpoint_move_together(harness) {
        let store = harness.fresh().await?;
        let fence = fence(store.as_ref(), 1).await?;
        store.advance(step(fence, 0, 5, vec![row(user(1), 1, 1), row(user(1), 2, 2), row(user(2), 3, 3)])).await?;
        equal!(seen(store.as_ref(), user(1)).await?, (vec![row(user(1), 2, 2), row(user(1), 1, 1)], at(5), vec![]), "the view");
        let changes = ViewChanges {
            deleted: vec![(user(1), uuid(1)), (user(1), uuid(9))],
            put: vec![row(user(1), 2, 7)],
            quarantined: vec![poison(user(2), 3, 6)],
            ..ViewChanges::default()
        };
        store.advance(Advance { changes, ..step(fence, 5, 6, vec![]) }).await?;
        let expected = (vec![row(user(1), 2, 7)], at(6), vec![poison(user(2), 3, 6)]);
        equal!(seen(store.as_ref(), user(1)).await?, expected, "the view after its second step");
        equal!(store.checkpoint(KEYS).await?, at(0), "another view's checkpoint");
        let again = harness.reopen().await?;
        equal!(seen(again.as_ref(), user(1)).await?, expected, "the view after a restart");
    }

    async fn a_step_without_changes_moves_the_checkpoint(harness) {
        let store = harness.fresh().await?;
        let fence = fence(store.as_ref(), 1).await?;
        store.advance(step(fence, 0, 3, vec![])).await?;
        equal!(store.checkpoint(ACTIVITY).await?, at(3), "the checkpoint");
    }

    async fn wipes_come_before_rows_and_take_quarantines_along(harness) {
        let store = harness.fresh().await?;
        let fence = fence(store.as_ref(), 1).await?;
        let quarantined = vec![poison(user(1), 1, 1), poison(user(2), 1, 1)];
        let first = ViewChanges { put: vec![row(user(1), 1, 1), row(user(2), 2, 1)], quarantined, ..ViewChanges::default() };
        store.advance(Advance { changes: first, ..step(fence, 0, 1, vec![]) }).await?;
        let wiping = ViewChanges { wiped: vec![user(1)], put: vec![row(user(1), 5, 5)], ..ViewChanges::default() };
        store.advance(Advance { changes: wiping, ..step(fence, 1, 2, vec![]) }).await?;
        let rest = vec![poison(user(2), 1, 1)];
        equal!(seen(store.as_ref(), user(1)).await?, (vec![row(user(1), 5, 5)], at(2), rest), "the wiped owner");
        equal!(store.page(ACTIVITY, user(2), WHOLE).await?.rows, [row(user(2), 2, 1)], "another owner");
        equal!(store.count_quarantined(ACTIVITY).await?, 1, "quarantines");
    }

    async fn a_stale_token_changes_nothing(harness) {
        let store = harness.fresh().await?;
        let old = fence(store.as_ref(), 1).await?;
        store.advance(step(old, 0, 1, vec![row(user(1), 1, 1)])).await?;
        let new = fence(store.as_ref(), 2).await?;
        let before = seen(store.as_ref(), user(1)).await?;
        equal!(store.advance(step(old, 1, 2, vec![row(user(1), 1, 9)])).await, Err(AdvanceError::Fenced), "the answer");
        let never = Fence { token: new.token + 1, ..new };
        equal!(store.advance(step(never, 1, 2, vec![])).await, Err(AdvanceError::Fenced), "the answer to an unknown token");
        equal!(seen(store.as_ref(), user(1)).await?, before, "the view");
        store.advance(step(new, 1, 2, vec![row(user(1), 1, 2)])).await?;
    }

    async fn a_moved_checkpoint_changes_nothing(harness) {
        let store = harness.fresh().await?;
        let fence = fence(store.as_ref(), 1).await?;
        store.advance(step(fence, 0, 4, vec![row(user(1), 1, 1)])).await?;
        let before = seen(store.as_ref(), user(1)).await?;
        for from in [0, 3, 5] {
            let answer = store.advance(step(fence, from, 9, vec![row(user(1), 1, 9)])).await;
            equal!(answer, Err(AdvanceError::Moved { at: at(4) }), "the answer to a step from {from}");
        }
        let repaired = Advance { from: Checkpoint { position: 4, repairs: 1 }, ..step(fence, 4, 9, vec![row(user(1), 1, 9)]) };
        equal!(store.advance(repaired).await, Err(AdvanceError::Moved { at: at(4) }), "the answer to another count of repairs");
        equal!(seen(store.as_ref(), user(1)).await?, before, "the view");
    }

    async fn an_advance_is_applied_once(harness) {
        let store = harness.fresh().await?;
        let fence = fence(store.as_ref(), 1).await?;
        let second = harness.another().await?;
        let processes = [Some(&store), second.as_ref()].into_iter().flatten().cycle();
        let same = processes.take(6).map(|process| process.advance(step(fence, 0, 1, vec![row(user(1), 1, 1)])));
        let answers = join_all(same).await;
        equal!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "steps that went through");
        for answer in answers.into_iter().filter(Result::is_err) {
            equal!(answer, Err(AdvanceError::Moved { at: at(1) }), "the answer to a repeat");
        }
    }

    async fn an_erased_users_rows_go_from_every_view(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let fence = fence(store.as_ref(), 1).await?;
        let changes = ViewChanges {
            put: vec![row(user(1), 1, 1), row(user(2), 2, 2)],
            quarantined: vec![poison(user(1), 1, 1)],
            ..ViewChanges::default()
        };
        store.advance(Advance { changes, ..step(fence, 0, 1, vec![]) }).await?;
        store.append(make.rows(user(1), 0, vec![RowChange::EraseUser(user(1))])).await?;
        equal!(seen(store.as_ref(), user(1)).await?, (vec![], at(1), vec![]), "the erased user");
        ensure!(!store.page(ACTIVITY, user(2), WHOLE).await?.rows.is_empty(), "another user's rows went, too");
    }
}
