//! Acknowledged writes are on disk.

use claviger_projections::ports::{Append, ClaimKind, RowChange, StoreKeyRow};
use crate::build::{Maker, NOW, command, one_of_each, session, take, user};
use crate::case::{cases, ensure, equal};
use crate::check::{picture, proven_log, refused, successes};
use claviger_domain::timestamp::Timestamp;
use futures::future::{join, join_all};

cases! {
    async fn a_restart_keeps_everything(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.init_store_key(StoreKeyRow { kek: [1; 8], wrapped_index_key: vec![1; 105], canary: vec![2; 81] }).await?;
        let append = Append {
            rows: one_of_each(user(1)),
            claims: vec![take(ClaimKind::Email, 1, user(1))],
            ..make.recorded(user(1), 0, command(1), true)
        };
        store.append(append).await?;
        for n in 2..20 {
            store.append(make.append(user(n), 0, 3)).await?;
        }
        let (before, keys) = (picture(store.as_ref(), user(1)).await?, store.store_keys().await?);
        drop(store);
        let store = harness.reopen().await?;
        ensure!(picture(store.as_ref(), user(1)).await? == before, "something differs after the restart");
        equal!(store.store_keys().await?, keys, "store keys");
        proven_log(harness, store.as_ref()).await?;
    }

    async fn a_restart_goes_on_where_it_was(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(Append { at: NOW.plus_ms(500), ..make.append(user(1), 0, 5) }).await?;
        drop(store);
        let store = harness.reopen().await?;
        equal!(*store.watch().borrow(), 5, "the position watched");
        refused(store.as_ref(), make.append(user(1), 0, 1)).await?;
        let appended = store.append(Append { at: Timestamp(1), ..make.append(user(1), 5, 2) }).await?;
        equal!((appended.position, appended.version), (7, 7), "where the log goes on");
        ensure!(appended.placed.iter().all(|placed| placed.at == NOW.plus_ms(500)), "time went back over the restart");
        equal!(proven_log(harness, store.as_ref()).await?.len(), 7, "events");
    }

    async fn a_kill_before_the_commit_leaves_nothing_of_it(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let Some(faults) = harness.faults() else { return Ok(()) };
        store.append(make.append(user(1), 0, 3)).await?;
        let before = picture(store.as_ref(), user(2)).await?;
        faults.park();
        let killer = async {
            faults.parked().await;
            let reopened = harness.reopen().await;
            faults.release();
            reopened
        };
        let dying = Append { claims: vec![take(ClaimKind::Email, 1, user(2))], ..make.rows(user(2), 0, one_of_each(user(2))) };
        let (_, reopened) = join(store.append(dying), killer).await;
        let store = reopened?;
        ensure!(picture(store.as_ref(), user(2)).await? == before, "something of an uncommitted append survived");
        equal!(store.append(make.append(user(2), 0, 1)).await?.position, 4, "the next position");
        proven_log(harness, store.as_ref()).await?;
    }

    async fn every_answered_append_survives_a_restart(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let answers = join_all((0..80).map(|n| store.append(make.append(user(n), 0, 1)))).await;
        let answered: Vec<_> = successes(&answers).iter().flat_map(|done| &done.placed).copied().collect();
        drop(store);
        let store = harness.reopen().await?;
        for placed in answered {
            let found = store.event(placed.id).await?.map(|event| event.envelope.position);
            equal!(found, Some(placed.position), "the position of an answered event");
        }
        equal!(proven_log(harness, store.as_ref()).await?.len(), 80, "events");
    }

    async fn a_rotation_survives_a_restart(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let row = session(user(1), 1, NOW);
        store.append(make.rows(user(1), 0, vec![RowChange::PutSession(row.clone())])).await?;
        store.rotate_session(row.id, 1, NOW.plus_ms(5), NOW.plus_ms(50), None).await?;
        drop(store);
        let store = harness.reopen().await?;
        equal!(store.session(row.id).await?.map(|row| row.generation), Some(2), "the generation");
        equal!(store.rotate_session(row.id, 1, NOW, NOW, None).await?, false, "whether the old token rotates again");
    }
}
