//! A rotation, or another process, that comes exactly between two steps of a command.

use super::world::Vaulted;
use super::world::with_keys;
use super::world::{User, rotation};
use crate::harness::bent::{Answer, Bent, Over};
use crate::harness::dice::{Dice, seed};
use crate::harness::stores::Place;
use claviger_domain::code::ErrorCode;
use claviger_domain::id::UserId;
use claviger_projections::ports::{
    Append, AppendError, Appended, BoxFuture, RowChange, Store, ViewRow,
};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const OLD: u8 = 1;
const NEW: u8 = 2;

/// Rotates to this key, everything, at once.
async fn rotate(store: Arc<dyn Store>, to: &[u8]) {
    rotation(store, to).run(&|_| {}, &CancellationToken::new()).await.unwrap();
}

/// A store on which a rotation comes before the next append that carries what a user key seals, if
/// one is set up.
struct Between {
    inner: Arc<dyn Store>,
    /// The key to rotate to; 0 for no rotation.
    next: AtomicU8,
    /// Comes before the next row of a view is read.
    before_row: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Between {
    fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { inner, next: AtomicU8::new(0), before_row: Mutex::default() })
    }
}

impl Bent for Between {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            if append
                .rows
                .iter()
                .any(|row| row.sealed_under().is_some() || matches!(row, RowChange::PutUserKey(_)))
            {
                let to = self.next.swap(0, Ordering::SeqCst);
                if to > 0 {
                    rotate(Arc::clone(&self.inner), &[to, to - 1]).await;
                }
            }
            self.inner.append(append).await
        })
    }

    fn row(&self, view: &'static str, owner: UserId, id: Uuid) -> Answer<'_, Option<ViewRow>> {
        Box::pin(async move {
            let before = self.before_row.lock().unwrap().take();
            if let Some(before) = before {
                before.await;
            }
            self.inner.row(view, owner, id).await
        })
    }
}

/// A user who has destroyed something, so that the next rotation gives them a new user key.
async fn worn(world: &Vaulted, dice: &mut Dice) -> User {
    let mut user = world.register(dice).await.unwrap();
    world.replace(&mut user, dice).await.unwrap();
    user
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_rotation_has_moved_since_their_key_was_read_open_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let world = Vaulted::open(&Place::sqlite(dir.path()), &[OLD, NEW]).await;
    let user = worn(&world, &mut Dice::new(seed())).await;
    let keys = world.keychain.user(user.id).await.unwrap().unwrap();
    rotate(world.opened.store(), &[NEW, OLD]).await;
    assert_eq!(
        (keys.version, world.keychain.user(user.id).await.unwrap().unwrap().version),
        (1, 2)
    );
    world.open_all_with(&user, &keys).await.unwrap();
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sealed_before_a_rotation_and_is_appended_after_it_is_sealed_again() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Place::sqlite(dir.path()).open().await;
    let between = Between::new(opened.store());
    let every: Vec<u8> = (1..=9).collect();
    let world = Vaulted::over(opened.clone(), Over::store(&between), with_keys(&every)).await;
    let mut dice = Dice::new(seed());
    let mut user = worn(&world, &mut dice).await;
    let version = async |user: &User| world.keychain.user(user.id).await.unwrap().unwrap().version;
    let rotated = |to| between.next.store(to, Ordering::SeqCst);

    rotated(2);
    world.add(&mut user, &mut dice).await.unwrap();
    assert_eq!(version(&user).await, 2);
    world.open_all(&user).await.unwrap();

    world.change_password(&mut user).await.unwrap();
    rotated(3);
    world.replace(&mut user, &mut dice).await.unwrap();
    assert_eq!(version(&user).await, 3);
    world.open_all(&user).await.unwrap();

    rotated(4);
    world.change_password(&mut user).await.unwrap();
    assert_eq!(version(&user).await, 4);
    world.open_all(&user).await.unwrap();

    rotated(5);
    let newcomer = world.register(&mut dice).await.unwrap();
    assert_eq!(version(&newcomer).await, 1);
    assert_eq!(
        between.user_key(newcomer.id).await.unwrap().unwrap().kek,
        super::world::kek(5).id()
    );
    world.open_all(&newcomer).await.unwrap();
    assert_eq!(between.next.load(Ordering::SeqCst), 0);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_got_its_new_name_meanwhile_is_judged_as_it_is_now() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Place::sqlite(dir.path()).open().await;
    let between = Between::new(opened.store());
    let world = Vaulted::over(opened.clone(), Over::store(&between), with_keys(&[OLD])).await;
    let other = Arc::new(Vaulted::over(opened.clone(), opened.store(), with_keys(&[OLD])).await);
    let user = world.register(&mut Dice::new(seed())).await.unwrap();
    let meanwhile = |name: &'static str| {
        let (other, user) = (Arc::clone(&other), user.clone());
        let renaming = async move { drop(other.rename(&user, name, None).await.unwrap()) };
        *between.before_row.lock().unwrap() = Some(Box::pin(renaming));
    };

    let version = world.rename(&user, "one", None).await.unwrap().version;
    meanwhile("two");
    let refused = world.rename(&user, "two", Some(version)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Conflict);

    meanwhile("three");
    let commit = world.rename(&user, "three", None).await.unwrap();
    assert_eq!((commit.event_ids, commit.version), (vec![], version + 2));
    assert!(between.before_row.lock().unwrap().is_none());
    world.close().await;
}
