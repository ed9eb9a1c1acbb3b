//! Repairs of views in place.

use claviger_projections::ports::{ACTIVITY, Advance, AdvanceError, Basis, Checkpoint, Fence, Hold, Holder, KEYS, LeaseName, PoisonReason, Quarantined, Replace, ReplaceError, RowChange, Store, ViewChanges, ViewRow};
use crate::build::{Maker, key, tag, user, user_key, uuid, view_row};
use crate::case::{Failure, cases, ensure, equal};
use crate::check::{ALL, WHOLE, whole_log};

fn of_keys(last: u64, rows: Vec<ViewRow>) -> Replace {
    let basis = Basis::Inline { last };
    Replace { view: KEYS, owner: user(1), basis, rows, defaults: Some(vec![(tag(2), key(2))]), quarantined: vec![] }
}

/// Moves the activity view to a position, with one row.
async fn at_position(store: &dyn Store, position: u64) -> Result<Fence, Failure> {
    let lease = LeaseName::Follower(ACTIVITY);
    let Hold::Ours { token } = store.hold(lease, Holder(uuid(1)), 0).await? else {
        return Err(Failure("a free lease was refused".to_owned()));
    };
    let fence = Fence { lease, token };
    let put = vec![ViewRow { view: ACTIVITY, ..view_row(user(1), uuid(1), 1) }];
    let quarantined = vec![Quarantined { owner: user(1), id: uuid(1), position: 1, reason: PoisonReason::UnknownEvent }];
    let changes = ViewChanges { put, quarantined, ..ViewChanges::default() };
    let advance = Advance { view: ACTIVITY, from: Checkpoint::default(), to: position, fence, changes };
    store.advance(advance).await?;
    Ok(fence)
}

fn of_activity(position: u64) -> Replace {
    let rows = vec![ViewRow { view: ACTIVITY, ..view_row(user(1), uuid(2), 7) }];
    let basis = Basis::Followed { position };
    Replace { view: ACTIVITY, owner: user(1), basis, rows, defaults: None, quarantined: vec![] }
}

cases! {
    async fn a_repair_replaces_all_rows_of_one_owner(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let put = |owner, n| RowChange::PutView(view_row(user(owner), uuid(n), n));
        let default = |owner, n| RowChange::PutDefault { owner: user(owner), tag: tag(n), key: key(1) };
        let rows = vec![put(1, 1), put(1, 2), put(2, 1), default(1, 1), default(1, 2), default(2, 1)];
        store.append(make.rows(user(1), 0, rows)).await?;
        store.append(make.append(user(2), 0, 1)).await?;
        let should = vec![view_row(user(1), uuid(3), 3), view_row(user(1), uuid(2), 1)];
        store.replace(of_keys(1, should.clone())).await?;
        equal!(store.page(KEYS, user(1), WHOLE).await?.rows, should, "the owner's rows");
        equal!(store.defaults(user(1)).await?, [(tag(2), key(2))], "the owner's defaults");
        equal!(store.page(KEYS, user(2), WHOLE).await?.rows, [view_row(user(2), uuid(1), 1)], "another owner's rows");
        equal!(store.defaults(user(2)).await?, [(tag(1), key(1))], "another owner's defaults");
        equal!(store.head().await?.position, 2, "the head");
        store.append(make.append(user(1), 1, 1)).await?;
        whole_log(store.as_ref()).await?;
    }

    async fn a_repair_without_defaults_leaves_them(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.rows(user(1), 0, vec![RowChange::PutDefault { owner: user(1), tag: tag(1), key: key(1) }])).await?;
        store.replace(Replace { defaults: None, ..of_keys(1, vec![]) }).await?;
        equal!(store.defaults(user(1)).await?, [(tag(1), key(1))], "defaults");
    }

    async fn a_repair_on_top_of_old_events_changes_nothing(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let before = view_row(user(1), uuid(1), 1);
        store.append(make.rows(user(1), 0, vec![RowChange::PutView(before.clone())])).await?;
        store.append(make.append(user(1), 1, 1)).await?;
        for last in [0, 1, 3] {
            let answer = store.replace(of_keys(last, vec![])).await;
            equal!(answer, Err(ReplaceError::Moved), "the answer to a repair at {last}");
        }
        equal!(store.page(KEYS, user(1), WHOLE).await?.rows, [before], "the rows");
        store.replace(of_keys(2, vec![])).await?;
        equal!(store.page(KEYS, user(1), WHOLE).await?.total, 0, "the rows after a repair at the right place");
    }

    async fn a_repair_of_a_followed_view_stops_who_read_before_it(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(1), 0, 2)).await?;
        store.append(make.append(user(2), 0, 3)).await?;
        let fence = at_position(store.as_ref(), 4).await?;
        let read = store.checkpoint(ACTIVITY).await?;
        // Built at position 3: between it and the checkpoint this owner has no events.
        store.replace(of_activity(3)).await?;
        let now = store.checkpoint(ACTIVITY).await?;
        equal!(now, Checkpoint { position: 4, repairs: 1 }, "the checkpoint");
        equal!(store.page(ACTIVITY, user(1), WHOLE).await?.rows, of_activity(3).rows, "the rows");
        equal!(store.quarantined(ACTIVITY, ALL).await?, [], "quarantines");
        let late = Advance { view: ACTIVITY, from: read, to: 5, fence, changes: ViewChanges::default() };
        equal!(store.advance(late.clone()).await, Err(AdvanceError::Moved { at: now }), "the answer to who read before");
        store.advance(Advance { from: now, ..late }).await?;
        equal!(store.checkpoint(ACTIVITY).await?, Checkpoint { position: 5, repairs: 1 }, "the checkpoint in the end");
    }

    async fn a_repair_of_a_followed_view_at_another_place_changes_nothing(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(1), 0, 2)).await?;
        at_position(store.as_ref(), 2).await?;
        let (rows, at) = (store.page(ACTIVITY, user(1), WHOLE).await?.rows, store.checkpoint(ACTIVITY).await?);
        for position in [0, 1, 3] {
            equal!(store.replace(of_activity(position)).await, Err(ReplaceError::Moved), "the answer to a repair at {position}");
        }
        equal!(store.page(ACTIVITY, user(1), WHOLE).await?.rows, rows, "the rows");
        equal!(store.checkpoint(ACTIVITY).await?, at, "the checkpoint");
    }

    async fn owners_with_keys_are_listed_in_order(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let keys = [(5, 1), (1, 1), (4, 1), (1, 2), (3, 1)].map(|(n, version)| RowChange::PutUserKey(user_key(user(n), version, 1)));
        store.append(make.rows(user(1), 0, keys.to_vec())).await?;
        equal!(store.owners_with_keys(None, 100).await?, [user(1), user(3), user(4), user(5)], "owners");
        equal!(store.owners_with_keys(None, 2).await?, [user(1), user(3)], "the first two");
        equal!(store.owners_with_keys(Some(user(3)), 2).await?, [user(4), user(5)], "the next two");
        ensure!(store.owners_with_keys(Some(user(5)), 2).await?.is_empty(), "there are owners after the last");
    }
}
