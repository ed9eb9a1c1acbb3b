//! Runs, their credentials and their bound.

use super::gate::{Stage, Then, account, code, context_of, give, secret, start_by};
use crate::harness::environment::{TestClock, by};
use crate::harness::person::api_key;
use crate::harness::process::{Duty, Process};
use crate::harness::runs::line;
use crate::harness::stores::{StoreKind, TempPlace};
use crate::harness::world::World;
use claviger::bus::RunSettings;
use claviger::credentials::Sharing;
use claviger::simulator::keys::{Scenario, key};
use claviger_application::{CommandContext, KeyCommand, Principal};
use claviger_domain::account::{EraseAccount, GrantRole, RevokeRole};
use claviger_domain::actor::{Actor, Role};
use claviger_domain::code::ErrorCode;
use claviger_domain::event::Payload as _;
use claviger_domain::id::{KeyId, RunId};
use claviger_domain::orchestration::{PauseReason, Phase, RunEvent};
use claviger_domain::text::KeyName;
use claviger_projections::ports::{KEYS, OPEN_RUNS, Page};
use futures::future::join_all;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_run_is_requested_on_the_roles_and_the_keys_that_there_are_then() {
    let mut world = World::open(StoreKind::Sqlite).await;
    world.config.env_keys_for = Sharing::Admins;
    world.config.anthropic_api_key = Some(secret(&key(Scenario::Good, 9)));
    let stage = Stage::over(world, Duty::Nothing, 0).await;
    let ada = stage.other.newcomer("ada").await;
    let admin = Role::Admin;
    // The last administrator could not be removed.
    let root = stage.other.newcomer("root").await;
    for user in [root.id(), ada.id()] {
        account(&stage.other, user, GrantRole { role: admin }.into()).await;
    }
    let roles = BTreeSet::from([Role::User, admin]);
    let as_admin = Principal { roles, ..ada.principal.clone() };
    start_by(&stage.other, &as_admin).await.unwrap();
    let late = stage.meanwhile(
        ("RunRequested", Then::Append),
        start_by(&stage.gated, &as_admin),
        account(&stage.other, ada.id(), RevokeRole { role: admin }.into()),
    );
    assert_eq!(
        code(Box::pin(late).await),
        Some(ErrorCode::NoCredential),
        "of a former administrator"
    );
    let work = ada.add_key(&stage.other, "work", &key(Scenario::Good, 1)).await;
    let off = KeyCommand::Deactivate { key: work, expected: None };
    let late = stage.meanwhile(
        ("RunRequested", Then::Append),
        start_by(&stage.gated, &ada.principal),
        async { give(&stage.other, &ada.principal, off).await.unwrap() },
    );
    assert_eq!(code(Box::pin(late).await), Some(ErrorCode::NoCredential), "with a key that is off");
    stage.close().await;
}

#[tokio::test]
async fn no_row_of_an_erased_user_comes_back() {
    let stage = Stage::open(StoreKind::Sqlite, Duty::Nothing).await;
    let ada = stage.other.newcomer("ada").await;
    let work = ada.add_key(&stage.other, "work", &key(Scenario::Good, 1)).await;
    let name = KeyName::parse("other").unwrap();
    let rename = KeyCommand::Rename { key: work, name, expected: None };
    let by_operator = CommandContext { actor: Actor::OPERATOR, ..context_of(&ada.principal) };
    let late = stage.meanwhile(
        ("KeyRenamed", Then::Append),
        async { stage.gated.ports.keys.run(by_operator, rename).await },
        account(&stage.other, ada.id(), EraseAccount.into()),
    );
    assert_eq!(code(Box::pin(late).await), Some(ErrorCode::NotFound));
    assert_eq!(stage.ground.store().row(KEYS, ada.id(), work.0).await.unwrap(), None);
    stage.close().await;
}

/// Attempts that a run's history has, by the version of their secret.
async fn attempts(process: &Process, run: RunId) -> Vec<Option<u32>> {
    let events = process.events(run).await.into_iter();
    events
        .filter_map(|stored| {
            let (kind, schema) = (&stored.envelope.kind, stored.envelope.schema);
            let event = RunEvent::decode(kind, schema, &stored.facts, None).unwrap();
            let RunEvent::StepAttemptStarted(facts) = event else { return None };
            Some(facts.credential.secret_version)
        })
        .collect()
}

/// What happens to a key between the decision to call and the call.
#[derive(Clone, Copy, Debug)]
enum Change {
    Deactivate,
    Delete,
    Replace,
    Rename,
    Expire,
}

