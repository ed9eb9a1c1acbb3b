//! A rotation beside servers that write: nothing fails to open, whenever it is cut short, and in
//! the end nothing needs the old key.

use super::world::Vaulted;
use super::world::with_keys;
use super::world::{User, kek, listed, rotation};
use crate::harness::dice::{Dice, number, seed};
use crate::harness::mongo::server;
use crate::harness::stores::{Opened, Place};
use claviger::app::config::Config;
use claviger::audit::verify::verify;
use claviger::keychain::{Progress, Rotated, Rotation, RotationError};
use claviger_domain::failure::Failure;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{AppendError, StoreError, UserKeyRow};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const OLD: u8 = 1;
const NEW: u8 = 2;
const WRITERS: usize = 8;
/// How often a rotation is cut short.
const CUTS: u64 = 3;

/// What the writers did.
#[derive(Debug, Default)]
struct Tally {
    opened: u64,
    changed: u64,
    registered: u64,
}

/// Opens and changes what its users have, until it is stopped.
async fn write(
    world: Arc<Vaulted>,
    mut users: Vec<User>,
    mut dice: Dice,
    until: CancellationToken,
) -> (Tally, Vec<User>) {
    let mut tally = Tally::default();
    while !until.is_cancelled() {
        let n = dice.below(users.len());
        let done: Result<(), Failure> = async {
            match dice.below(16) {
                0 => world.replace(&mut users[n], &mut dice).await?,
                1 => {
                    world.delete(&users[n]).await?;
                    world.add(&mut users[n], &mut dice).await?;
                }
                2 => world.change_password(&mut users[n]).await?,
                3 => {
                    let user = world.register(&mut dice).await?;
                    users.push(user);
                    tally.registered += 1;
                }
                _ => {
                    world.open_all(&users[n]).await?;
                    tally.opened += 1;
                    return Ok(());
                }
            }
            tally.changed += 1;
            world.open_all(&users[n]).await
        }
        .await;
        assert!(done.is_ok(), "{done:?}");
    }
    (tally, users)
}

/// Runs a rotation in a task of its own, and drops it in the middle once it has reported this many
/// steps.
async fn cut_after(rotation: &Arc<Rotation>, steps: usize) {
    let told = watch::Sender::new(0_usize);
    let mut seen = told.subscribe();
    let rotation = Arc::clone(rotation);
    let task = TaskTracker::new().spawn(async move {
        let tell = move |_: Progress| told.send_modify(|told| *told += 1);
        rotation.run(&tell, &CancellationToken::new()).await.map(drop)
    });
    drop(seen.wait_for(|told| *told >= steps).await);
    task.abort();
    // Ended by that, or just before.
    drop(task.await);
}

async fn to_the_end(rotation: &Rotation) -> Result<Rotated, RotationError> {
    rotation.run(&|_| {}, &CancellationToken::new()).await
}

/// The whole course, on a store with this many users.
async fn rotates_under_load(place: Place, users: u64) {
    let mut dice = Dice::new(seed());
    let began = Instant::now();
    let world = Arc::new(Vaulted::open(&place, &[OLD, NEW]).await);
    let population = world.populate(users, &mut dice).await;
    println!("{users} users after {:.1} s", began.elapsed().as_secs_f64());
    // Some have deleted something since their key was made.
    for user in population.iter().step_by(10) {
        let mut user = user.clone();
        world.add(&mut user, &mut dice).await.unwrap();
        world.delete(&user).await.unwrap();
    }
    let beside = match &place {
        Place::Sqlite(_) => world.opened.clone(),
        Place::MongoDb(..) => place.open().await,
    };
    let (until, tracker) = (CancellationToken::new(), TaskTracker::new());
    let writers = population.chunks(population.len().div_ceil(WRITERS)).map(|mine| {
        tracker.spawn(write(
            Arc::clone(&world),
            mine.to_vec(),
            Dice::new(dice.next()),
            until.clone(),
        ))
    });
    let writers: Vec<_> = writers.collect();
    let rotating = rotation(beside.store(), &[NEW, OLD]);
    let began = Instant::now();
    for _ in 0..CUTS {
        cut_after(&rotating, 1 + dice.below(usize::try_from(users).unwrap() / 400 + 1)).await;
    }
    let rotated = to_the_end(&rotating).await.unwrap();
    let took = began.elapsed();
    until.cancel();
    let (mut tally, mut known) = (Tally::default(), Vec::new());
    for writer in writers {
        let (did, users) = writer.await.unwrap();
        tally.opened += did.opened;
        tally.changed += did.changed;
        tally.registered += did.registered;
        known.extend(users);
    }
    println!(
        "{CUTS} times cut short, then to the end: {:.1} s; {rotated:?}; beside it {tally:?}",
        took.as_secs_f64()
    );
    assert!(tally.opened > 0 && tally.changed > 0 && tally.registered > 0, "{tally:?}: no load");
    assert_eq!((rotated.from, rotated.to), (vec![kek(OLD).id()], kek(NEW).id()));
    assert!(rotated.users >= users);
    if matches!(place, Place::MongoDb(..)) {
        beside.close().await;
    }
    Arc::into_inner(world).unwrap().close().await;
    without_the_old_key(&place, &known).await;
}

