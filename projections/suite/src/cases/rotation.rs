//! Rotation of the master key: the wraps change, the data does not, and no concurrent write is
//! lost.

use claviger_projections::ports::{AppendError, ContentKeyRow, CredentialRow, IndexKeyRow, RowChange, SecretRow, Store, StoreKeyRow, UserKeyRow, UserKeyState, UserRows};
use crate::build::{Maker, key, one_of_each, secret, user, user_key};
use crate::case::{Failure, cases, ensure, equal};
use crate::check::{picture, refused};
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use futures::future::{join, join_all};

/// All rows of a user under the next version of their key, wrapped by the KEK `kek`.
fn next(from: &UserRows, kek: u8) -> UserRows {
    let (owner, version) = (from.key.row.owner, from.key.row.version + 1);
    let wrapped = |of: &[u8]| of.iter().map(|byte| byte.wrapping_add(0x20)).collect::<Vec<u8>>();
    let index = |row: &IndexKeyRow| IndexKeyRow { user_key_version: version, wrapped: wrapped(&row.wrapped), ..*row };
    let content = |row: &ContentKeyRow| ContentKeyRow { user_key_version: version, wrapped: wrapped(&row.wrapped), ..*row };
    let secret = |row: &SecretRow| SecretRow {
        user_key_version: version,
        wrapped_data_key: wrapped(&row.wrapped_data_key),
        sealed: row.sealed.clone(),
        ..*row
    };
    let credential = |row: &CredentialRow| CredentialRow { user_key_version: version, sealed: wrapped(&row.sealed), ..*row };
    UserRows {
        key: UserKeyState { row: user_key(owner, version, kek), worn: false },
        index_key: from.index_key.as_ref().map(index),
        content_keys: from.content_keys.iter().map(content).collect(),
        secrets: from.secrets.iter().map(secret).collect(),
        credential: from.credential.as_ref().map(credential),
    }
}

async fn rows_of(store: &dyn Store, owner: UserId) -> Result<UserRows, Failure> {
    store.user_rows(owner).await?.ok_or_else(|| Failure("a user has no rows".to_owned()))
}

fn put_secret(owner: UserId, n: u64, user_key_version: u32) -> RowChange {
    RowChange::PutSecret(SecretRow { user_key_version, ..secret(owner, key(n), 1) })
}

fn store_key(kek: u8) -> StoreKeyRow {
    StoreKeyRow { kek: [kek; 8], wrapped_index_key: vec![kek; 105], canary: vec![kek; 81] }
}

