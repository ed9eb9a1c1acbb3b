//! Refusals give a reason and leave nothing behind.

use claviger_projections::ports::{Append, AppendError, ClaimKind, Expected, Store, StoreError};
use crate::build::{Maker, command, inline, key, one_of_each, take, user, view_row};
use crate::case::{Failure, cases, ensure, equal};
use crate::check::{picture, proven_log, refused, successes, whole_log};
use claviger_domain::stream::StreamName;
use futures::future::{join, join_all};

/// Everything that an append can write, so that anything left by a refusal is detected.
pub(super) fn loaded(append: Append, make: &Maker) -> Append {
    let owner = user(2);
    Append {
        events: append.events.into_iter().chain([make.event()]).collect(),
        rows: one_of_each(owner),
        inline: inline(move |_| Ok(vec![claviger_projections::ports::RowChange::PutView(view_row(owner, key(2).0, 2))])),
        claims: [take(ClaimKind::Email, 7, owner)].into_iter().chain(append.claims).collect(),
        ..append
    }
}

/// The append is refused as expected, and the store is unchanged.
pub(super) async fn refused_without_a_trace(store: &dyn Store, append: Append, expected: &AppendError) -> Result<(), Failure> {
    let before = [picture(store, user(1)).await?, picture(store, user(2)).await?];
    let refusal = refused(store, append).await?;
    ensure!(refusal == *expected, "refused with {refusal:?}, expected {expected:?}");
    let after = [picture(store, user(1)).await?, picture(store, user(2)).await?];
    ensure!(before == after, "an append refused with {expected:?} left something behind");
    Ok(())
}