/// A run of one step whose attempt is decided, and its key changed before the event is appended, or
/// before the answer to that comes.
async fn changed(stage: &Stage, clock: &TestClock, change: Change, then: Then) {
    let name = format!("ada{}", stage.position().await);
    let ada = stage.other.newcomer(&name).await;
    let (first, second) = (key(Scenario::Good, 1), key(Scenario::Good, 2));
    let counts = stage.world.simulator().counts();
    let before = [counts.of_key(&first), counts.of_key(&second)];
    let work = ada.add_key(&stage.other, "work", &first).await;
    let soon = Some(clock.now().plus_ms(3_600_000));
    let expiry = KeyCommand::SetExpiry { key: work, expires_at: soon, expected: None };
    give(&stage.other, &ada.principal, expiry).await.unwrap();
    let run = async { stage.gated.start_run(&ada, line("a task", ["Ann"])).await };
    let changing = async {
        match command_of(change, work) {
            Some(command) => give(&stage.other, &ada.principal, command).await.unwrap(),
            None => clock.advance_ms(7_200_000),
        }
    };
    let run = stage.meanwhile(("StepAttemptStarted", then), run, changing).await;
    let at = format!("{change:?}");
    let goes_on = matches!(change, Change::Replace | Change::Rename);
    let detail = if goes_on {
        stage.gated.ended(&ada, run).await
    } else {
        stage.gated.paused(&ada, run).await
    };
    let phase = if goes_on { Phase::Completed } else { Phase::Paused(PauseReason::KeyUnavailable) };
    assert_eq!(detail.view.run.phase, phase, "{at}");
    let made = [counts.of_key(&first) - before[0], counts.of_key(&second) - before[1]];
    let announced = attempts(&stage.other, run).await;
    let is_announced = matches!(then, Then::Answer);
    let expected = match change {
        Change::Replace if is_announced => (vec![Some(1), Some(2)], [0, 1]),
        Change::Replace => (vec![Some(2)], [0, 1]),
        Change::Rename => (vec![Some(1)], [1, 0]),
        Change::Deactivate | Change::Delete | Change::Expire if is_announced => {
            (vec![Some(1)], [0, 0])
        }
        Change::Deactivate | Change::Delete | Change::Expire => (Vec::new(), [0, 0]),
    };
    assert_eq!((announced, made), expected, "{at}");
}

fn command_of(change: Change, key: KeyId) -> Option<KeyCommand> {
    let (expected, secret) = (None, api_key(&self::key(Scenario::Good, 2)));
    Some(match change {
        Change::Deactivate => KeyCommand::Deactivate { key, expected },
        Change::Delete => KeyCommand::Delete { key, expected },
        Change::Replace => KeyCommand::ReplaceSecret { key, secret, expected },
        Change::Rename => {
            KeyCommand::Rename { key, name: KeyName::parse("other").unwrap(), expected }
        }
        Change::Expire => return None,
    })
}

#[tokio::test]
async fn no_call_is_announced_or_made_with_a_key_that_was_withdrawn_before() {
    for kind in StoreKind::available().await {
        let clock = TestClock::running();
        let world = World::at(TempPlace::new(*kind).await, by(&clock), |simulator| simulator).await;
        let stage = Stage::over(world, Duty::Runs, 0).await;
        for (change, then) in [
            (Change::Deactivate, Then::Append),
            (Change::Deactivate, Then::Fail),
            (Change::Deactivate, Then::Answer),
            (Change::Delete, Then::Append),
            (Change::Replace, Then::Append),
            (Change::Replace, Then::Answer),
            (Change::Rename, Then::Append),
            (Change::Expire, Then::Fail),
            (Change::Expire, Then::Answer),
        ] {
            changed(&stage, &clock, change, then).await;
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn runs_that_start_at_once_fill_the_bound_of_their_user_exactly() {
    const LEFT: u64 = 3;
    const AT_ONCE: usize = 8;
    let more = RunSettings::new("").max_open - LEFT;
    for kind in StoreKind::available().await {
        let stage = Stage::over(World::open(*kind).await, Duty::Nothing, more).await;
        let ada = stage.other.newcomer("ada").await;
        ada.add_key(&stage.other, "work", &key(Scenario::Good, 1)).await;
        // All of them are decided on the same number of open runs.
        stage.gate.hold("RunRequested", AT_ONCE, Then::Append);
        let starts = join_all((0..AT_ONCE).map(|_| start_by(&stage.gated, &ada.principal)));
        let released = async {
            stage.gate.holds(AT_ONCE).await;
            stage.gate.release();
        };
        let (done, ()) = tokio::join!(starts, released);
        let refused: Vec<_> = done.into_iter().filter_map(code).collect();
        let over = AT_ONCE - usize::try_from(LEFT).unwrap();
        assert_eq!(refused, vec![ErrorCode::LimitExceeded; over], "{kind:?}");
        let page = stage.ground.store().page(OPEN_RUNS, ada.id(), Page::default()).await.unwrap();
        assert_eq!(page.total, LEFT);
        stage.close().await;
    }
}
