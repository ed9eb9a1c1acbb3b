//! What may be appended beside processes of other versions, and what a database requires of the
//! program that opens it.

use super::super::harness::readable;
use super::super::sqlite::append;
use super::harness::MongoHarness;
use crate::harness::mongo::{TestServer, server};
use claviger_domain::actor::{Actor, Via};
use claviger_domain::catalogue::{Readable, Requirement};
use claviger_domain::event::EnvelopeVersion;
use claviger_projections::ports::{Append, AppendError, Log, NewEvent, StoredEvent};
use claviger_proof::leaf_hash;
use claviger_store::mongo::{MongoConfig, MongoStore, OpenError};
use mongodb::bson::{Document, doc};
use std::sync::Arc;
use std::time::Duration;

/// A bound for what would never come.
const PATIENCE: Duration = Duration::from_mins(1);

async fn opened(server: &'static TestServer) -> (MongoHarness, Arc<MongoStore>) {
    let harness = MongoHarness::new(server);
    let store = harness.open().await.unwrap();
    (harness, store)
}

/// The line of a live process, as a program wrote it before processes published what they read.
async fn old_process(store: &MongoStore) {
    let line = doc! { "_id": "old", "label": "process 7 on elsewhere", "lsid": { "id": 1 }, "aside": null, "until": i64::MAX };
    store.database().collection::<Document>("processes").insert_one(line).await.unwrap();
}

async fn old_process_ends(store: &MongoStore) {
    let processes = store.database().collection::<Document>("processes");
    processes.delete_one(doc! { "_id": "old" }).await.unwrap();
}

async fn meta(store: &MongoStore) -> Document {
    let meta = store.database().collection::<Document>("meta");
    meta.find_one(doc! { "_id": "store" }).await.unwrap().unwrap()
}

/// Appends as the operator; the event as it is read back, whose leaf is the one of its version.
async fn appended(store: &MongoStore, n: u64) -> StoredEvent {
    let append = Append { actor: Actor::OPERATOR, ..append(n) };
    let position = store.append(append).await.unwrap().position;
    let event = store.read(position - 1, 1).await.unwrap().remove(0);
    assert_eq!(event.leaf, leaf_hash(&event.envelope, &event.facts, &event.content));
    event
}

fn newer(n: u64) -> Append {
    let append = append(n);
    let event = NewEvent {
        kind: "DefaultSet".to_owned(),
        schema: 7,
        ..append.events.first().unwrap().clone()
    };
    Append { events: vec![event], ..append }
}

