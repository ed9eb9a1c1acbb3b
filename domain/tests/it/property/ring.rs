//! A key ring under random commands.

use super::commands::{Expected, START, Step, What, step};
use super::settings;
use crate::given::{fold, key, tag};
use claviger_domain::event::Payload as _;
use claviger_domain::key_ring::{KeyRing, KeyRingError, KeyRingEvent};
use claviger_domain::timestamp::Timestamp;
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A ring, all its events, and the clock.
struct World {
    ring: KeyRing,
    events: Vec<KeyRingEvent>,
    now: Timestamp,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { ring: KeyRing::default(), events: Vec::new(), now: START, runtime }
    }

    /// Gives the command; answers what it led to.
    fn take(&mut self, step: Step) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        self.now = self.now.plus_ms(step.wait_ms);
        let command = step.command(&self.ring, self.now);
        let sink = EventSink::default();
        self.runtime.block_on(self.ring.handle(command, &(), &sink))?;
        let events = self.runtime.block_on(sink.collect());
        self.events.extend(events.iter().cloned());
        Ok(events)
    }
}

fn check_state(world: &World) {
    let ring = &world.ring;
    assert_eq!(ring.version, world.events.len() as u64, "version counts the events");
    assert_eq!(&fold::<KeyRing>(world.events.clone()), ring, "folding afresh gives the state");
    for (context, id) in &ring.defaults {
        let key = ring.keys.get(id).unwrap_or_else(|| panic!("default of {context} is deleted"));
        assert!(key.is_active, "default of {context} is inactive");
        assert!(!key.expiry_recorded, "default of {context} was recorded as expired");
    }
    for (id, key) in &ring.keys {
        assert!((1..=ring.version).contains(&key.version), "{id} is at version {}", key.version);
        assert_eq!(ring.holder_of(&key.fingerprint), Some(*id), "two keys share a secret");
        assert!(!key.expiry_recorded || key.is_expired(world.now));
    }
    assert!(ring.keys.len() <= 4, "more keys than allowed");
}

/// Read off the events alone, by other means than the fold: who is the default of which context.
fn defaults_by_log(events: &[KeyRingEvent]) -> BTreeSet<(String, String)> {
    let mut pairs = BTreeSet::new();
    for event in events {
        match event {
            KeyRingEvent::DefaultSet(facts, _) => {
                let tag = facts.context_tag.to_string();
                let held: Vec<_> =
                    pairs.iter().filter(|(context, _)| *context == tag).cloned().collect();
                let previous = facts.previous.map(|key| (tag.clone(), key.to_string()));
                assert_eq!(
                    held,
                    Vec::from_iter(previous.clone()),
                    "previous is who held the context"
                );
                if let Some(previous) = previous {
                    pairs.remove(&previous);
                }
                pairs.insert((tag, facts.key.to_string()));
            }
            KeyRingEvent::DefaultCleared(facts, _) => {
                assert!(
                    pairs.remove(&(facts.context_tag.to_string(), facts.key.to_string())),
                    "cleared what was not set"
                );
            }
            KeyRingEvent::KeyAdded(..)
            | KeyRingEvent::KeyRenamed(..)
            | KeyRingEvent::KeyTestStarted(_)
            | KeyRingEvent::KeyTested(..)
            | KeyRingEvent::KeyActivated(_)
            | KeyRingEvent::KeyDeactivated(_)
            | KeyRingEvent::KeySecretReplaced(..)
            | KeyRingEvent::KeyExpirySet(_)
            | KeyRingEvent::KeyExpired(_)
            | KeyRingEvent::KeyDeleted(_) => {}
        }
    }
    pairs
}

/// Nothing is promoted: a context gets another default only by a command that names the context and
/// the key.
fn check_promotion(before: &KeyRing, after: &KeyRing, step: Step) {
    for (context, id) in &after.defaults {
        if before.defaults.get(context) != Some(id) {
            assert!(
                matches!(step.what, What::SetDefault | What::Add { .. }),
                "promoted by {step:?}"
            );
            assert_eq!((*context, *id), (tag(step.context), key(step.key)), "promoted by {step:?}");
        }
    }
}

/// A key keeps its version unless something that the version covers changed; then it has the
/// newest.
fn check_versions(before: &KeyRing, after: &KeyRing, step: Step) {
    let is_test = matches!(step.what, What::StartTest | What::FinishTest);
    for (id, key) in &after.keys {
        let Some(old) = before.keys.get(id) else { continue };
        assert!(!is_test || key.version == old.version, "{id} was raised by a test");
        let defaults = |ring: &KeyRing| ring.default_tags(*id).collect::<Vec<_>>();
        let same =
            (old.is_active, old.secret_version, old.fingerprint, old.expires_at, defaults(before))
                == (
                    key.is_active,
                    key.secret_version,
                    key.fingerprint,
                    key.expires_at,
                    defaults(after),
                );
        assert!(
            same || key.version > before.version,
            "{id} changed, but stayed at version {}",
            key.version
        );
        assert!(
            key.version == old.version || key.version > before.version,
            "{id} went back or sideways"
        );
    }
}

fn check_step(world: &mut World, step: Step) {
    let before = world.ring.clone();
    match world.take(step) {
        Err(error) => {
            assert_eq!(world.ring, before, "refused by {error}, yet changed");
            let stale = matches!(
                error,
                KeyRingError::VersionMismatch { .. } | KeyRingError::NoDefaultToCompare { .. }
            );
            assert!(
                !stale || !matches!(step.expected, Expected::Nothing),
                "{error} without an expected version"
            );
        }
        Ok(events) if events.is_empty() => assert_eq!(world.ring, before),
        Ok(_) => assert!(world.ring.version > before.version),
    }
    check_state(world);
    check_promotion(&before, &world.ring, step);
    check_versions(&before, &world.ring, step);
}

fn pairs(ring: &KeyRing) -> BTreeSet<(String, String)> {
    ring.defaults.iter().map(|(context, key)| (context.to_string(), key.to_string())).collect()
}

proptest! {
    #![proptest_config(settings(400))]

    #[test]
    fn rules_of_the_ring_hold_after_every_command(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            check_step(&mut world, step);
        }
        prop_assert_eq!(defaults_by_log(&world.events), pairs(&world.ring));
    }

    #[test]
    fn once_expiries_are_recorded_no_expired_key_is_a_default(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            let _ = world.take(step);
        }
        let timer = |n| Step { what: What::RecordExpiry, key: n, context: 1, test: 1, print: 1, expected: Expected::Nothing, wait_ms: 0 };
        for n in 1..=5 {
            world.take(timer(n)).unwrap();
            prop_assert!(world.take(timer(n)).unwrap().is_empty(), "recorded twice");
        }
        for id in world.ring.defaults.values() {
            prop_assert!(!world.ring.keys[id].is_expired(world.now));
        }
    }
}

/// Properties mean nothing where the interesting never happens: counts what random commands reach.
#[test]
fn random_commands_reach_every_event_type() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::new(settings(1));
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        let steps = proptest::collection::vec(step(), 60).new_tree(&mut runner).unwrap().current();
        let mut world = World::new();
        for step in steps {
            let _ = world.take(step);
        }
        seen.extend(world.events.iter().map(cqrs_es::DomainEvent::event_type));
    }
    assert_eq!(seen, KeyRingEvent::CURRENT.iter().map(|(kind, _)| (*kind).to_owned()).collect());
}
