//! An attacker kept every row that was ever written, and obtains the new master key.

use super::world::Vaulted;
use super::world::{User, kek, rotation};
use crate::harness::dice::{Dice, seed};
use crate::harness::mongo::server;
use crate::harness::stores::{Opened, Place};
use claviger_domain::id::KeyId;
use claviger_store::sqlite::DATABASE_FILE;
use claviger_vault::{DataKeyAd, KekSet, open_secret, unwrap_data_key, unwrap_user_key};
use mongodb::bson::Bson;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

const OLD: u8 = 1;
const NEW: u8 = 2;
/// No version in these tests is higher.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=3;

type Blobs = BTreeSet<Vec<u8>>;

/// Tries every blob as everything that leads from a master key to a secret.
fn opens(
    blobs: &Blobs,
    master: u8,
    user: &User,
    (key, secret_version): (KeyId, u32),
) -> Option<String> {
    let (keks, kek) = (KekSet::new(vec![kek(master)]).unwrap(), kek(master).id());
    let wraps = || blobs.iter().flat_map(|blob| VERSIONS.map(move |version| (blob, version)));
    let user_keys: Vec<_> = wraps()
        .filter_map(|(blob, v)| unwrap_user_key(&keks, kek, user.id, v, blob).ok())
        .collect();
    let data_keys: Vec<_> = user_keys
        .iter()
        .flat_map(|user_key| {
            wraps().filter_map(|(blob, user_key_version)| {
                let ad = DataKeyAd { owner: user.id, key, secret_version, user_key_version };
                unwrap_data_key(user_key, &ad, blob).ok()
            })
        })
        .collect();
    let mut secrets = data_keys.iter().flat_map(|data_key| {
        blobs
            .iter()
            .filter_map(|blob| open_secret(data_key, user.id, key, secret_version, blob).ok())
    });
    secrets.next().map(|secret| secret.expose().to_owned())
}

/// Deletes and replaces secrets, rotates, and attacks with what `recorded` has seen of it all.
async fn attacked(place: Place, mut recorded: impl FnMut() -> Blobs) {
    let mut dice = Dice::new(seed());
    let world = Vaulted::open(&place, &[OLD]).await;
    let mut user = world.register(&mut dice).await.unwrap();
    let deleted = user.clone();
    world.add(&mut user, &mut dice).await.unwrap();
    let replaced = user.clone();
    let bystander = world.register(&mut dice).await.unwrap();
    world.close().await;
    let mut blobs = recorded();

    let world = Vaulted::open(&place, &[OLD]).await;
    world.delete(&deleted).await.unwrap();
    world.replace(&mut user, &mut dice).await.unwrap();
    world.close().await;
    blobs.extend(recorded());

    let opened = place.open().await;
    let rotated = rotation(opened.store(), &[NEW, OLD])
        .run(&|_| {}, &CancellationToken::new())
        .await
        .unwrap();
    opened.close().await;
    blobs.extend(recorded());

    println!("{} blobs", blobs.len());
    let try_with = |master, of: &User| opens(&blobs, master, &user, (of.key, of.secret_version));
    assert_eq!(try_with(NEW, &deleted), None, "the deleted secret opens");
    assert_eq!(try_with(NEW, &replaced), None, "the replaced secret opens");
    // The attack works: it succeeds with the old key, and with the new key on what is kept.
    assert_eq!(try_with(OLD, &deleted), Some(deleted.secret.clone()));
    assert_eq!(try_with(OLD, &replaced), Some(replaced.secret.clone()));
    assert_eq!(try_with(NEW, &user), Some(user.secret.clone()));
    let kept = (bystander.key, bystander.secret_version);
    assert_eq!(opens(&blobs, NEW, &bystander, kept), Some(bystander.secret.clone()));

    assert_eq!(
        (rotated.rewrapped, rotated.rekeyed),
        (1, 1),
        "the bystander's key is the same, the other's is new"
    );
    let world = Vaulted::open(&place, &[NEW]).await;
    world.open_all(&user).await.unwrap();
    if let Opened::MongoDb(store) = &world.opened {
        store.database().drop().await.unwrap();
    }
    world.close().await;
}

/// Every blob of every table.
fn tables(dir: &Path) -> Blobs {
    let db = Connection::open_with_flags(dir.join(DATABASE_FILE), OpenFlags::SQLITE_OPEN_READ_ONLY)
        .unwrap();
    let mut names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let names: Vec<String> =
        names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut blobs = Blobs::new();
    for name in names {
        let mut all = db.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let columns = all.column_count();
        let mut rows = all.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells = (0..columns).map(|column| row.get_ref(column).unwrap());
            blobs.extend(cells.filter_map(|cell| {
                if let ValueRef::Blob(blob) = cell { Some(blob.to_vec()) } else { None }
            }));
        }
    }
    blobs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_ever_written_opens_a_secret_that_was_deleted_before_a_rotation_under_the_new_key() {
    let dir = tempfile::tempdir().unwrap();
    attacked(Place::sqlite(dir.path()), || tables(dir.path())).await;
}

/// All bytes of a command.
fn gather(value: &Bson, into: &mut Blobs) {
    if let Bson::Binary(binary) = value {
        into.insert(binary.bytes.clone());
    } else if let Bson::Document(document) = value {
        document.iter().for_each(|(_, value)| gather(value, into));
    } else if let Bson::Array(items) = value {
        for item in items {
            gather(item, into);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_ever_sent_to_mongodb_opens_a_secret_that_was_deleted_before_a_rotation_under_the_new_key()
 {
    let Some(server) = server().await else { return };
    // Everything in the oplog or a backup was sent in a command, so the commands contain at least
    // as much.
    let sent: Arc<Mutex<Blobs>> = Arc::default();
    let kept = Arc::clone(&sent);
    let monitor = EventHandler::callback(move |event| {
        if let CommandEvent::Started(event) = event {
            gather(&Bson::Document(event.command), &mut kept.lock().unwrap());
        }
    });
    let place = Place::MongoDb(server.uri(&server.database()), Some(monitor));
    attacked(place, || sent.lock().unwrap().clone()).await;
}
