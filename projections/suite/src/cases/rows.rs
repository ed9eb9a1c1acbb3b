//! Keys, secrets, credentials and timers beside the log.

use claviger_projections::ports::{Append, ContentKeyRow, CredentialRow, IndexKeyRow, RowChange, StoreKeyRow, TimerKind, TimerRow};
use crate::build::{Maker, NOW, inline, key, secret, timer, user, user_key};
use crate::case::{cases, ensure, equal};
use crate::check::{ALL, refused};
use claviger_domain::stream::StreamName;
use futures::future::join_all;

cases! {
    async fn rows_come_back_as_they_were_put(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let owner = user(1);
        let stream = StreamName::Account(owner);
        let index = IndexKeyRow { owner, user_key_version: 3, wrapped: vec![0; 105] };
        let content = ContentKeyRow { stream, owner, user_key_version: 4, wrapped: vec![0xff; 105] };
        let credential = CredentialRow { owner, password_version: 3, user_key_version: 5, sealed: (0..=255).collect() };
        let rows = vec![
            RowChange::PutUserKey(user_key(owner, 1, 7)),
            RowChange::PutSecret(secret(owner, key(1), 2)),
            RowChange::PutUserKey(user_key(owner, 3, 7)),
            RowChange::PutIndexKey(index.clone()),
            RowChange::PutUserKey(user_key(owner, 4, 7)),
            RowChange::PutContentKey(content.clone()),
            RowChange::PutUserKey(user_key(owner, 5, 8)),
            RowChange::PutCredential(credential.clone()),
        ];
        store.append(make.rows(owner, 0, rows)).await?;
        equal!(store.user_key(owner).await?, Some(user_key(owner, 5, 8)), "the user key");
        equal!(store.index_key(owner).await?, Some(index), "the index key");
        equal!(store.content_key(stream).await?, Some(content), "the content key");
        equal!(store.credential(owner).await?, Some(credential), "the credential");
        equal!(store.secret(owner, key(1), 2).await?, Some(secret(owner, key(1), 2)), "the secret");
    }

    async fn putting_a_row_again_replaces_it(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let credential = |n: u8| CredentialRow { owner: user(1), password_version: 1, user_key_version: 1, sealed: vec![n; 100] };
        for n in 0..3 {
            let rows = vec![RowChange::PutUserKey(user_key(user(1), 1, n)), RowChange::PutCredential(credential(n))];
            store.append(make.rows(user(1), u64::from(n), rows)).await?;
        }
        equal!(store.credential(user(1)).await?, Some(credential(2)), "the credential");
        equal!(store.user_key(user(1)).await?, Some(user_key(user(1), 1, 2)), "the user key");
        equal!(store.user_keys_by_kek().await?, [([2; 8], 1)], "user keys by KEK");
    }

    async fn the_newest_user_key_is_given(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let put = |n: u64, version, kek| RowChange::PutUserKey(user_key(user(n), version, kek));
        store.append(make.rows(user(1), 0, vec![put(1, 2, 5), put(1, 10, 6), put(1, 9, 5), put(2, 1, 5)])).await?;
        equal!(store.user_key(user(1)).await?, Some(user_key(user(1), 10, 6)), "the user key");
        let mut by_kek = store.user_keys_by_kek().await?;
        by_kek.sort_unstable();
        equal!(by_kek, [([5; 8], 3), ([6; 8], 1)], "user keys by KEK");
    }

    async fn a_shredded_secret_is_gone_and_no_other(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let put = |of, version| RowChange::PutSecret(secret(user(of), key(1), version));
        let user_key = |n| RowChange::PutUserKey(user_key(user(n), 1, 1));
        let rows = vec![user_key(1), user_key(2), put(1, 1), put(1, 2), put(2, 1), put(2, 2)];
        store.append(make.rows(user(1), 0, rows)).await?;
        equal!(store.count_secrets().await?, 4, "secrets");
        let shred = RowChange::DeleteSecret { owner: user(1), key: key(1), secret_version: 1 };
        store.append(make.rows(user(1), 1, vec![shred.clone()])).await?;
        equal!(store.secret(user(1), key(1), 1).await?, None, "the shredded secret");
        ensure!(store.secret(user(1), key(1), 2).await?.is_some(), "the next version went with it");
        ensure!(store.secret(user(2), key(1), 1).await?.is_some(), "another owner's secret went with it");
        equal!(store.count_secrets().await?, 3, "secrets left");
        store.append(make.rows(user(1), 2, vec![shred])).await?;
        equal!(store.count_secrets().await?, 3, "secrets left after shredding it again");
    }

    async fn a_secret_is_given_to_its_owner_only(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let rows = vec![RowChange::PutUserKey(user_key(user(1), 1, 1)), RowChange::PutSecret(secret(user(1), key(1), 1))];
        store.append(make.rows(user(1), 0, rows)).await?;
        equal!(store.secret(user(2), key(1), 1).await?, None, "a secret for another owner");
        equal!(store.secret(user(1), key(2), 1).await?, None, "a secret of another key");
        equal!(store.secret(user(1), key(1), 2).await?, None, "a secret of another version");
    }

    async fn timers_come_due_earliest_first(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let at = |ms| NOW.plus_ms(ms);
        let timers = [
            timer(user(1), key(1), at(30)),
            timer(user(2), key(2), at(10)),
            timer(user(1), key(3), at(20)),
            timer(user(3), key(4), at(40)),
        ];
        for row in timers {
            store
                .append(Append {
                    stream: StreamName::Run(row.subject),
                    ..make.rows(row.owner, 0, vec![RowChange::PutTimer(row)])
                })
                .await?;
        }
        let [third, first, second, fourth] = timers;
        equal!(store.due_timers(at(9), ALL).await?, [], "timers before any is due");
        equal!(store.due_timers(at(10), ALL).await?, [first], "timers when the first is due");
        equal!(store.due_timers(at(39), ALL).await?, [first, second, third], "timers when three are due");
        equal!(store.due_timers(at(99), 2).await?, [first, second], "two timers when all are due");
        equal!(store.due_timers(at(99), ALL).await?, [first, second, third, fourth], "all timers");
    }

    async fn a_timer_is_one_per_kind_owner_and_subject(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let test = timer(user(1), key(1), NOW.plus_ms(50));
        let moved = TimerRow { due_at: NOW.plus_ms(60), command: None, ..test };
        let expiry = TimerRow { kind: TimerKind::KeyExpiry, ..moved };
        let other = TimerRow { owner: user(2), due_at: NOW.plus_ms(70), ..test };
        let rows = [test, moved, expiry, other].map(RowChange::PutTimer).to_vec();
        store.append(make.rows(user(1), 0, rows)).await?;
        let mut found = store.due_timers(NOW.plus_ms(99), ALL).await?;
        found.sort_by_key(|timer| (timer.owner, timer.kind));
        equal!(found, [expiry, moved, other], "timers");
        let unset = RowChange::DeleteTimer { kind: TimerKind::KeyTest, owner: user(1), subject: key(1).0 };
        store.append(make.rows(user(1), 1, vec![unset])).await?;
        equal!(store.due_timers(NOW.plus_ms(99), ALL).await?, [expiry, other], "timers left");
    }

    async fn a_timer_is_put_off_or_removed_unless_it_was_put_again(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let (one, two) = (timer(user(1), key(1), NOW), timer(user(2), key(2), NOW));
        store.append(make.rows(user(1), 0, vec![RowChange::PutTimer(one)])).await?;
        store.append(make.rows(user(2), 0, vec![RowChange::PutTimer(two)])).await?;
        let later = NOW.plus_ms(9);
        equal!(store.move_timer(one, Some(later)).await?, true, "whether it was put off");
        equal!(store.due_timers(NOW, ALL).await?, [two], "timers that are due");
        equal!(store.move_timer(one, None).await?, false, "whether it was removed as it was before");
        let put_off = TimerRow { due_at: later, ..one };
        equal!(store.due_timers(later, ALL).await?, [two, put_off], "timers that are due later");
        equal!(store.move_timer(put_off, None).await?, true, "whether it was removed");
        equal!(store.move_timer(timer(user(3), key(1), NOW), None).await?, false, "whether an unknown one was");
        equal!(store.due_timers(later, ALL).await?, [two], "timers left");
    }

    async fn the_first_store_key_wins(harness) {
        let store = harness.fresh().await?;
        let row = |n: u8| StoreKeyRow { kek: [n; 8], wrapped_index_key: vec![n; 105], canary: vec![n; 81] };
        let won = join_all((0..8).map(|n| store.init_store_key(row(n)))).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        equal!(won.iter().filter(|won| **won).count(), 1, "winners");
        let winner = won.iter().zip(0..).find_map(|(won, n)| won.then_some(n)).unwrap_or(0);
        equal!(store.store_keys().await?, [row(winner)], "store keys");
        equal!(store.init_store_key(row(winner)).await?, false, "the answer to a latecomer");
    }

    async fn a_number_too_large_for_the_store_is_refused_or_kept(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let row = timer(user(1), key(1), claviger_domain::timestamp::Timestamp(u64::MAX));
        match store.append(make.rows(user(1), 0, vec![RowChange::PutTimer(row)])).await {
            Ok(_) => equal!(store.due_timers(row.due_at, ALL).await?, [row], "timers"),
            Err(_) => equal!(store.head().await?.position, 0, "the head after a refusal"),
        }
    }

    async fn inline_rows_come_after_the_appends_own(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let credential =
            |n: u8| RowChange::PutCredential(CredentialRow { owner: user(1), password_version: 1, user_key_version: 1, sealed: vec![n; 9] });
        let append = Append { inline: inline(move |_| Ok(vec![credential(2)])), ..make.rows(user(1), 0, vec![RowChange::PutUserKey(user_key(user(1), 1, 1)), credential(1)]) };
        store.append(append).await?;
        equal!(store.credential(user(1)).await?.map(|row| row.sealed), Some(vec![2; 9]), "the credential");
    }

    async fn scrubbing_changes_nothing_that_is_kept(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let put = |version| RowChange::PutSecret(secret(user(1), key(1), version));
        let shred = RowChange::DeleteSecret { owner: user(1), key: key(1), secret_version: 1 };
        store.append(make.rows(user(1), 0, vec![RowChange::PutUserKey(user_key(user(1), 1, 1)), put(1), put(2)])).await?;
        store.append(make.rows(user(1), 1, vec![shred])).await?;
        equal!(store.scrub().await?, true, "whether nothing was in the way");
        equal!(store.secret(user(1), key(1), 1).await?, None, "the shredded secret");
        equal!(store.secret(user(1), key(1), 2).await?, Some(secret(user(1), key(1), 2)), "the secret kept");
        refused(store.as_ref(), make.append(user(1), 0, 1)).await?;
        equal!(store.append(make.append(user(1), 2, 1)).await?.position, 3, "the next position");
    }
}