cases! {
    async fn a_wrong_version_is_refused_with_the_right_one(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(2), 0, 3)).await?;
        for (expected, actual) in [(1, 3), (2, 3), (4, 3), (99, 3)] {
            let append = loaded(make.append(user(2), expected, 1), &make);
            refused_without_a_trace(store.as_ref(), append, &AppendError::Conflict { actual }).await?;
        }
    }

    async fn a_stream_that_exists_is_not_begun_again(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(2), 0, 1)).await?;
        let append = loaded(make.append(user(2), 0, 1), &make);
        refused_without_a_trace(store.as_ref(), append, &AppendError::Conflict { actual: 1 }).await?;
    }

    async fn a_stream_that_does_not_exist_is_not_gone_on_with(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let append = loaded(make.append(user(2), 1, 1), &make);
        refused_without_a_trace(store.as_ref(), append, &AppendError::Conflict { actual: 0 }).await?;
    }

    async fn a_taken_value_is_refused_with_its_holder(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.claims(user(1), 0, vec![take(ClaimKind::Username, 3, user(1))])).await?;
        let append = loaded(make.claims(user(2), 0, vec![take(ClaimKind::Username, 3, user(2))]), &make);
        let expected = AppendError::ClaimTaken { kind: ClaimKind::Username, holder: user(1), subject: user(1).0 };
        refused_without_a_trace(store.as_ref(), append, &expected).await?;
    }

    async fn a_repeated_command_is_refused_with_its_record(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.recorded(user(2), 0, command(4), false)).await?;
        let record = store.command_record(command(4)).await?.ok_or(Failure("no record".to_owned()))?;
        let append = loaded(make.recorded(user(2), 1, command(4), false), &make);
        refused_without_a_trace(store.as_ref(), append, &AppendError::Repeated(Box::new(record))).await?;
    }

    async fn an_append_without_events_is_malformed(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let append = Append { events: vec![], ..loaded(make.append(user(2), 0, 0), &make) };
        let before = picture(store.as_ref(), user(2)).await?;
        let refusal = refused(store.as_ref(), append).await?;
        ensure!(matches!(refusal, AppendError::Malformed(_)), "refused with {refusal:?}");
        ensure!(before == picture(store.as_ref(), user(2)).await?, "it left something behind");
    }

    async fn an_append_for_another_owner_than_the_streams_is_malformed(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(1), 0, 1)).await?;
        for owner in [Some(user(2)), None] {
            let before = picture(store.as_ref(), user(2)).await?;
            let refusal = refused(store.as_ref(), Append { owner, ..loaded(make.append(user(1), 1, 1), &make) }).await?;
            ensure!(matches!(refusal, AppendError::Malformed(_)), "refused with {refusal:?}");
            ensure!(before == picture(store.as_ref(), user(2)).await?, "it left something behind");
        }
    }

    async fn an_event_id_that_exists_is_malformed(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let (first, twice) = (make.append(user(1), 0, 1), make.event());
        let known = first.events.clone();
        store.append(first).await?;
        for events in [known, vec![twice.clone(), make.event(), twice]] {
            let before = picture(store.as_ref(), user(2)).await?;
            let refusal = refused(store.as_ref(), Append { events, ..loaded(make.append(user(2), 0, 0), &make) }).await?;
            ensure!(matches!(refusal, AppendError::Malformed(_)), "refused with {refusal:?}");
            ensure!(before == picture(store.as_ref(), user(2)).await?, "it left something behind");
        }
    }

    async fn a_failing_inline_view_refuses_its_append(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let error = StoreError::Corrupt("this row".to_owned());
        let failing = error.clone();
        let append = Append { inline: inline(move |_| Err(failing.clone())), ..loaded(make.append(user(2), 0, 1), &make) };
        refused_without_a_trace(store.as_ref(), append, &AppendError::Store(error)).await?;
    }

    async fn after_a_refusal_positions_go_on_without_a_gap(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        for n in 0..5 {
            let appended = store.append(make.append(user(n), 0, 1)).await?;
            equal!(appended.position, n + 1, "the position after {n} refusals");
            refused(store.as_ref(), make.append(user(n), 7, 3)).await?;
        }
        equal!(proven_log(harness, store.as_ref()).await?.len(), 5, "events");
    }

    async fn a_refusal_leaves_its_neighbours_alone(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(0), 0, 1)).await?;
        let appends = (1..=60).map(|n| match n % 4 {
            0 => make.append(user(n), 9, 2),
            1 => make.claims(user(n), 0, vec![take(ClaimKind::Secret, 1, user(n))]),
            _ => Append { rows: one_of_each(user(n)), ..make.append(user(n), 0, 2) },
        });
        let answers = join_all(appends.map(|append| store.append(append))).await;
        let refusals = |wanted: fn(&AppendError) -> bool| answers.iter().filter(|a| a.as_ref().is_err_and(wanted)).count();
        equal!(refusals(|error| matches!(error, AppendError::Conflict { actual: 0 })), 15, "conflicts");
        equal!(refusals(|error| matches!(error, AppendError::ClaimTaken { .. })), 14, "claims refused");
        equal!(successes(&answers).len(), 31, "appends that went through");
        equal!(proven_log(harness, store.as_ref()).await?.len(), 62, "events");
    }

    async fn an_unexpected_error_fails_only_its_own_append(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let Some(faults) = harness.faults() else { return Ok(()) };
        let appends: Vec<_> = (0..20).map(|n| make.rows(user(n), 0, one_of_each(user(n)))).collect();
        let culprit = appends.get(11).and_then(|append| append.events.first()).map(|event| event.id);
        let culprit = culprit.ok_or(Failure("no culprit".to_owned()))?;
        faults.fail_statement(culprit);
        // Queued behind another, they form one batch where the store has batches.
        faults.park();
        let others = async {
            faults.parked().await;
            let all = join_all(appends.into_iter().map(|append| store.append(append)));
            join(all, async { faults.release() }).await.0
        };
        let (first, answers) = join(store.append(make.append(user(99), 0, 1)), others).await;
        first?;
        equal!(successes(&answers).len(), 19, "appends that went through");
        let told = answers.iter().find_map(|answer| answer.as_ref().err());
        ensure!(matches!(told, Some(AppendError::Store(StoreError::Unavailable(_)))), "the culprit received {told:?}");
        ensure!(store.event(culprit).await?.is_none(), "the culprit's event is in");
        equal!(proven_log(harness, store.as_ref()).await?.len(), 20, "events");
        equal!(store.owners(claviger_projections::ports::KEYS, None, 100).await?.len(), 19, "owners with rows");
    }

    async fn a_failed_commit_leaves_nothing(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(1), 0, 1)).await?;
        let Some(faults) = harness.faults() else { return Ok(()) };
        faults.fail_commits(1);
        let failed = StoreError::Unavailable(String::new());
        let before = picture(store.as_ref(), user(2)).await?;
        let refusal = refused(store.as_ref(), loaded(make.append(user(2), 0, 1), &make)).await?;
        let alike =
            matches!(&refusal, AppendError::Store(error) if std::mem::discriminant(error) == std::mem::discriminant(&failed));
        ensure!(alike, "received {refusal:?}");
        ensure!(before == picture(store.as_ref(), user(2)).await?, "it left something behind");
        equal!(store.append(make.append(user(2), 0, 1)).await?.position, 2, "the next position");
        whole_log(store.as_ref()).await?;
    }

    async fn streams_of_one_owner_are_apart(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let streams = [
            StreamName::Account(user(1)),
            StreamName::KeyRing(user(1)),
            StreamName::Run(user(1).0),
            StreamName::RunControl(user(1).0),
        ];
        for stream in streams {
            let first = Append { stream, ..make.append(user(1), 0, 1) };
            equal!(store.append(first).await?.version, 1, "the first version of {stream}");
            let second = Append { stream, expected: Expected::Exact(1), ..make.append(user(1), 1, 1) };
            equal!(store.append(second).await?.version, 2, "the second version of {stream}");
        }
        equal!(whole_log(store.as_ref()).await?.len(), 8, "events");
    }
}
