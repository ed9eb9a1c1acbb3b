//! Command records: a repeat returns the first result.

use claviger_projections::ports::{Append, AppendError, CommandRecord, RecordChange};
use crate::build::{Maker, NOW, command, user, uuid};
use crate::case::{Failure, cases, ensure, equal};
use crate::check::{later, picture, refused, successes, whole_log};
use claviger_domain::actor::{Actor, Via};
use claviger_domain::stream::StreamName;
use futures::future::join_all;

/// Returns the record that must exist.
fn there(record: Option<CommandRecord>) -> Result<CommandRecord, Failure> {
    record.ok_or(Failure("the command left no record".to_owned()))
}

cases! {
    async fn a_command_leaves_its_record(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(1), 0, 3)).await?;
        let append = Append { events: vec![make.event(), make.event()], ..make.recorded(user(1), 3, command(1), false) };
        let event_ids: Vec<_> = append.events.iter().map(|event| event.id).collect();
        store.append(append).await?;
        let expected = CommandRecord {
            command_id: command(1),
            request_hash: [9; 32],
            owner: user(1),
            subject: Some(uuid(5)),
            event_ids,
            position: 5,
            stream: StreamName::KeyRing(user(1)),
            version: 5,
            open: false,
            expires_at: NOW.plus_ms(1000),
        };
        equal!(there(store.command_record(command(1)).await?)?, expected, "the record");
        equal!(store.command_record(command(2)).await?, None, "a record that was never written");
    }

    async fn a_record_belongs_to_who_gave_the_command(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let admin = Actor { user: Some(user(7)), role: None, via: Via::Graphql, credential: None };
        store.append(Append { actor: admin, ..make.recorded(user(1), 0, command(1), false) }).await?;
        equal!(there(store.command_record(command(1)).await?)?.owner, user(7), "whose command it was");
        let nobody = Actor::OPERATOR;
        store.append(Append { actor: nobody, ..make.recorded(user(2), 0, command(2), false) }).await?;
        equal!(there(store.command_record(command(2)).await?)?.owner, user(2), "whose command it was, without an actor");
    }

    async fn an_append_without_a_record_leaves_none(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let append = Append { command_id: command(1), ..make.append(user(1), 0, 1) };
        store.append(append).await?;
        equal!(store.command_record(command(1)).await?, None, "the record");
        let again = Append { command_id: command(1), ..make.append(user(1), 1, 1) };
        equal!(store.append(again).await?.version, 2, "the version, since nothing was repeated");
    }

    async fn a_repeat_is_told_so_before_anything_else(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.recorded(user(1), 0, command(1), false)).await?;
        let record = there(store.command_record(command(1)).await?)?;
        // Decided before the first was committed: the version is old, but the result is still the
        // record.
        for version in [0, 1, 9] {
            let refusal = refused(store.as_ref(), make.recorded(user(1), version, command(1), false)).await?;
            equal!(refusal, AppendError::Repeated(Box::new(record.clone())), "the answer to a repeat at version {version}");
        }
        equal!(whole_log(store.as_ref()).await?.len(), 1, "events");
    }

    async fn racing_repeats_have_one_effect(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let second = harness.another().await?;
        let answers = join_all((0..16).map(|n| {
            let through = second.as_ref().filter(|_| n % 2 == 1).unwrap_or(&store);
            through.append(make.recorded(user(1), 0, command(1), false))
        }))
        .await;
        equal!(successes(&answers).len(), 1, "effects");
        let record = there(store.command_record(command(1)).await?)?;
        for refusal in answers.into_iter().filter_map(Result::err) {
            equal!(refusal, AppendError::Repeated(Box::new(record.clone())), "the answer to the other repeats");
        }
        equal!(whole_log(store.as_ref()).await?.len(), 1, "events");
    }

    async fn a_record_stays_open_until_it_is_closed(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let opening = make.recorded(user(1), 0, command(1), true);
        let closing = Append { record: Some(RecordChange::Close { command_id: command(1) }), ..make.append(user(1), 1, 2) };
        let event_ids: Vec<_> = opening.events.iter().chain(&closing.events).map(|event| event.id).collect();
        store.append(opening).await?;
        let open = there(store.command_record(command(1)).await?)?;
        ensure!(open.open && open.position == 1, "the record is not open at position 1");
        let repeat = refused(store.as_ref(), make.recorded(user(1), 1, command(1), true)).await?;
        equal!(repeat, AppendError::Repeated(Box::new(open.clone())), "the answer to a repeat meanwhile");
        store.append(closing).await?;
        let closed = there(store.command_record(command(1)).await?)?;
        equal!(closed, CommandRecord { open: false, event_ids, position: 3, version: 3, ..open }, "the closed record");
    }

    async fn closing_what_is_not_open_changes_nothing(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.recorded(user(1), 0, command(1), false)).await?;
        let closed = there(store.command_record(command(1)).await?)?;
        for (version, command_id) in [(1, command(1)), (2, command(2))] {
            let close = Some(RecordChange::Close { command_id });
            store.append(Append { record: close, ..make.append(user(1), version, 1) }).await?;
        }
        equal!(there(store.command_record(command(1)).await?)?, closed, "a record that was closed already");
        equal!(store.command_record(command(2)).await?, None, "a record that never was");
    }

    async fn closed_records_are_forgotten_in_time(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        for (n, after_ms, open) in [(1, 10, false), (2, 20, false), (3, 30, false), (4, 10, true)] {
            let record = RecordChange::Insert { request_hash: [n; 32], subject: None, open, expires_at: NOW.plus_ms(after_ms) };
            let append = make.append(user(u64::from(n)), 0, 1);
            store.append(Append { command_id: command(n), record: Some(record), ..append }).await?;
        }
        equal!(store.forget_records(NOW.plus_ms(9)).await?, 0, "records forgotten too early");
        equal!(store.forget_records(NOW.plus_ms(20)).await?, 2, "records forgotten in time");
        let mut left = Vec::new();
        for n in 1..=4 {
            left.push(store.command_record(command(n)).await?.is_some());
        }
        equal!(left, [false, false, true, true], "records left");
        equal!(store.forget_records(later()).await?, 1, "closed records forgotten in the end");
        ensure!(store.command_record(command(4)).await?.is_some(), "an open record was forgotten");
    }

    async fn a_forgotten_command_is_a_new_one(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.recorded(user(1), 0, command(1), false)).await?;
        store.forget_records(later()).await?;
        equal!(store.append(make.recorded(user(1), 1, command(1), false)).await?.version, 2, "the version");
    }

    async fn a_refused_command_leaves_no_record(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let before = picture(store.as_ref(), user(1)).await?;
        refused(store.as_ref(), make.recorded(user(1), 4, command(1), false)).await?;
        ensure!(before == picture(store.as_ref(), user(1)).await?, "a refused command left something behind");
        store.append(make.recorded(user(1), 0, command(1), false)).await?;
    }
}
