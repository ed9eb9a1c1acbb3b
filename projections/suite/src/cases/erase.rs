//! Erasure: keys and copies are destroyed, events stay.

use claviger_projections::ports::{ClaimKind, KEYS, RowChange};
use crate::build::{Maker, command, key, one_of_each, secret, session, tag, take, user, view_row};
use crate::case::{cases, ensure, equal};
use crate::check::{ALL, WHOLE, later, picture, proven_log};
use claviger_domain::stream::StreamName;

cases! {
    async fn erasing_a_user_destroys_keys_and_copies(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let mut rows = one_of_each(user(1));
        rows.push(RowChange::PutSecret(secret(user(1), key(2), 4)));
        rows.push(RowChange::PutView(view_row(user(1), key(2).0, 2)));
        store.append(make.rows(user(1), 0, rows)).await?;
        store.append(make.rows(user(1), 1, vec![RowChange::EraseUser(user(1))])).await?;
        equal!(store.user_key(user(1)).await?, None, "the user key");
        equal!(store.index_key(user(1)).await?, None, "the index key");
        equal!(store.content_key(StreamName::KeyRing(user(1))).await?, None, "the content key");
        equal!(store.credential(user(1)).await?, None, "the credential");
        equal!(store.count_secrets().await?, 0, "secrets");
        equal!(store.sessions(user(1)).await?, [], "sessions");
        equal!(store.session(session(user(1), 1, later()).id).await?, None, "a session");
        equal!(store.due_timers(later(), ALL).await?, [], "timers");
        equal!(store.page(KEYS, user(1), WHOLE).await?.total, 0, "rows of a view");
        equal!(store.owners(KEYS, None, 9).await?, [], "owners of a view");
        equal!(store.defaults(user(1)).await?, [], "defaults");
        equal!(store.default_key(user(1), tag(1)).await?, None, "a default");
        equal!(store.user_keys_by_kek().await?, [], "user keys by KEK");
    }

    async fn erasing_a_user_leaves_the_others_alone(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        for n in 1..=3 {
            store.append(make.rows(user(n), 0, one_of_each(user(n)))).await?;
        }
        let seen = |store: std::sync::Arc<dyn claviger_projections::ports::Store>| async move {
            Ok::<_, crate::Failure>((
                store.user_key(user(2)).await?,
                store.secret(user(2), key(1), 1).await?,
                store.credential(user(2)).await?,
                store.sessions(user(2)).await?,
                store.page(KEYS, user(2), WHOLE).await?,
                store.defaults(user(2)).await?,
            ))
        };
        let before = seen(store.clone()).await?;
        store.append(make.rows(user(1), 1, vec![RowChange::EraseUser(user(1))])).await?;
        ensure!(seen(store.clone()).await? == before, "another user's rows have changed");
        equal!(store.due_timers(later(), ALL).await?.len(), 2, "timers of the others");
    }

    async fn erasing_a_user_keeps_the_events(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(1), 0, 5)).await?;
        let before = store.read(0, ALL).await?;
        store.append(make.rows(user(1), 5, vec![RowChange::EraseUser(user(1))])).await?;
        let after = proven_log(harness, store.as_ref()).await?;
        ensure!(after.iter().take(5).eq(&before), "events have changed");
        equal!(after.len(), 6, "events");
    }

    async fn rows_put_after_an_erasure_stand(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.rows(user(1), 0, one_of_each(user(1)))).await?;
        let rest = view_row(user(1), user(1).0, 1);
        store.append(make.rows(user(1), 1, vec![RowChange::EraseUser(user(1)), RowChange::PutView(rest.clone())])).await?;
        equal!(store.page(KEYS, user(1), WHOLE).await?.rows, [rest], "rows");
    }

    async fn claims_and_records_outlive_an_erasure(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.claims(user(1), 0, vec![take(ClaimKind::Username, 1, user(1))])).await?;
        store.append(make.recorded(user(1), 1, command(1), false)).await?;
        store.append(make.rows(user(1), 2, vec![RowChange::EraseUser(user(1))])).await?;
        ensure!(store.claim(ClaimKind::Username, [1; 32]).await?.is_some(), "a claim was removed: the erasing command must release it by name");
        ensure!(store.command_record(command(1)).await?.is_some(), "a record went");
        picture(store.as_ref(), user(1)).await?;
    }
}
