//! Rows of text between the events of a run.

use claviger_projections::ports::{FlushError, RowChange, Store, TimerKind, TimerRow};
use crate::build::{Maker, NOW, delta, key, place, run, timer, user};
use crate::case::{Failure, cases, ensure, equal};
use crate::check::{ALL, later};
use claviger_domain::id::RunId;
use futures::future::join_all;

/// The places of a run's rows.
async fn places(store: &dyn Store, of: RunId) -> Result<Vec<(u64, u64)>, Failure> {
    Ok(store.deltas(of, (0, 0), ALL).await?.iter().map(|row| (row.place.v, row.place.d)).collect())
}

cases! {
    async fn rows_of_text_come_back_as_they_were_flushed(harness) {
        let store = harness.fresh().await?;
        let first = [delta(user(1), run(1), (4, 1), 1), delta(user(1), run(1), (4, 2), 2)];
        let second = [delta(user(2), run(2), (9, 1), 3)];
        store.flush([first.as_slice(), &second].concat()).await?;
        equal!(store.deltas(run(1), (0, 0), ALL).await?, first, "rows of the first run");
        equal!(store.deltas(run(2), (0, 0), ALL).await?, second, "rows of the second run");
        equal!(store.deltas(run(3), (0, 0), ALL).await?, [], "rows of no run");
        equal!(store.head().await?.position, 0, "the log's end: rows of text are no events");
    }

    async fn rows_of_text_are_read_in_order_behind_a_place(harness) {
        let store = harness.fresh().await?;
        for at in [(10, 1), (2, 10), (2, 1), (3, 1), (2, 2), (2, 9)] {
            store.flush(vec![delta(user(1), run(1), at, 1)]).await?;
        }
        let all = [(2, 1), (2, 2), (2, 9), (2, 10), (3, 1), (10, 1)];
        equal!(places(&*store, run(1)).await?, all, "all rows");
        for (n, after) in (1..).zip(all) {
            let found: Vec<_> = store.deltas(run(1), after, 2).await?.iter().map(|row| (row.place.v, row.place.d)).collect();
            let expected: Vec<_> = all.iter().skip(n).take(2).copied().collect();
            equal!(found, expected, "two rows after {after:?}");
        }
        equal!(store.deltas(run(1), (0, 0), 0).await?, [], "no rows");
    }

    async fn a_flush_may_be_repeated(harness) {
        let store = harness.fresh().await?;
        let rows = vec![delta(user(1), run(1), (4, 1), 1), delta(user(2), run(2), (4, 1), 2)];
        store.flush(rows.clone()).await?;
        store.flush(rows.clone()).await?;
        let more = delta(user(1), run(1), (4, 2), 3);
        store.flush([rows.clone(), vec![more.clone()]].concat()).await?;
        equal!(store.deltas(run(1), (0, 0), ALL).await?.len(), 2, "rows of the first run");
        equal!(store.deltas(run(2), (0, 0), ALL).await?.len(), 1, "rows of the second run");
    }

    async fn a_row_of_text_is_never_replaced_and_its_neighbours_are_written(harness) {
        let store = harness.fresh().await?;
        let first = delta(user(1), run(1), (4, 1), 1);
        store.flush(vec![first.clone()]).await?;
        let batch = vec![
            delta(user(2), run(2), (7, 1), 5),
            delta(user(1), run(1), (4, 1), 9),
            delta(user(3), run(3), (2, 1), 6),
        ];
        equal!(store.flush(batch).await, Err(FlushError::Taken(vec![place(run(1), (4, 1))])), "the answer");
        equal!(store.deltas(run(1), (0, 0), ALL).await?, [first], "the row that stood there");
        equal!(store.count_deltas(run(2), 7).await?, 1, "the neighbour before it");
        equal!(store.count_deltas(run(3), 2).await?, 1, "the neighbour after it");
        let stranger = delta(user(2), run(1), (4, 1), 1);
        ensure!(matches!(store.flush(vec![stranger]).await, Err(FlushError::Taken(_))), "another owner's row is another row");
    }

    async fn racing_flushes_of_one_place_have_one_winner(harness) {
        let store = harness.fresh().await?;
        let second = harness.another().await?;
        let answers = join_all((0..10_u8).map(|n| {
            let through = second.as_ref().filter(|_| n % 2 == 1).unwrap_or(&store);
            through.flush(vec![delta(user(1), run(1), (1, 1), n), delta(user(1), run(100 + u64::from(n)), (1, 1), n)])
        }))
        .await;
        equal!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "winners");
        let winner = answers.iter().position(Result::is_ok).and_then(|n| u8::try_from(n).ok()).unwrap_or_default();
        equal!(store.deltas(run(1), (0, 0), ALL).await?, [delta(user(1), run(1), (1, 1), winner)], "the row");
        for n in 100..110 {
            equal!(store.count_deltas(run(n), 1).await?, 1, "rows beside the race");
        }
    }

    async fn rows_of_text_are_counted_up_to_the_first_that_is_missing(harness) {
        let store = harness.fresh().await?;
        equal!(store.count_deltas(run(1), 4).await?, 0, "none");
        for at in [(4, 1), (4, 2), (4, 4), (5, 2), (6, 1)] {
            store.flush(vec![delta(user(1), run(1), at, 1)]).await?;
        }
        store.flush(vec![delta(user(1), run(2), (4, 3), 1)]).await?;
        equal!(store.count_deltas(run(1), 4).await?, 2, "after version 4");
        equal!(store.count_deltas(run(1), 5).await?, 0, "after version 5");
        equal!(store.count_deltas(run(1), 6).await?, 1, "after version 6");
    }

    async fn flushed_text_survives_a_kill(harness) {
        let store = harness.fresh().await?;
        let row = delta(user(1), run(1), (4, 1), 1);
        store.flush(vec![row.clone()]).await?;
        let store = harness.reopen().await?;
        equal!(store.deltas(run(1), (0, 0), ALL).await?, [row], "rows");
    }

    async fn expired_text_goes_with_its_timer_and_nothing_else(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let expiry = |n: u64| TimerRow { kind: TimerKind::DeltaExpiry, command: None, subject: run(n).0, ..timer(user(1), key(1), NOW) };
        let rows = vec![RowChange::PutTimer(expiry(1)), RowChange::PutTimer(expiry(2)), RowChange::PutTimer(timer(user(1), key(1), NOW))];
        store.append(make.rows(user(1), 0, rows)).await?;
        store.flush(vec![delta(user(1), run(1), (1, 1), 1), delta(user(1), run(1), (2, 1), 2), delta(user(1), run(2), (1, 1), 3)]).await?;
        equal!(store.expire_deltas(user(2), run(1)).await?, 0, "rows of a stranger");
        equal!(store.expire_deltas(user(1), run(1)).await?, 2, "rows of the run");
        equal!(store.deltas(run(1), (0, 0), ALL).await?, [], "rows left of it");
        equal!(places(&*store, run(2)).await?, [(1, 1)], "rows of the other run");
        let mut left = store.due_timers(later(), ALL).await?;
        left.sort_by_key(|timer| timer.kind);
        equal!(left, [timer(user(1), key(1), NOW), expiry(2)], "timers left");
        equal!(store.expire_deltas(user(1), run(1)).await?, 0, "rows the second time");
    }

    async fn erasing_a_user_destroys_the_text_of_their_runs_only(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.flush(vec![delta(user(1), run(1), (1, 1), 1), delta(user(2), run(2), (1, 1), 2), delta(user(1), run(3), (1, 1), 3)]).await?;
        store.append(make.rows(user(1), 0, vec![RowChange::EraseUser(user(1))])).await?;
        equal!(places(&*store, run(1)).await?, [], "rows of the erased");
        equal!(places(&*store, run(3)).await?, [], "more rows of the erased");
        equal!(places(&*store, run(2)).await?, [(1, 1)], "rows of another");
    }
}
