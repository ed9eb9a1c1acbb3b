//! One total order under concurrent writers and readers.

use claviger_projections::ports::{Append, AppendError, Log};
use crate::build::{Maker, user};
use crate::case::{cases, ensure, equal};
use crate::check::{ALL, picture, proven_log, successes, whole_log};
use futures::FutureExt as _;
use futures::future::{join, join_all};

cases! {
    async fn racing_writers_of_one_stream_have_one_winner(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        for version in 0..5 {
            let answers = join_all((0..16).map(|_| store.append(make.append(user(1), version, 1)))).await;
            equal!(successes(&answers).len(), 1, "winners at version {version}");
            for refusal in answers.into_iter().filter_map(Result::err) {
                equal!(refusal, AppendError::Conflict { actual: version + 1 }, "the loser's error");
            }
        }
        equal!(whole_log(store.as_ref()).await?.len(), 5, "events");
    }

    async fn racing_writers_of_many_streams_lose_nothing(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let second = harness.another().await?;
        let appends = (0..200).map(|n| {
            let through = second.as_ref().filter(|_| n % 2 == 1).unwrap_or(&store);
            through.append(make.append(user(n), 0, 1 + usize::from(n % 5 == 0)))
        });
        let answers = join_all(appends).await;
        let mut positions: Vec<_> =
            successes(&answers).iter().flat_map(|done| done.placed.iter().map(|p| (p.position, p.id))).collect();
        positions.sort_unstable();
        let log = proven_log(harness, store.as_ref()).await?;
        let read: Vec<_> = log.iter().map(|event| (event.envelope.position, event.envelope.id)).collect();
        equal!(positions.len(), 240, "events answered");
        ensure!(positions == read, "positions answered are not the positions read");
    }

    async fn the_events_of_one_append_stay_together(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let answers = join_all((0..60).map(|n| store.append(make.append(user(n), 0, 4)))).await;
        for appended in successes(&answers) {
            let placed: Vec<_> = appended.placed.iter().map(|placed| placed.position).collect();
            let together: Vec<_> = (appended.position - 3..=appended.position).collect();
            equal!(placed, together, "positions of one append");
        }
        equal!(whole_log(store.as_ref()).await?.len(), 240, "events");
    }

    async fn a_reader_that_follows_racing_writers_skips_nothing(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let writers = join_all((0..120).map(|n| store.append(make.append(user(n), 0, 2))));
        let reader = async {
            let (mut cursor, mut watch) = (0, Log::watch(store.as_ref()));
            while cursor < 240 {
                let page = store.read(cursor, 7).await?;
                for event in &page {
                    ensure!(event.envelope.position == cursor + 1, "{} follows {cursor}", event.envelope.position);
                    cursor += 1;
                }
                let reached = cursor;
                if page.is_empty() && watch.wait_for(|position| *position > reached).await.is_err() {
                    break;
                }
            }
            Ok(cursor)
        };
        let (answers, cursor) = join(writers, reader).await;
        equal!(successes(&answers).len(), 120, "appends");
        equal!(cursor?, 240, "events the reader met");
    }

    async fn nothing_is_seen_of_an_append_before_its_commit(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(1), 0, 1)).await?;
        let Some(faults) = harness.faults() else { return Ok(()) };
        let before = picture(store.as_ref(), user(2)).await?;
        faults.park();
        let looker = async {
            faults.parked().await;
            let meanwhile = picture(store.as_ref(), user(2)).await;
            let watched = *store.watch().borrow();
            faults.release();
            (meanwhile, watched)
        };
        let (appended, (meanwhile, watched)) = join(store.append(make.append(user(2), 0, 2)), looker).await;
        ensure!(meanwhile? == before, "something of an append was seen before its commit");
        equal!(watched, 1, "the position watched before the commit");
        equal!(appended?.position, 3, "the position after the commit");
    }

    async fn writers_behind_a_parked_one_come_after_it_or_conflict(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let Some(faults) = harness.faults() else { return Ok(()) };
        faults.park();
        let others = async {
            faults.parked().await;
            let appends: Vec<_> = (0..20).map(|n| store.append(make.append(user(n), 0, 1))).collect();
            let mut appends = join_all(appends);
            // They queue behind the parked one before it goes on.
            let early = (&mut appends).now_or_never();
            faults.release();
            match early {
                Some(answers) => answers,
                None => appends.await,
            }
        };
        let (parked, answers) = join(store.append(make.append(user(0), 0, 1)), others).await;
        equal!(parked?.position, 1, "the position of the parked append");
        equal!(successes(&answers).len(), 19, "appends after it");
        ensure!(matches!(answers.first(), Some(Err(AppendError::Conflict { actual: 1 }))), "its rival is not in conflict");
        equal!(proven_log(harness, store.as_ref()).await?.len(), 20, "events");
    }

    async fn a_caller_that_goes_away_stops_nothing(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let append = make.append(user(1), 0, 2);
        let ids: Vec<_> = append.events.iter().map(|event| event.id).collect();
        let mut watch = store.watch();
        // Requested once and dropped, like a request whose client has disconnected. The ids of the
        // events show its outcome.
        drop(store.append(append).now_or_never());
        ensure!(watch.wait_for(|position| *position >= 2).await.is_ok(), "the append was dropped with its caller");
        for (id, position) in ids.into_iter().zip(1..) {
            let found = store.event(id).await?;
            equal!(found.map(|event| event.envelope.position), Some(position), "the position found by id");
        }
    }

    async fn an_unknown_outcome_is_found_out_by_event_id(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let (kept, lost) = (make.append(user(1), 0, 1), make.append(user(1), 5, 1));
        let id = |append: &Append| append.events.first().map(|event| event.id).ok_or(AppendError::Malformed("no events"));
        let (kept_id, lost_id) = (id(&kept)?, id(&lost)?);
        store.append(kept).await?;
        drop(store.append(lost).await);
        ensure!(store.event(kept_id).await?.is_some(), "a committed event is not found");
        ensure!(store.event(lost_id).await?.is_none(), "a refused event is found");
        equal!(store.read(0, ALL).await?.len(), 1, "events");
    }
}