fn not_read(requirement: Requirement) -> AppendError {
    AppendError::NotReadByAll { requirement, process: "process 7 on elsewhere".to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envelopes_have_version_1_while_an_old_process_lives_and_version_2_once_it_is_gone() {
    let Some(server) = server().await else { return };
    let (harness, store) = opened(server).await;
    old_process(&store).await;
    let first = appended(&store, 1).await.envelope;
    assert_eq!(first.envelope_version, EnvelopeVersion::V1);
    assert_eq!(first.actor, Actor { credential: None, ..Actor::OPERATOR });
    let events = store.database().collection::<Document>("events");
    let document = events.find_one(doc! { "position": 1 }).await.unwrap().unwrap();
    let new_fields = ["envelope", "actor_credential", "actor_credential_id"];
    assert!(new_fields.iter().all(|field| !document.contains_key(field)), "{document}");
    let before = meta(&store).await;
    assert_eq!(before.get_i64("format").unwrap(), 1, "programs from before open it");
    assert!(!before.contains_key("required"), "{before}");

    old_process_ends(&store).await;
    let second = appended(&store, 2).await.envelope;
    assert_eq!(second.envelope_version, EnvelopeVersion::V2);
    assert_eq!(second.actor, Actor::OPERATOR);
    let after = meta(&store).await;
    assert_eq!(after.get_i64("format").unwrap(), 2, "programs from before refuse it");
    let required = after.get_document("required").unwrap();
    assert_eq!(required, &doc! { "envelope/2": env!("CARGO_PKG_VERSION") });
    assert_eq!(store.read(0, 1).await.unwrap()[0].envelope.envelope_version, EnvelopeVersion::V1);
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_old_process_cannot_read_is_refused_by_name_until_it_is_gone() {
    let Some(server) = server().await else { return };
    let (harness, store) = opened(server).await;
    old_process(&store).await;
    let refused = store.append(newer(1)).await.unwrap_err();
    assert_eq!(refused, not_read(Requirement::event("DefaultSet", 7)));
    let text = "process 7 on elsewhere can't read DefaultSet/7: stop or upgrade that process, then try again; nothing was changed";
    assert_eq!(refused.to_string(), text);
    let console = Append { actor: Actor { via: Via::Console, ..Actor::OPERATOR }, ..append(1) };
    let envelope = Requirement::envelope(EnvelopeVersion::V2);
    assert_eq!(store.append(console.clone()).await, Err(not_read(envelope)));
    assert_eq!(store.head().await.unwrap().position, 0);
    // Others go through, in the same batch as well.
    let (others, refused) = futures::join!(store.append(append(2)), store.append(newer(3)));
    assert_eq!((others.unwrap().position, refused.is_err()), (1, true));

    old_process_ends(&store).await;
    store.append(newer(1)).await.unwrap();
    store
        .append(Append { expected: claviger_projections::ports::Expected::NoStream, ..append(4) })
        .await
        .unwrap();
    let console = Append {
        stream: append(5).stream,
        owner: append(5).owner,
        events: append(5).events,
        ..console
    };
    store.append(console).await.unwrap();
    let required = meta(&store).await;
    let required: Vec<_> = required.get_document("required").unwrap().keys().cloned().collect();
    assert_eq!(required.len(), 2, "{required:?}");
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_publishes_less_is_waited_for_like_one_that_publishes_nothing() {
    let Some(server) = server().await else { return };
    let (harness, store) = opened(server).await;
    let plain = MongoConfig { reads: Arc::new(Readable::current()), ..harness.config() };
    let other = MongoStore::open(&plain).await.unwrap();
    let refused = store.append(newer(1)).await.unwrap_err();
    let requirement = Requirement::event("DefaultSet", 7);
    assert!(
        matches!(&refused, AppendError::NotReadByAll { requirement: found, .. } if *found == requirement),
        "{refused}"
    );
    assert_eq!(appended(&store, 1).await.envelope.envelope_version, EnvelopeVersion::V2);
    other.close().await;
    store.append(newer(2)).await.unwrap();
    let refused = MongoStore::open(&plain).await.err().unwrap();
    assert!(
        matches!(&refused, OpenError::Requires { requirement: found, .. } if *found == requirement)
    );
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_requires_more_than_this_program_reads_is_refused_with_the_version_it_needs()
 {
    let Some(server) = server().await else { return };
    let (harness, store) = opened(server).await;
    let raise = doc! { "$set": { "required.envelope/3": "9.1.0", "format": 2_i64 } };
    let metas = store.database().collection::<Document>("meta");
    metas.update_one(doc! { "_id": "store" }, raise).await.unwrap();
    let processes = store.database().collection::<Document>("processes");
    let before = processes.count_documents(doc! {}).await.unwrap();
    let refused = MongoStore::open(&harness.config()).await.err().unwrap().to_string();
    let text = "holds events that this program can't read (envelope/3): start Claviger 9.1.0 or a newer version";
    assert!(refused.contains(text), "{refused}");
    assert_eq!(
        processes.count_documents(doc! {}).await.unwrap(),
        before,
        "it left its line behind"
    );
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_process_that_slipped_in_closes_the_gate_again() {
    let Some(server) = server().await else { return };
    let harness = MongoHarness::new(server);
    let config =
        MongoConfig { lease: Duration::from_secs(1), reads: readable(), ..harness.config() };
    let store = MongoStore::open(&config).await.unwrap();
    assert_eq!(appended(&store, 1).await.envelope.envelope_version, EnvelopeVersion::V2);
    old_process(&store).await;
    let closes = async {
        for n in 2.. {
            if appended(&store, n).await.envelope.envelope_version == EnvelopeVersion::V1 {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, closes).await.unwrap();
    store.database().drop().await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_costs_an_append_no_question() {
    let Some(server) = server().await else { return };
    let (harness, store) = opened(server).await;
    appended(&store, 1).await;
    // A line that would close the gate if anybody looked: only the renewal of the lease does.
    old_process(&store).await;
    assert_eq!(appended(&store, 2).await.envelope.envelope_version, EnvelopeVersion::V2);
    harness.finish().await;
}
