//! The effects of a successful append.

use claviger_domain::actor::{ActingCredential, Actor, Role, Via};
use claviger_domain::catalogue::Requirement;
use claviger_domain::event::EnvelopeVersion;
use claviger_domain::id::{ApiTokenId, CorrelationId, EventId, SessionId};
use claviger_projections::ports::{Append, AppendError, Expected, Head, KEYS, Log, NewEvent, Page, SignEvents};
use std::sync::Arc;
use crate::build::{Maker, NOW, command, key, user, uuid};
use crate::case::{cases, ensure, equal};
use crate::check::{ALL, proven_log, root, whole_log};

use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;

/// Signs a leaf with the leaf.
struct Itself;

impl SignEvents for Itself {
    fn sign(&self, leaf: &[u8; 32], before: &[u8; 32]) -> [u8; 64] {
        let mut signature = [0; 64];
        let (root, rest) = signature.split_at_mut(32);
        root.copy_from_slice(before);
        rest.copy_from_slice(leaf);
        signature
    }
}

cases! {
    async fn an_empty_store_has_nothing(harness) {
        let store = harness.fresh().await?;
        equal!(store.head().await?, Head::default(), "the head");
        equal!(store.read(0, ALL).await?.len(), 0, "events");
        equal!(*store.watch().borrow(), 0, "the position watched");
        equal!(store.store_keys().await?.len(), 0, "store keys");
        equal!(store.page(KEYS, user(1), Page { limit: 10, ..Page::default() }).await?.total, 0, "rows of a view");
        equal!(store.owners(KEYS, None, 10).await?.len(), 0, "owners");
        equal!(store.count_secrets().await?, 0, "secrets");
    }

    async fn every_event_is_signed_once_something_signs(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(1), 0, 1)).await?;
        store.sign_with(Arc::new(Itself));
        store.append(make.append(user(1), 1, 2)).await?;
        store.append(make.append(user(1), 3, 1)).await?;
        let mut leaves = Vec::new();
        for event in whole_log(store.as_ref()).await? {
            let before = root(harness, &leaves);
            let signed = (event.envelope.position > 1).then(|| Itself.sign(&event.leaf, &before));
            equal!(event.signature, signed, "the signature");
            leaves.push(event.leaf);
        }
    }

    async fn positions_are_dense_and_versions_count_up(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let mut position = 0;
        for round in 0..3 {
            for n in 0..4 {
                let appended = store.append(make.append(user(n), round * 2, 2)).await?;
                let placed: Vec<_> = appended.placed.iter().map(|placed| (placed.position, placed.version)).collect();
                let (first, version) = (position + 1, round * 2 + 1);
                equal!(placed, [(first, version), (first + 1, version + 1)], "where events were placed");
                equal!((appended.position, appended.version), (first + 1, version + 1), "where the append ends");
                position += 2;
            }
        }
        equal!(whole_log(store.as_ref()).await?.len(), 24, "events");
    }

    async fn what_was_placed_is_what_is_read(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let append = make.append(user(1), 0, 5);
        let ids: Vec<EventId> = append.events.iter().map(|event| event.id).collect();
        let appended = store.append(append).await?;
        let log = store.read(0, ALL).await?;
        let read: Vec<_> = log.iter().map(|e| (e.envelope.id, e.envelope.position, e.envelope.version, e.envelope.at)).collect();
        let placed: Vec<_> = appended.placed.iter().map(|p| (p.id, p.position, p.version, p.at)).collect();
        equal!(read, placed, "events read");
        equal!(read.iter().map(|event| event.0).collect::<Vec<_>>(), ids, "ids in the append's order");
    }

    async fn every_field_of_an_event_comes_back(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let credential = Some(ActingCredential::Session(SessionId(uuid(13))));
        let actor = Actor { user: Some(user(9)), role: Some(Role::Admin), via: Via::Rest, credential };
        let event = NewEvent { kind: "DefaultSet".to_owned(), schema: 7, subject: Some(key(3).0), ..make.event() };
        let append = Append {
            events: vec![event.clone()],
            actor,
            command_id: command(3),
            correlation_id: CorrelationId(uuid(11)),
            causation_id: Some(EventId(uuid(12))),
            ..make.append(user(1), 0, 0)
        };
        store.append(append).await?;
        let found = store.read(0, 1).await?.pop().ok_or(crate::Failure("no event".to_owned()))?;
        let envelope = found.envelope;
        equal!((envelope.stream, envelope.owner), (StreamName::KeyRing(user(1)), Some(user(1))), "stream and owner");
        equal!((envelope.id, envelope.kind.as_str(), envelope.schema), (event.id, "DefaultSet", 7), "id, type and schema");
        equal!(envelope.actor, actor, "the actor");
        equal!(envelope.envelope_version, EnvelopeVersion::NEWEST, "the envelope's version");
        equal!(envelope.command_id, command(3), "the command");
        equal!(envelope.correlation_id, CorrelationId(uuid(11)), "the correlation");
        equal!(envelope.causation_id, Some(EventId(uuid(12))), "the cause");
        equal!(found.subject, Some(key(3).0), "the subject");
        equal!(envelope.at, NOW, "the time");
    }

    async fn every_credential_and_face_comes_back_and_is_part_of_the_leaf(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let credentials = [
            None,
            Some(ActingCredential::Session(SessionId(uuid(21)))),
            Some(ActingCredential::ApiToken(ApiTokenId(uuid(22)))),
            Some(ActingCredential::Operator),
            Some(ActingCredential::Timer),
        ];
        let actors = credentials.into_iter().flat_map(|credential| {
            Via::ALL.iter().map(move |via| Actor { user: Some(user(1)), role: None, via: *via, credential })
        });
        let actors: Vec<_> = actors.collect();
        for (version, actor) in (0_u64..).zip(&actors) {
            store.append(Append { actor: *actor, ..make.append(user(1), version, 1) }).await?;
        }
        let log = proven_log(harness, store.as_ref()).await?;
        equal!(log.iter().map(|event| event.envelope.actor).collect::<Vec<_>>(), actors, "the actors");
        let store = harness.reopen().await?;
        let again = proven_log(harness, store.as_ref()).await?;
        equal!(again, log, "the log after the store was opened again");
    }

    async fn an_event_that_this_process_cannot_read_is_refused(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(1), 0, 1)).await?;
        let unknown = NewEvent { kind: "KeyPolished".to_owned(), ..make.event() };
        let append = Append { events: vec![make.event(), unknown], ..make.append(user(1), 1, 0) };
        let refused = store.append(append).await;
        let requirement = Requirement::event("KeyPolished", 1);
        let named = matches!(&refused, Err(AppendError::NotReadByAll { requirement: found, .. }) if *found == requirement);
        ensure!(named, "an unknown type: {refused:?}");
        store.append(make.append(user(1), 1, 1)).await?;
        equal!(proven_log(harness, store.as_ref()).await?.len(), 2, "events");
    }

    async fn an_event_of_the_installation_has_no_owner(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let actor = Actor::SYSTEM;
        let append = Append { stream: StreamName::System, owner: None, actor, ..make.append(user(1), 0, 1) };
        store.append(append.clone()).await?;
        let events = vec![make.event()];
        store.append(Append { expected: Expected::Exact(1), events, ..append }).await?;
        for event in proven_log(harness, store.as_ref()).await? {
            equal!((event.envelope.owner, event.envelope.actor), (None, actor), "owner and actor");
        }
    }

    async fn facts_come_back_byte_for_byte(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let texts =
            ["{}", "{ \"b\":1,\n\"a\" : 18446744073709551615 }", "{\"\\u00e9\":\"\u{e9}\u{0301} \u{1f511}\",\"a\":1,\"a\":2}"];
        let events: Vec<_> = texts.iter().map(|text| NewEvent { facts: text.as_bytes().to_vec(), ..make.event() }).collect();
        store.append(Append { events, ..make.append(user(1), 0, 0) }).await?;
        let found: Vec<_> = proven_log(harness, store.as_ref()).await?.into_iter().map(|event| event.facts).collect();
        equal!(found, texts.map(|text| text.as_bytes().to_vec()), "facts");
    }

    async fn content_comes_back_byte_for_byte(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let piece = |len: usize, from: u8| (0..len).map(|n| from.wrapping_add(n.to_le_bytes()[0])).collect::<Vec<u8>>();
        let contents = [
            vec![],
            vec![piece(1, 0)],
            vec![piece(73, 0xff)],
            vec![piece(262_217, 3)],
            vec![piece(262_217, 1), piece(262_217, 2), piece(80, 3)],
            (0..40).map(|n| piece(100, n)).collect(),
        ];
        let events: Vec<_> = contents.iter().map(|content| NewEvent { content: content.clone(), ..make.event() }).collect();
        store.append(Append { events, ..make.append(user(1), 0, 0) }).await?;
        let log = proven_log(harness, store.as_ref()).await?;
        ensure!(log.iter().map(|event| &event.content).eq(&contents), "content is not what was appended");
        let stream = store.read_stream(StreamName::KeyRing(user(1)), 4, 1).await?;
        ensure!(stream.iter().map(|event| &event.content).eq(contents.iter().skip(4).take(1)), "content read by stream differs");
    }

    async fn time_never_goes_back(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        for (n, (given, expected)) in (0_u64..).zip([(500, 500), (400, 500), (500, 500), (501, 501), (0, 501), (900, 900)]) {
            let append = Append { at: Timestamp(given), ..make.append(user(n), 0, 2) };
            let appended = store.append(append).await?;
            ensure!(
                appended.placed.iter().all(|placed| placed.at == Timestamp(expected)),
                "a command of {given} is not at {expected}"
            );
        }
        whole_log(store.as_ref()).await?;
        equal!(store.head().await?.at, Timestamp(900), "the head's time");
    }

    async fn leaves_and_frontier_prove_the_log_at_every_size(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        for n in 0..9 {
            store.append(make.append(user(n), 0, 1 + usize::try_from(n % 3).unwrap_or(0))).await?;
            proven_log(harness, store.as_ref()).await?;
        }
    }

    async fn whoever_reads_after_an_answer_sees_the_append(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        for n in 0..20 {
            let append = make.append(user(n), 0, 1);
            let id = append.events.first().map(|event| event.id);
            let appended = store.append(append).await?;
            equal!(store.head().await?.position, appended.position, "the head after append {n}");
            let last = store.read(appended.position - 1, 10).await?;
            equal!(last.first().map(|event| event.envelope.id), id, "the event after append {n}");
        }
    }

    async fn the_watch_reaches_every_position(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let mut watch = Log::watch(store.as_ref());
        let appended = store.append(make.append(user(1), 0, 3)).await?;
        let reached = watch.wait_for(|position| *position >= appended.position).await.is_ok();
        ensure!(reached, "the watch ended before the position was reached");
        equal!(store.read(0, ALL).await?.len(), 3, "events once the watch is there");
    }

    async fn many_owners_share_one_order(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let appends = (0..300).map(|n| store.append(make.append(user(n), 0, 2)));
        for answer in futures::future::join_all(appends).await {
            answer?;
        }
        equal!(proven_log(harness, store.as_ref()).await?.len(), 600, "events");
        for n in [0, 150, 299] {
            equal!(store.read_stream(StreamName::KeyRing(user(n)), 0, ALL).await?.len(), 2, "events of owner {n}");
        }
    }
}
