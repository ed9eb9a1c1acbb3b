//! What a decision relied on is checked where its events are committed.

use super::refusals::{loaded, refused_without_a_trace};
use crate::build::{Maker, inline, key, user, view_row};
use crate::case::{cases, ensure, equal};
use crate::check::{proven_log, successes};
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{
    Append, AppendError, Expected, Fewer, KEYS, Reliance, RowChange, Unmet,
};
use futures::future::{join, join_all};

fn unchanged(streams: &[(StreamName, u64)]) -> Reliance {
    Reliance { unchanged: streams.to_vec(), fewer: None }
}

fn account(n: u64) -> StreamName {
    StreamName::Account(user(n))
}

/// An append of one event to an account's stream.
fn to_account(make: &Maker, n: u64, version: u64) -> Append {
    Append { stream: account(n), ..make.append(user(n), version, 1) }
}

/// An append to a stream of its own that adds row `n` to the keys of user 1, of whom it says that
/// they have fewer rows than a bound.
fn row_below(make: &Maker, n: u64, than: u64) -> Append {
    let fewer = Some(Fewer { view: KEYS, owner: user(1), than });
    let row = view_row(user(1), key(n).0, n);
    Append {
        stream: StreamName::Run(key(n).0),
        relies_on: Reliance { unchanged: Vec::new(), fewer },
        inline: inline(move |_| Ok(vec![RowChange::PutView(row.clone())])),
        ..make.append(user(1), 0, 1)
    }
}

cases! {
    async fn what_was_relied_on_and_holds_refuses_nothing(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(to_account(&make, 1, 0)).await?;
        let relies_on = unchanged(&[(account(1), 1), (account(9), 0), (StreamName::KeyRing(user(2)), 0)]);
        equal!(store.append(Append { relies_on, ..make.append(user(2), 0, 1) }).await?.position, 2, "the position");
    }

    async fn a_stream_that_changed_refuses_what_relied_on_it(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(2), 0, 1)).await?;
        store.append(Append { events: vec![make.event(), make.event()], ..to_account(&make, 1, 0) }).await?;
        for (stream, version, actual) in
            [(account(1), 1, 2), (account(1), 0, 2), (account(1), 3, 2), (account(9), 1, 0)]
        {
            let relies_on = unchanged(&[(StreamName::KeyRing(user(2)), 1), (stream, version)]);
            let append = Append { relies_on, ..loaded(make.append(user(2), 1, 1), &make) };
            refused_without_a_trace(store.as_ref(), append, &AppendError::Unmet(Unmet::Changed { stream, actual })).await?;
        }
        // A conflict of its own stream comes first: the decision is stale either way.
        let append = Append { relies_on: unchanged(&[(account(1), 1)]), expected: Expected::Exact(7), ..make.append(user(2), 1, 1) };
        equal!(store.append(append).await, Err(AppendError::Conflict { actual: 1 }), "the refusal");
    }

    async fn nothing_that_relied_on_a_stream_stands_behind_its_change(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(to_account(&make, 1, 0)).await?;
        let relying = (10..50).map(|n| Append { relies_on: unchanged(&[(account(1), 1)]), ..make.append(user(n), 0, 1) });
        let mut appends: Vec<_> = relying.collect();
        appends.insert(20, to_account(&make, 1, 1));
        let answers = join_all(appends.into_iter().map(|append| store.append(append))).await;
        let change = answers.get(20).and_then(|answer| answer.as_ref().ok()).map_or(0, |done| done.position);
        ensure!(change > 0, "the change was refused");
        for answer in &answers {
            match answer {
                Ok(done) => ensure!(done.position <= change, "position {} after the change at {change}", done.position),
                Err(error) => equal!(*error, AppendError::Unmet(Unmet::Changed { stream: account(1), actual: 2 }), "the refusal"),
            }
        }
        equal!(proven_log(harness, store.as_ref()).await?.len(), 1 + successes(&answers).len(), "events");
    }

    async fn concurrent_appends_fill_a_bound_exactly(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(row_below(&make, 100, 1)).await?;
        let answers = join_all((0..40).map(|n| store.append(row_below(&make, n, 7)))).await;
        equal!(successes(&answers).len(), 6, "appends that went through");
        let full = AppendError::Unmet(Unmet::Full { view: KEYS, rows: 7 });
        ensure!(answers.iter().filter_map(|answer| answer.as_ref().err()).all(|error| *error == full), "another refusal");
        let append = Append { events: vec![make.event()], ..row_below(&make, 200, 7) };
        refused_without_a_trace(store.as_ref(), append, &full).await?;
    }

    async fn a_place_below_a_bound_is_free_again_at_once(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(row_below(&make, 1, 1)).await?;
        let delete = vec![RowChange::DeleteView { view: KEYS, owner: user(1), id: key(1).0 }];
        // In one batch, where the store has batches: the row goes, and another comes.
        let others = async {
            let (gone, come) = (make.rows(user(5), 0, delete), row_below(&make, 2, 1));
            join(store.append(gone), store.append(come)).await
        };
        let (gone, come) = others.await;
        gone?;
        come?;
        // A row that is written again takes no second place; another owner's rows take none.
        let again = vec![RowChange::PutView(view_row(user(1), key(2).0, 9)), RowChange::PutView(view_row(user(3), key(2).0, 9))];
        store.append(make.rows(user(6), 0, again)).await?;
        store.append(row_below(&make, 3, 2)).await?;
        equal!(store.append(row_below(&make, 4, 2)).await, Err(AppendError::Unmet(Unmet::Full { view: KEYS, rows: 2 })), "the refusal");
    }
}
