//! History cut off after any of its events, also between two that were appended together: an engine
//! that finds nothing else goes on from there.

use super::evidence::{Calls, check_texts, facts, result, steps};
use super::world::one_of_each;
use crate::harness::dice::number;
use crate::harness::events::append_of;
use crate::harness::person::User;
use crate::harness::process::Duty;
use crate::harness::stores::{Opened, StoreKind, TempPlace};
use crate::harness::world::World;
use claviger::app::key_files::master_keys;
use claviger::keychain::{Evidence, Keychain};
use claviger::simulator::keys::Scenario;
use claviger_domain::id::{KeyId, RunId, UserId};
use claviger_domain::orchestration::Phase;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{
    Append, OPEN_RUNS, RUNS, RowChange, Store, StoredEvent, ViewRow,
};
use claviger_projections::runs::RunSummary;
use std::sync::Arc;
use std::time::Instant;

/// The keys that go with an event: those of its user with the account's first, those of its stream
/// with the stream's first, its secret.
async fn keys(from: &dyn Store, owner: UserId, event: &StoredEvent) -> Vec<RowChange> {
    let (mut rows, stream) = (Vec::new(), event.envelope.stream);
    if event.envelope.version == 1 {
        if stream == StreamName::Account(owner) {
            rows.push(RowChange::PutUserKey(from.user_key(owner).await.unwrap().unwrap()));
            rows.push(RowChange::PutIndexKey(from.index_key(owner).await.unwrap().unwrap()));
        }
        rows.extend(from.content_key(stream).await.unwrap().map(RowChange::PutContentKey));
    }
    if event.envelope.kind == "KeyAdded" {
        rows.extend(
            from.secret(owner, KeyId(event.subject.unwrap()), 1)
                .await
                .unwrap()
                .map(RowChange::PutSecret),
        );
    }
    rows
}

/// The rows by which an engine and a reader find the run.
fn rows(owner: UserId, run: RunId, events: &[StoredEvent]) -> [RowChange; 2] {
    let fold =
        |before, event: &StoredEvent| RunSummary::after(before, &facts(event), event.envelope.at);
    let summary = events.iter().fold(None, fold).unwrap();
    let open = serde_json::to_vec(&summary.open().expect("it hasn't ended")).unwrap();
    let listed = serde_json::to_vec(&summary.facts).unwrap();
    let (stream, sort) = (StreamName::Run(run.0), summary.facts.created_at.0);
    [(OPEN_RUNS, open), (RUNS, listed)].map(|(view, facts)| {
        RowChange::PutView(ViewRow { view, owner, id: run.0, sort, stream, facts, content: None })
    })
}

async fn append(to: &dyn Store, event: &StoredEvent, rows: Vec<RowChange>) {
    to.append(Append { rows, ..append_of(event.clone()) }).await.unwrap();
}

/// Everything of the user, and the first `count` events of the run with the text between them.
async fn copy(
    from: &dyn Store,
    to: &dyn Store,
    (owner, run): (UserId, RunId),
    count: usize,
) -> Vec<StoredEvent> {
    for key in from.store_keys().await.unwrap() {
        to.init_store_key(key).await.unwrap();
    }
    for event in from.read(0, 10_000).await.unwrap() {
        if matches!(event.envelope.stream, StreamName::Account(_) | StreamName::KeyRing(_)) {
            append(to, &event, keys(from, owner, &event).await).await;
        }
    }
    let mut events = from.read_stream(StreamName::Run(run.0), 0, 10_000).await.unwrap();
    events.truncate(count);
    for (n, event) in events.iter().enumerate() {
        let mut with = keys(from, owner, event).await;
        if n + 1 == count {
            with.extend(rows(owner, run, &events));
        }
        append(to, event, with).await;
    }
    let mut text = from.deltas(run, (0, 0), 10_000).await.unwrap();
    text.retain(|row| row.place.v <= count as u64);
    to.flush(text).await.unwrap();
    events
}

/// The run as an engine finishes it that finds only its first events.
async fn finished(
    world: &World,
    (kind, ground, user): (StoreKind, &Opened, &User),
    run: RunId,
    count: usize,
) -> String {
    let place = TempPlace::new(kind).await;
    let fresh = place.place().open().await;
    // Events have a signature at their place in each store.
    let keks = master_keys(&world.config, false, &*world.env.entropy).unwrap();
    let keychain = Keychain::open(ground.store(), keks, world.env.clone()).await.unwrap();
    fresh.store().sign_with(Arc::<Evidence>::clone(keychain.evidence()));
    let prefix = copy(&*ground.store(), &*fresh.store(), (user.id(), run), count).await;
    let before = steps(&prefix);
    let clerk = world.process_over(fresh.store(), Duty::Nothing).await;
    let calls = Calls::of(world.simulator(), &clerk, user).await;
    clerk.stop().await;

    let process = world.process_over(fresh.store(), Duty::Runs).await;
    let detail = process.ended(user, run).await;
    assert_eq!(detail.view.run.phase, Phase::Completed, "{:?}", process.kinds(run).await);
    let calls = Calls::of(world.simulator(), &process, user).await.since(&calls);
    for (step, told) in steps(&process.events(run).await) {
        let known = before.get(&step).cloned().unwrap_or_default();
        let made = calls.for_request(&told.request_hash);
        assert_eq!(
            made,
            u64::from(!known.is_completed),
            "what is done isn't called for, what isn't is once: {told:?}"
        );
        assert_eq!(
            told.interrupted,
            u64::from(known.started == 1 && !known.is_completed),
            "{told:?}"
        );
    }
    check_texts(&process, user, run).await;
    process.stop().await;
    fresh.close().await;
    place.remove().await;
    result(&detail.view.run)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_from_any_of_its_events() {
    for kind in StoreKind::available().await {
        let (began, mut count) = (Instant::now(), 0);
        let world = World::with(*kind, |config| config.lease_ms = 60_000).await;
        let ground = world.open_store().await;
        let process = world.process_over(ground.store(), Duty::Runs).await;
        let user = process.user("ada", Scenario::Good).await;
        let mut runs = Vec::new();
        for (name, draft) in one_of_each() {
            // A database is slow to make: one pattern with all kinds of steps stands for the others
            // there.
            if *kind == StoreKind::Sqlite
                || name == "hierarchical"
                || number("CLAVIGER_TEST_KILLS").is_some()
            {
                let run = process.start_run(&user, draft).await;
                let expected = result(&process.ended(&user, run).await.view.run);
                runs.push((name, run, process.events(run).await.len(), expected));
            }
        }
        process.stop().await;
        for (name, run, events, expected) in runs {
            for cut in 1..events {
                assert_eq!(
                    finished(&world, (*kind, &ground, &user), run, cut).await,
                    expected,
                    "{name} cut after {cut}"
                );
                count += 1;
            }
        }
        println!("{kind:?}: {count} cuts in {:.1} s", began.elapsed().as_secs_f64());
        ground.close().await;
        world.close().await;
    }
}