cases! {
    async fn user_keys_are_listed_by_owner_and_master_key(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let rows: Vec<UserKeyRow> = [(4, 1), (1, 2), (3, 1), (2, 1), (5, 2)].map(|(n, kek)| user_key(user(n), 1, kek)).to_vec();
        store.append(make.rows(user(1), 0, rows.into_iter().map(RowChange::PutUserKey).collect())).await?;
        let owners = |found: Vec<UserKeyState>| found.into_iter().map(|key| key.row.owner).collect::<Vec<_>>();
        equal!(owners(store.user_keys(None, None, 9).await?), [1, 2, 3, 4, 5].map(user), "all");
        equal!(owners(store.user_keys(Some([2; 8]), None, 9).await?), [2, 3, 4].map(user), "those not under a KEK");
        equal!(owners(store.user_keys(Some([2; 8]), None, 2).await?), [2, 3].map(user), "the first of those");
        equal!(owners(store.user_keys(Some([2; 8]), Some(user(3)), 2).await?), [user(4)], "the rest of those");
        equal!(owners(store.user_keys(None, Some(user(5)), 9).await?), [], "those after the last");
        equal!(owners(store.user_keys(None, None, 0).await?), [], "none");
        let first = UserKeyState { row: user_key(user(1), 1, 2), worn: false };
        equal!(store.user_keys(None, None, 1).await?, [first], "the first");
    }

    async fn everything_of_a_user_is_read_at_once(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        equal!(store.user_rows(user(1)).await?, None, "rows of an unknown user");
        let (owner, account) = (user(1), StreamName::Account(user(1)));
        let content = ContentKeyRow { stream: account, owner, user_key_version: 1, wrapped: vec![9; 105] };
        let mut rows = one_of_each(owner);
        rows.extend([put_secret(owner, 3, 1), put_secret(owner, 2, 1), RowChange::PutContentKey(content.clone())]);
        store.append(make.rows(owner, 0, rows)).await?;
        store.append(make.rows(user(2), 0, one_of_each(user(2)))).await?;
        let found = rows_of(store.as_ref(), owner).await?;
        equal!(found.key.row, user_key(owner, 1, 1), "the user key");
        equal!(found.index_key, store.index_key(owner).await?, "the index key");
        equal!(found.credential, store.credential(owner).await?, "the credential");
        let ring = store.content_key(StreamName::KeyRing(owner)).await?;
        equal!(found.content_keys, std::iter::once(content).chain(ring).collect::<Vec<_>>(), "content keys");
        equal!(found.secrets, [1, 2, 3].map(|n| secret(owner, key(n), 1)), "secrets");
    }

    async fn a_rewrap_changes_the_wrap_and_nothing_else(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        for n in 1..=2 {
            store.append(make.rows(user(n), 0, vec![RowChange::PutUserKey(user_key(user(n), 3, 1))])).await?;
        }
        let (from, to) = (user_key(user(1), 3, 1), user_key(user(1), 3, 2));
        let before = picture(store.as_ref(), user(2)).await?;
        equal!(store.rewrap_user_key(from.clone(), to.clone()).await?, true, "whether it was rewrapped");
        equal!(store.user_key(user(1)).await?, Some(to.clone()), "the user key");
        ensure!(picture(store.as_ref(), user(2)).await? == before, "something else has changed");
        equal!(store.user_keys_by_kek().await?, [([1; 8], 1), ([2; 8], 1)], "user keys by KEK");
        equal!(store.rewrap_user_key(from, to).await?, true, "whether a repeat finds itself done");
        let store = harness.reopen().await?;
        equal!(store.user_key(user(1)).await?, Some(user_key(user(1), 3, 2)), "the user key after a crash");
    }

    async fn a_rewrap_of_a_row_that_has_changed_is_none(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let row = user_key(user(1), 1, 1);
        store.append(make.rows(user(1), 0, vec![RowChange::PutUserKey(row.clone())])).await?;
        let to = user_key(user(1), 1, 2);
        let others = [
            UserKeyRow { kek: [9; 8], ..row.clone() },
            UserKeyRow { wrapped: vec![9; 105], ..row.clone() },
            UserKeyRow { version: 2, ..row.clone() },
        ];
        for from in others {
            let to = UserKeyRow { version: from.version, ..to.clone() };
            equal!(store.rewrap_user_key(from.clone(), to).await?, false, "whether it was rewrapped from {from:?}");
        }
        let stranger = (user_key(user(2), 1, 1), user_key(user(2), 1, 2));
        equal!(store.rewrap_user_key(stranger.0, stranger.1).await?, false, "whether a stranger was rewrapped");
        equal!(store.user_key(user(1)).await?, Some(row.clone()), "the user key");
        store.append(make.rows(user(1), 1, vec![RowChange::EraseUser(user(1))])).await?;
        equal!(store.rewrap_user_key(row, to).await?, false, "whether a key came back after its erasure");
        equal!(store.user_key(user(1)).await?, None, "the user key after its erasure");
    }

    async fn racing_rewraps_have_one_winner(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let row = user_key(user(1), 1, 0);
        store.append(make.rows(user(1), 0, vec![RowChange::PutUserKey(row.clone())])).await?;
        let answers = join_all((1..=8).map(|n| store.rewrap_user_key(row.clone(), user_key(user(1), 1, n)))).await;
        let won = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        equal!(won.iter().filter(|won| **won).count(), 1, "winners");
        let winner = won.iter().zip(1..).find_map(|(won, n)| won.then_some(n)).unwrap_or(0);
        equal!(store.user_key(user(1)).await?, Some(user_key(user(1), 1, winner)), "the user key");
    }

    async fn what_is_destroyed_wears_the_user_key(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let credential = |n, password_version| {
            RowChange::PutCredential(CredentialRow { owner: user(n), password_version, user_key_version: 1, sealed: vec![7; 170] })
        };
        for n in 1..=3 {
            let rows = vec![RowChange::PutUserKey(user_key(user(n), 1, 1)), put_secret(user(n), n, 1), credential(n, 1)];
            store.append(make.rows(user(n), 0, rows)).await?;
        }
        let worn = |found: Vec<UserKeyState>| found.into_iter().map(|key| key.worn).collect::<Vec<_>>();
        equal!(worn(store.user_keys(None, None, 9).await?), [false, false, false], "what is worn in the beginning");
        let shred = RowChange::DeleteSecret { owner: user(1), key: key(1), secret_version: 1 };
        store.append(make.rows(user(1), 1, vec![shred])).await?;
        equal!(worn(store.user_keys(None, None, 9).await?), [true, false, false], "what is worn after a deletion");
        store.append(make.rows(user(2), 1, vec![credential(2, 2)])).await?;
        equal!(worn(store.user_keys(None, None, 9).await?), [true, true, false], "what is worn after another password");
        equal!(rows_of(store.as_ref(), user(1)).await?.key.worn, true, "whether it is worn among all rows");
        let (from, to) = (user_key(user(1), 1, 1), user_key(user(1), 1, 2));
        equal!(store.rewrap_user_key(from.clone(), to).await?, false, "whether a worn key was rewrapped");
        equal!(store.user_key(user(1)).await?, Some(from), "the worn key");
    }

    async fn a_new_user_key_takes_the_place_of_the_old(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        for n in 1..=2 {
            store.append(make.rows(user(n), 0, one_of_each(user(n)))).await?;
        }
        let shred = RowChange::DeleteSecret { owner: user(1), key: key(7), secret_version: 1 };
        store.append(make.rows(user(1), 1, vec![put_secret(user(1), 2, 1), shred])).await?;
        let other = picture(store.as_ref(), user(2)).await?;
        let from = rows_of(store.as_ref(), user(1)).await?;
        ensure!(from.key.worn, "the old key is not worn out");
        let to = next(&from, 9);
        equal!(store.rekey_user(from.clone(), to.clone()).await?, true, "whether there is a new key");
        equal!(store.user_rows(user(1)).await?, Some(to.clone()), "the user's rows");
        equal!(store.user_keys_by_kek().await?, [([1; 8], 1), ([9; 8], 1)], "user keys by KEK");
        ensure!(picture(store.as_ref(), user(2)).await? == other, "another user's rows, or the log, have changed");
        equal!(store.rekey_user(from, to.clone()).await?, true, "whether a repeat finds itself done");
        let store = harness.reopen().await?;
        equal!(store.user_rows(user(1)).await?, Some(to), "the user's rows after a crash");
    }

    async fn a_new_user_key_for_rows_that_have_changed_is_none(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let owner = user(1);
        store.append(make.rows(owner, 0, one_of_each(owner))).await?;
        let changes = [
            put_secret(owner, 2, 1),
            RowChange::PutContentKey(ContentKeyRow {
                stream: StreamName::Account(owner),
                owner,
                user_key_version: 1,
                wrapped: vec![1; 105],
            }),
            RowChange::PutCredential(CredentialRow { owner, password_version: 3, user_key_version: 1, sealed: vec![1; 170] }),
            RowChange::PutUserKey(user_key(owner, 1, 4)),
            RowChange::DeleteSecret { owner, key: key(1), secret_version: 1 },
        ];
        for (change, version) in changes.into_iter().zip(1..) {
            let from = rows_of(store.as_ref(), owner).await?;
            store.append(make.rows(owner, version, vec![change.clone()])).await?;
            let before = rows_of(store.as_ref(), owner).await?;
            equal!(store.rekey_user(from.clone(), next(&from, 9)).await?, false, "whether there is a new key after {change:?}");
            equal!(rows_of(store.as_ref(), owner).await?, before, "the user's rows");
        }
        let from = rows_of(store.as_ref(), owner).await?;
        store.append(make.rows(owner, 6, vec![RowChange::EraseUser(owner)])).await?;
        equal!(store.rekey_user(from.clone(), next(&from, 9)).await?, false, "whether an erased user got a key");
        equal!(store.user_rows(owner).await?, None, "rows of an erased user");
    }

    async fn what_is_sealed_under_an_older_user_key_is_refused(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let owner = user(1);
        store.append(make.rows(owner, 0, one_of_each(owner))).await?;
        let from = rows_of(store.as_ref(), owner).await?;
        equal!(store.rekey_user(from.clone(), next(&from, 9)).await?, true, "whether there is a new key");
        let before = picture(store.as_ref(), owner).await?;
        let stale = from.sealed_rows();
        equal!(stale.len(), 4, "kinds of sealed rows");
        for row in stale {
            let refusal = refused(store.as_ref(), make.rows(owner, 1, vec![row.clone()])).await?;
            equal!(refusal, AppendError::UserKeyMoved { owner, actual: 2 }, "the answer to {row:?}");
        }
        let stranger = refused(store.as_ref(), make.rows(user(2), 0, vec![put_secret(user(2), 1, 1)])).await?;
        equal!(stranger, AppendError::UserKeyMoved { owner: user(2), actual: 0 }, "the answer to a secret of an unknown user");
        ensure!(picture(store.as_ref(), owner).await? == before, "a refusal has left something");
        store.append(make.rows(owner, 1, vec![put_secret(owner, 2, 2)])).await?;
        store.append(make.rows(owner, 2, vec![RowChange::EraseUser(owner)])).await?;
        let erased = refused(store.as_ref(), make.rows(owner, 3, vec![put_secret(owner, 3, 2)])).await?;
        equal!(erased, AppendError::UserKeyMoved { owner, actual: 0 }, "the answer to a secret after the erasure");
    }

    async fn no_secret_is_lost_between_appends_and_a_new_user_key(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let other = harness.another().await?.unwrap_or_else(|| store.clone());
        let owner = user(1);
        store.append(make.rows(owner, 0, vec![RowChange::PutUserKey(user_key(owner, 1, 1))])).await?;
        let (make, store) = (&make, &store);
        let appends = (0..24).map(|n| async move {
            // Streams of their own, so that they compete only with the rotation.
            let append = make.rows(owner, 0, vec![put_secret(owner, n, 1)]);
            match store.append(claviger_projections::ports::Append { stream: StreamName::Run(key(n).0), ..append }).await {
                Ok(_) => Ok(true),
                Err(AppendError::UserKeyMoved { actual: 2, .. }) => Ok(false),
                Err(error) => Err(Failure::from(error)),
            }
        });
        let rotation = async {
            loop {
                let from = rows_of(other.as_ref(), owner).await?;
                if other.rekey_user(from.clone(), next(&from, 9)).await? {
                    return Ok::<_, Failure>(from.secrets.len());
                }
            }
        };
        let (answers, carried) = join(join_all(appends), rotation).await;
        let taken = answers.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().filter(|taken| *taken).count();
        equal!(carried?, taken, "secrets that the rotation carried over, of those taken");
        let after = rows_of(store.as_ref(), owner).await?;
        equal!(after.secrets.len(), taken, "secrets");
        ensure!(after.secrets.iter().all(|row| row.user_key_version == 2), "a secret is left under the old key");
    }

    async fn new_user_keys_go_under_the_newest_master_key(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let put = |n, kek| vec![RowChange::PutUserKey(user_key(user(n), 1, kek))];
        let moved = |current: u8| AppendError::MasterKeyMoved { current: [current; 8] };
        store.init_store_key(store_key(1)).await?;
        store.append(make.rows(user(1), 0, put(1, 1))).await?;
        equal!(refused(store.as_ref(), make.rows(user(2), 0, put(2, 2))).await?, moved(1), "the answer to a key that comes too early");
        store.append(make.rows(user(9), 0, vec![RowChange::PutStoreKey(store_key(2))])).await?;
        equal!(store.store_keys().await?, [store_key(2), store_key(1)], "store keys, the newest first");
        equal!(refused(store.as_ref(), make.rows(user(2), 0, put(2, 1))).await?, moved(2), "the answer to a key that comes too late");
        store.append(make.rows(user(2), 0, put(2, 2))).await?;
        store.append(make.rows(user(9), 1, vec![RowChange::DeleteStoreKey([1; 8])])).await?;
        equal!(store.store_keys().await?, [store_key(2)], "store keys in the end");
        equal!(store.init_store_key(store_key(1)).await?, false, "whether there is a first store key once more");
        store.append(make.rows(user(9), 2, vec![RowChange::PutStoreKey(store_key(1))])).await?;
        equal!(store.store_keys().await?, [store_key(1), store_key(2)], "store keys, one put again");
        let both = vec![RowChange::PutStoreKey(store_key(3)), RowChange::PutUserKey(user_key(user(3), 1, 3))];
        store.append(make.rows(user(3), 0, both)).await?;
        equal!(store.store_keys().await?.len(), 3, "store keys");
    }
}
