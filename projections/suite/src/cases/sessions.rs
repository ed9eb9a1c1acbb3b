//! Sessions.

use claviger_projections::ports::{RowChange, SessionRow};
use crate::build::{Maker, NOW, session, user};
use crate::case::{cases, equal};
use futures::future::join_all;

cases! {
    async fn sessions_are_listed_newest_first(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let rows = [(1, 20), (2, 40), (3, 10), (4, 30)].map(|(n, ms)| session(user(1), n, NOW.plus_ms(ms)));
        let others = [session(user(2), 5, NOW)];
        store.append(make.rows(user(1), 0, rows.iter().chain(&others).cloned().map(RowChange::PutSession).collect())).await?;
        let [second_last, first, last, second] = rows;
        equal!(store.sessions(user(1)).await?, [first, second, second_last.clone(), last], "sessions");
        equal!(store.sessions(user(2)).await?, others, "another user's sessions");
        equal!(store.session(second_last.id).await?, Some(second_last), "one session");
    }

    async fn sessions_end(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let rows: Vec<_> = (1..=4).map(|n| session(user(1), n, NOW.plus_ms(n))).chain([session(user(2), 9, NOW)]).collect();
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        store.append(make.rows(user(1), 0, rows.into_iter().map(RowChange::PutSession).collect())).await?;
        let [one, two, three, four, ..] = ids.as_slice() else { return Ok(()) };
        store.append(make.rows(user(1), 1, vec![RowChange::DeleteSession(*one)])).await?;
        equal!(store.session(*one).await?, None, "a session that has ended");
        equal!(store.sessions(user(1)).await?.len(), 3, "sessions left");
        store.append(make.rows(user(1), 2, [two, four].map(|id| RowChange::DeleteSession(*id)).to_vec())).await?;
        let left: Vec<_> = store.sessions(user(1)).await?.into_iter().map(|row| row.id).collect();
        equal!(left, [*three], "the session that stays");
        equal!(store.sessions(user(2)).await?.len(), 1, "another user's sessions");
    }

    async fn a_rotation_moves_a_session_on(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let row = session(user(1), 1, NOW);
        store.append(make.rows(user(1), 0, vec![RowChange::PutSession(row.clone())])).await?;
        let (now, until) = (NOW.plus_ms(500), NOW.plus_ms(9000));
        equal!(store.rotate_session(row.id, 1, now, until, Some([8; 32])).await?, true, "whether it rotated");
        let rotated = SessionRow { generation: 2, rotated_at: now, last_seen_at: now, expires_at: until, mac: Some([8; 32]), ..row.clone() };
        equal!(store.session(row.id).await?, Some(rotated), "the session");
        equal!(store.head().await?.position, 1, "the head: a rotation is no event");
    }

    async fn a_rotation_from_another_generation_is_none(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let row = session(user(1), 1, NOW);
        store.append(make.rows(user(1), 0, vec![RowChange::PutSession(row.clone())])).await?;
        for from in [0, 2, u32::MAX] {
            equal!(store.rotate_session(row.id, from, NOW, NOW, None).await?, false, "whether it rotated from {from}");
        }
        equal!(store.rotate_session(session(user(1), 2, NOW).id, 1, NOW, NOW, None).await?, false, "whether a stranger rotated");
        equal!(store.session(row.id).await?, Some(row), "the session");
    }

    async fn a_racing_rotation_happens_once(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let second = harness.another().await?;
        let id = session(user(1), 1, NOW).id;
        store.append(make.rows(user(1), 0, vec![RowChange::PutSession(session(user(1), 1, NOW))])).await?;
        for generation in 1..4 {
            let answers = join_all((0..12).map(|n| {
                let through = second.as_ref().filter(|_| n % 2 == 1).unwrap_or(&store);
                through.rotate_session(id, generation, NOW.plus_ms(n), NOW.plus_ms(99), None)
            }))
            .await;
            let won = answers.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().filter(|won| *won).count();
            equal!(won, 1, "rotations from generation {generation}");
        }
        equal!(store.session(id).await?.map(|row| row.generation), Some(4), "the generation");
    }

    async fn a_session_that_has_ended_is_not_rotated(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let row = session(user(1), 1, NOW);
        store.append(make.rows(user(1), 0, vec![RowChange::PutSession(row.clone())])).await?;
        store.append(make.rows(user(1), 1, vec![RowChange::DeleteSession(row.id)])).await?;
        equal!(store.rotate_session(row.id, 1, NOW, NOW, None).await?, false, "whether it rotated");
        equal!(store.session(row.id).await?, None, "the session");
    }
}