/// Nothing needs the old key, and every view agrees with the log.
async fn without_the_old_key(place: &Place, users: &[User]) {
    let world = Vaulted::open(place, &[NEW]).await;
    for user in users {
        world.open_all(user).await.unwrap();
    }
    let store = world.opened.store();
    assert_eq!(store.store_keys().await.unwrap().len(), 1);
    let under: Vec<_> = store.user_keys_by_kek().await.unwrap();
    assert_eq!(under, [(kek(NEW).id(), users.len() as u64)]);
    let events = store.read_stream(StreamName::System, 0, 9).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.envelope.kind.as_str()).collect();
    assert_eq!(kinds, ["MasterKeyRotationStarted", "MasterKeyRotated"]);
    let report = verify(Arc::clone(&store), Arc::clone(&world.keychain)).await.unwrap();
    assert_eq!((report.problem_count, report.accounts), (0, users.len() as u64), "{report:?}");
    if let Opened::MongoDb(store) = &world.opened {
        store.database().drop().await.unwrap();
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_users_rotate_under_load_on_the_embedded_store() {
    let dir = tempfile::tempdir().unwrap();
    rotates_under_load(Place::sqlite(dir.path()), number("CLAVIGER_TEST_USERS").unwrap_or(2_000))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_rotate_under_load_on_mongodb() {
    let Some(server) = server().await else { return };
    rotates_under_load(
        Place::mongodb(server.uri(&server.database())),
        number("CLAVIGER_TEST_USERS").unwrap_or(120),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_stopped_reports_how_many_are_left_and_goes_on_later() {
    let dir = tempfile::tempdir().unwrap();
    let world = Vaulted::open(&Place::sqlite(dir.path()), &[OLD, NEW]).await;
    let mut dice = Dice::new(seed());
    let users = world.populate(150, &mut dice).await;
    let (rotating, stop) = (rotation(world.opened.store(), &[NEW, OLD]), CancellationToken::new());
    let stop_at_once = |progress| {
        if matches!(progress, Progress::Moved { users: 100, .. }) {
            stop.cancel();
        }
    };
    let stopped = rotating.run(&stop_at_once, &stop).await.err().unwrap();
    assert!(matches!(stopped, RotationError::Stopped { left: 50 }), "{stopped:?}");
    assert!(stopped.to_string().contains("run `claviger vault rotate` again"));
    for user in &users {
        world.open_all(user).await.unwrap();
    }
    // From its beginning on, new users are under the new key, whichever stands first in the list of
    // their server.
    let newcomer = world.register(&mut dice).await.unwrap();
    let row = world.opened.store().user_key(newcomer.id).await.unwrap().unwrap();
    assert_eq!(row.kek, kek(NEW).id());
    let rotated = to_the_end(&rotating).await.unwrap();
    assert_eq!(
        (rotated.rewrapped, rotated.rekeyed, rotated.users, rotated.secrets),
        (50, 0, 151, 151)
    );
    let again = to_the_end(&rotating).await.err().unwrap();
    assert!(matches!(again, RotationError::NothingToDo { id } if id == kek(NEW).id()), "{again:?}");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_leads_to_no_key_that_was_in_use_before_and_gives_way_to_a_later_one() {
    let dir = tempfile::tempdir().unwrap();
    let world = Vaulted::open(&Place::sqlite(dir.path()), &[1, 2, 3]).await;
    world.populate(120, &mut Dice::new(seed())).await;
    let store = || world.opened.store();
    // The second begins while the first is on its way.
    let (first, second) = (rotation(store(), &[2, 1, 3]), rotation(store(), &[3, 2, 1]));
    cut_after(&first, 2).await;
    let stop = CancellationToken::new();
    stop.cancel();
    assert!(matches!(second.run(&|_| {}, &stop).await, Err(RotationError::Stopped { .. })));
    let overtaken = to_the_end(&first).await.err().unwrap();
    assert!(
        matches!(overtaken, RotationError::UsedBefore { id } if id == kek(2).id()),
        "{overtaken:?}"
    );
    let rotated = to_the_end(&second).await.unwrap();
    assert_eq!((rotated.from, rotated.users), (vec![kek(2).id(), kek(1).id()], 120));
    for back in [1, 2] {
        let refused = to_the_end(&rotation(store(), &[back, 3])).await.err().unwrap();
        assert!(
            matches!(refused, RotationError::UsedBefore { id } if id == kek(back).id()),
            "{refused:?}"
        );
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_reads_its_key_file_again_when_a_rotation_brings_a_key_and_names_one_that_it_lacks()
 {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys");
    std::fs::write(&file, listed(&[OLD])).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let config =
        Config { master_keys: None, master_keys_file: Some(file.clone()), ..with_keys(&[]) };
    let world = Vaulted::configured(&Place::sqlite(dir.path().join("data")), config).await;
    let mut dice = Dice::new(seed());
    let users = world.populate(3, &mut dice).await;
    to_the_end(&rotation(world.opened.store(), &[NEW, OLD])).await.unwrap();
    let lacking = world.open_all(&users[0]).await.err().unwrap();
    let id = claviger_domain::id::MasterKeyId(kek(NEW).id()).to_string();
    assert!(lacking.message.contains(&id), "{lacking:?}");
    let lacking = world.register(&mut dice).await.err().unwrap();
    assert!(lacking.message.contains(&id), "{lacking:?}");
    std::fs::write(&file, listed(&[OLD, NEW])).unwrap();
    world.open_all(&users[0]).await.unwrap();
    let newcomer = world.register(&mut dice).await.unwrap();
    world.open_all(&newcomer).await.unwrap();
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_whose_store_has_gone_reports_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let world = Vaulted::open(&Place::sqlite(dir.path()), &[OLD, NEW]).await;
    let store = world.opened.store();
    world.close().await;
    let failed = to_the_end(&rotation(store, &[NEW, OLD])).await.err().unwrap();
    let closed = matches!(
        failed,
        RotationError::Store(StoreError::Closed) | RotationError::Unrecorded(AppendError::Store(_))
    );
    assert!(closed && failed.to_string().contains("again to continue"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_whose_keys_do_not_open_holds_nobody_elses_rotation_and_is_named() {
    let kinds = crate::harness::stores::StoreKind::available().await;
    for kind in kinds {
        let temporary = crate::harness::stores::TempPlace::new(*kind).await;
        let world = Vaulted::open(&temporary.place(), &[OLD, NEW]).await;
        let users = world.populate(12, &mut Dice::new(seed())).await;
        let store = world.opened.store();
        // The wraps of two users, one in the place of the other's.
        let (first, second) = (&users[3], &users[7]);
        let of = async |user: &User| store.user_key(user.id).await.unwrap().unwrap();
        let (whole, other) = (of(first).await, of(second).await);
        let broken = UserKeyRow { wrapped: other.wrapped.clone(), ..whole.clone() };
        assert!(store.rewrap_user_key(whole.clone(), broken.clone()).await.unwrap());
        let (rotating, stop) =
            (rotation(Arc::clone(&store), &[NEW, OLD]), CancellationToken::new());
        let named = std::sync::Mutex::new(Vec::new());
        let told = |progress: Progress| {
            if let Progress::Failed { owner, .. } = progress {
                named.lock().unwrap().push(owner);
            }
        };
        let ended = rotating.run(&told, &stop).await.err().unwrap();
        assert!(matches!(ended, RotationError::Users { users: 1, rows: 0 }), "{ended:?}");
        assert_eq!(*named.lock().unwrap(), [first.id]);
        for user in users.iter().filter(|user| user.id != first.id) {
            assert_eq!(of(user).await.kek, kek(NEW).id());
            world.open_all(user).await.unwrap();
        }
        // Nothing of the old key was taken away: repaired, it goes on to the end.
        assert!(store.rewrap_user_key(broken, whole).await.unwrap());
        let rotated = to_the_end(&rotating).await.unwrap();
        assert_eq!((rotated.rewrapped, rotated.users, rotated.from), (1, 12, vec![kek(OLD).id()]));
        world.close().await;
        temporary.remove().await;
    }
}
