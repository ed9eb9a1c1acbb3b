//! Reading the log and its streams.

use claviger_projections::ports::{ClaimKind, KEYS};
use crate::build::{Maker, command, key, session, tag, user, uuid};
use crate::case::{cases, ensure, equal};
use crate::check::ALL;
use claviger_domain::id::EventId;
use claviger_domain::stream::StreamName;

cases! {
    async fn the_log_is_read_in_pages(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        for n in 0..4 {
            store.append(make.append(user(n), 0, 3)).await?;
        }
        let whole = store.read(0, ALL).await?;
        for limit in [1, 2, 5, 12, 13] {
            let mut pages = Vec::new();
            while let Some(page) = Some(store.read(pages.len() as u64, limit).await?).filter(|page| !page.is_empty()) {
                ensure!(page.len() <= limit, "a page of {} for a limit of {limit}", page.len());
                pages.extend(page);
            }
            ensure!(pages == whole, "pages of {limit} don't make up the log");
        }
    }

    async fn a_page_of_the_log_begins_after_its_cursor(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(1), 0, 5)).await?;
        for (after, limit, expected) in [(0, 2, vec![1, 2]), (2, 2, vec![3, 4]), (4, 9, vec![5]), (5, 9, vec![]), (3, 0, vec![])]
        {
            let found: Vec<_> = store.read(after, limit).await?.iter().map(|event| event.envelope.position).collect();
            equal!(found, expected, "positions after {after}, at most {limit}");
        }
        for after in [6, 1_000_000, u64::MAX] {
            equal!(store.read(after, 9).await?.len(), 0, "events after {after}");
        }
        equal!(store.read(1, usize::MAX).await?.len(), 4, "events without a limit");
    }

    async fn a_stream_is_read_in_pages(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        for version in 0..6 {
            store.append(make.append(user(1), version, 1)).await?;
            store.append(make.append(user(2), version * 2, 2)).await?;
        }
        let stream = StreamName::KeyRing(user(1));
        for (after, limit, expected) in [
            (0, 100, vec![1, 2, 3, 4, 5, 6]),
            (0, 2, vec![1, 2]),
            (2, 3, vec![3, 4, 5]),
            (5, 9, vec![6]),
            (6, 9, vec![]),
            (u64::MAX, 9, vec![]),
        ] {
            let found = store.read_stream(stream, after, limit).await?;
            let versions: Vec<_> = found.iter().map(|event| event.envelope.version).collect();
            equal!(versions, expected, "versions after {after}, at most {limit}");
            ensure!(found.iter().all(|event| event.envelope.stream == stream), "an event of another stream");
        }
        equal!(store.read_stream(stream, 0, usize::MAX).await?.len(), 6, "events without a limit");
    }

    async fn an_event_is_found_by_its_id(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(1), 0, 3)).await?;
        for event in store.read(0, ALL).await? {
            ensure!(
                store.event(event.envelope.id).await?.as_ref() == Some(&event),
                "another event than position {}",
                event.envelope.position
            );
        }
    }

    async fn what_is_not_there_is_nothing(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(1), 0, 1)).await?;
        equal!(store.event(EventId(uuid(404))).await?, None, "an event");
        equal!(store.read_stream(StreamName::System, 0, 9).await?.len(), 0, "a stream");
        equal!(store.read_stream(StreamName::Account(user(1)), 0, 9).await?.len(), 0, "another stream of the owner");
        equal!(store.command_record(command(1)).await?, None, "a record");
        equal!(store.claim(ClaimKind::Email, [1; 32]).await?, None, "a claim");
        equal!(store.user_key(user(1)).await?, None, "a user key");
        equal!(store.index_key(user(1)).await?, None, "an index key");
        equal!(store.content_key(StreamName::KeyRing(user(1))).await?, None, "a content key");
        equal!(store.secret(user(1), key(1), 1).await?, None, "a secret");
        equal!(store.credential(user(1)).await?, None, "a credential");
        equal!(store.session(session(user(1), 1, crate::build::NOW).id).await?, None, "a session");
        equal!(store.row(KEYS, user(1), key(1).0).await?, None, "a row of a view");
        equal!(store.default_key(user(1), tag(1)).await?, None, "a default");
    }
}
