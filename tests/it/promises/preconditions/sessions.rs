//! Sign-ins, changes of a password, and requests of sessions that have ended.

use super::gate::revoke_others;
use super::gate::{Stage, Then, account, change, code, context_of, give, info, login, start_by};
use crate::harness::client::Client;
use crate::harness::dice::number;
use crate::harness::environment::fresh;
use crate::harness::person::{add, password};
use crate::harness::process::Duty;
use crate::harness::runs::line;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::keys::{Scenario, key};
use claviger_application::{ForeignToken, KeyCommand, Principal, RunCommand};
use claviger_domain::account::{Identity, RegisterExternal, SignIn, SignOut, Verified};
use claviger_domain::actor::Role;
use claviger_domain::code::ErrorCode;
use claviger_domain::id::{SessionId, UserId};
use claviger_domain::key_test::KeyTestLevel;
use claviger_domain::orchestration::ControlRequest;
use claviger_domain::text::Username;
use claviger_domain::timestamp::Timestamp;
use futures::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_sign_in_that_verified_the_old_password_does_not_survive_the_change() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind, Duty::Nothing).await;
        let ada = stage.other.newcomer("ada").await;
        let (old, new) = (password("ada"), "the new password".to_owned());
        let race = async |owner: &Principal, to: &str| {
            let thief = login(&stage.gated, "ada", &old);
            let changing = async { change(&stage.other, owner, &old, to).await.unwrap() };
            stage.meanwhile(("SignedIn", Then::Append), thief, changing).await
        };
        // Changed to the same one, it is right when it is verified again.
        assert_eq!(code(race(&ada.principal, &old).await), None);
        let sessions = async || stage.ground.store().sessions(ada.id()).await.unwrap().len();
        assert_eq!(sessions().await, 2);
        let owner = login(&stage.other, "ada", &old).await.unwrap().principal;
        assert_eq!(code(race(&owner, &new).await), Some(ErrorCode::Unauthenticated));
        assert_eq!(sessions().await, 1, "only the one that changed the password");
        stage.close().await;
    }
}

#[tokio::test]
async fn of_two_racing_password_changes_exactly_one_wins() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind, Duty::Nothing).await;
        stage.other.newcomer("ada").await;
        let old = password("ada");
        let owner = login(&stage.other, "ada", &old).await.unwrap().principal;
        let thief = login(&stage.gated, "ada", &old).await.unwrap().principal;
        let second = stage.meanwhile(
            ("PasswordChanged", Then::Append),
            change(&stage.gated, &thief, &old, "of the thief"),
            async { change(&stage.other, &owner, &old, "of the owner").await.unwrap() },
        );
        assert_eq!(code(second.await), Some(ErrorCode::Unauthenticated));
        assert!(login(&stage.other, "ada", "of the thief").await.is_err());
        let one = login(&stage.other, "ada", "of the owner").await.unwrap().principal;
        let two = login(&stage.other, "ada", "of the owner").await.unwrap().principal;
        // In one process, where the second waits for the first.
        let (first, second) = tokio::join!(
            change(&stage.other, &one, "of the owner", "of session one"),
            change(&stage.other, &two, "of the owner", "of session two"),
        );
        let won = if first.is_ok() { "of session one" } else { "of session two" };
        assert_eq!([code(first), code(second)].iter().flatten().count(), 1);
        assert!(login(&stage.other, "ada", won).await.is_ok());
        stage.close().await;
    }
}

/// A command by a session that ends before it is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    AddKey,
    TestKey,
    StartRun,
    PauseRun,
    ChangePassword,
    RevokeSessions,
    LogOut,
}

#[tokio::test]
async fn a_request_that_was_held_back_until_its_session_ended_changes_nothing() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind, Duty::Nothing).await;
        let ada = stage.other.newcomer("ada").await;
        let work = ada.add_key(&stage.other, "work", &key(Scenario::Good, 1)).await;
        let run = stage.other.start_run(&ada, line("a task", ["Ann"])).await;
        for (late, event) in [
            (Late::AddKey, "KeyAdded"),
            (Late::TestKey, "KeyTestStarted"),
            (Late::StartRun, "RunRequested"),
            (Late::PauseRun, "PauseRequested"),
            (Late::ChangePassword, "PasswordChanged"),
            (Late::RevokeSessions, "SessionsRevoked"),
            (Late::LogOut, "SignedOut"),
        ] {
            let doomed = login(&stage.other, "ada", &password("ada")).await.unwrap().principal;
            let gated = &stage.gated;
            let (level, model) = (KeyTestLevel::Authentic, None);
            let test = KeyCommand::Test { key: work, level, model };
            let pause = RunCommand::Ask { run, ask: ControlRequest::Pause };
            let held = async {
                let accounts = &gated.ports.accounts;
                match late {
                    Late::AddKey => give(gated, &doomed, add("b", &key(Scenario::Good, 2))).await,
                    Late::TestKey => give(gated, &doomed, test).await,
                    Late::StartRun => start_by(gated, &doomed).await,
                    Late::PauseRun => {
                        gated.ports.run_commands.run(context_of(&doomed), pause).await.map(drop)
                    }
                    Late::ChangePassword => {
                        change(gated, &doomed, &password("ada"), "a third one").await
                    }
                    Late::RevokeSessions => accounts.revoke_sessions(info(), doomed.clone()).await,
                    Late::LogOut => accounts.logout(info(), doomed.clone()).await,
                }
            };
            let ending = revoke_others(&stage.other, &ada.principal);
            let done = stage.meanwhile((event, Then::Append), held, ending).await;
            assert_eq!(code(done), Some(ErrorCode::Unauthenticated), "{late:?} on {kind:?}");
            let store = stage.ground.store();
            let events = store.read(0, 1_000).await.unwrap();
            let last = &events.last().unwrap().envelope.kind;
            assert_eq!(last, "SessionsRevoked", "nothing follows the revocation: {late:?}");
            assert_eq!(store.sessions(ada.id()).await.unwrap().len(), 1, "{late:?}");
        }
        assert_eq!(stage.world.simulator().counts().of_key(&key(Scenario::Good, 1)), 0);
        stage.close().await;
    }
}

/// A user of an external issuer, as a token of theirs shows them.
fn foreign(user: UserId, issued_at: u64) -> Principal {
    let now = Timestamp(issued_at);
    let token = ForeignToken { issued_at: now, until: now.plus_ms(900_000), decides_roles: false };
    let roles = BTreeSet::from([Role::User]);
    Principal { foreign: Some(token), ..Principal::of_session(user, SessionId(user.0), roles) }
}

#[tokio::test]
async fn an_issuers_token_from_before_the_end_of_its_session_changes_nothing() {
    let stage = Stage::open(StoreKind::Sqlite, Duty::Nothing).await;
    let user = UserId(fresh());
    let session = SessionId(user.0);
    let identity = Identity { issuer: "https://i.example".to_owned(), subject: "ada".to_owned() };
    let username = Username::parse("ada").unwrap();
    let (email, full_name) = (None, None);
    let register = RegisterExternal { identity, username, email, full_name, session };
    account(&stage.other, user, register.into()).await;
    let now = stage.other.env.clock.now().0;
    let (old, new) = (foreign(user, now), foreign(user, now + 60_000));
    give(&stage.other, &old, add("a", &key(Scenario::Good, 1))).await.unwrap();
    let late = stage.meanwhile(
        ("KeyAdded", Then::Append),
        give(&stage.gated, &old, add("b", &key(Scenario::Good, 2))),
        async {
            account(&stage.other, user, SignOut { session, tokens_from: None }.into()).await;
            // Started again by a newer token: the session is open, and the old token still ended.
            let verified = Verified::Token;
            account(&stage.other, user, SignIn { session, verified, user_agent: None }.into())
                .await;
        },
    );
    assert_eq!(code(Box::pin(late).await), Some(ErrorCode::Unauthenticated));
    let logout = stage.other.ports.accounts.logout(info(), old.clone()).await;
    assert_eq!(code(logout), Some(ErrorCode::Unauthenticated), "it ends no newer sign-in");
    give(&stage.other, &new, add("b", &key(Scenario::Good, 2))).await.unwrap();
    stage.close().await;
}

/// Eight sign-ins with the old password race a change of it, over HTTP, in two rounds; none of them
/// is worth anything afterwards. The long form: `CLAVIGER_TEST_RACES=100 cargo test --test it
/// promises::preconditions::sessions::no_racing`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_racing_sign_in_survives_a_password_change() {
    let world = World::open(StoreKind::Sqlite).await;
    let server = world.serve().await;
    let url = format!("http://{}", server.address());
    for round in 0..number("CLAVIGER_TEST_RACES").unwrap_or(2) {
        // Each round has a user and an address of its own, because wrong passwords are limited.
        let name = format!("ada{round}");
        let from = [127, 0, 1, u8::try_from(round + 1).unwrap()];
        let nobody = Client::from_address(&url, from.into());
        let owner = nobody.registered(&name).await;
        let old = json!({ "usernameOrEmail": name, "password": password(&name) });
        let racing = join_all((0..8).map(|_| nobody.run("login", old.clone())));
        let change = json!({ "currentPassword": password(&name), "newPassword": "the new one" });
        let (racing, changed) = tokio::join!(racing, owner.done("changePassword", change));
        for session in racing.iter().filter(|one| one["accessToken"].is_string()) {
            let refresh = json!({ "refreshToken": session["refreshToken"] });
            let refreshed = nobody.run("refreshSession", refresh).await;
            assert_eq!(refreshed["userErrors"][0]["code"], "UNAUTHENTICATED", "round {round}");
            let thief = nobody.with_token(session["accessToken"].as_str().unwrap());
            let answer = thief.send("{ viewer { id } }", json!({})).await;
            assert_eq!(answer.code(), "UNAUTHENTICATED", "round {round}");
        }
        let owner = nobody.with_token(changed["accessToken"].as_str().unwrap());
        let sessions = owner.ask("{ viewer { sessions { id } } }", json!({})).await;
        assert_eq!(sessions["viewer"]["sessions"].as_array().unwrap().len(), 1, "round {round}");
    }
    server.stop().await;
    world.close().await;
}
