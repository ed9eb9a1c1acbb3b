//! One account has one bucket of attempts, however it is named.

use crate::harness::client::{Answer, Client, MODERN};
use crate::harness::dice::{Dice, number};
use crate::harness::environment::{TestClock, by};
use crate::harness::mutations::{document, with_fragments};
use crate::harness::person::password;
use crate::harness::process::Process;
use crate::harness::stores::{StoreKind, TempPlace};
use crate::harness::world::World;
use claviger::app::config::Config;
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

async fn serve(change: impl FnOnce(&mut Config)) -> (World, Process, Arc<TestClock>, Client) {
    let clock = TestClock::held();
    let place = TempPlace::new(StoreKind::Sqlite).await;
    let mut world = World::at(place, by(&clock), |simulator| simulator).await;
    change(&mut world.config);
    let server = world.serve().await;
    let nobody = Client::new(&format!("http://{}", server.address()));
    (world, server, clock, nobody)
}

async fn login(from: &Client, name: &str, password: &str) -> Answer {
    let input = json!({ "usernameOrEmail": name, "password": password });
    from.send_mutation("login", input).await
}

/// A letter as one of the forms that name the same account.
fn form_of(letter: char, dice: &mut Dice) -> char {
    let n = u32::from(letter) - u32::from('a');
    let forms = [0x61, 0x41, 0xff41, 0xff21, 0x1d41a, 0x1d400, 0x24d0, 0x24b6, 0x1d68a];
    char::from_u32(forms[dice.below(forms.len())] + n).unwrap()
}

fn spelling(name: &str, dice: &mut Dice) -> String {
    let letters: String = name.chars().map(|letter| form_of(letter, dice)).collect();
    if dice.below(2) == 0 { letters } else { format!(" {letters}\u{3000}") }
}

/// `CLAVIGER_TEST_SPELLINGS=1000 cargo test -p claviger --test it -- every_spelling` tries more.
#[tokio::test]
async fn every_spelling_of_a_name_counts_as_one_and_so_does_the_address() {
    let (world, server, clock, nobody) = serve(|_| ()).await;
    nobody.registered("ada").await;
    let mut dice = Dice::new(1);
    for n in 0..10 {
        let name = match n {
            0 => "ada@example.org".to_owned(),
            1 => " ADA@example.ORG".to_owned(),
            _ => spelling("ada", &mut dice),
        };
        let answer = login(&nobody, &name, "wrong").await.data()["login"].take();
        assert_eq!(answer["userErrors"][0]["code"], "UNAUTHENTICATED", "{name:?}");
    }
    let many = number("CLAVIGER_TEST_SPELLINGS").unwrap_or(40);
    for n in 0..many {
        let name = if n == 0 { "ada@EXAMPLE.org".into() } else { spelling("ada", &mut dice) };
        assert_eq!(login(&nobody, &name, "wrong").await.code(), "RATE_LIMITED", "{name:?}");
    }
    // The spellings do name this account.
    clock.advance_ms(60_000);
    for _ in 0..3 {
        let name = spelling("ada", &mut dice);
        let answer = login(&nobody, &name, &password("ada")).await.data()["login"].take();
        assert_eq!(answer["viewer"]["username"], "ada", "{name:?}");
    }
    server.stop().await;
    world.close().await;
}

#[tokio::test]
async fn the_current_password_is_guessed_from_the_same_bucket() {
    let (world, server, _clock, nobody) = serve(|_| ()).await;
    let ada = nobody.registered("ada").await;
    for _ in 0..5 {
        login(&nobody, "ada", "wrong").await.data();
        let input = json!({ "currentPassword": "wrong", "newPassword": "long enough" });
        ada.run("changePassword", input).await;
    }
    assert_eq!(login(&nobody, "ada", &password("ada")).await.code(), "RATE_LIMITED");
    let input = json!({ "currentPassword": password("ada"), "newPassword": "long enough" });
    assert_eq!(ada.send_mutation("changePassword", input).await.code(), "RATE_LIMITED");
    server.stop().await;
    world.close().await;
}

/// A hundred wrong passwords take five seconds in a debug build, so only a long run tries them:
/// `CLAVIGER_TEST_LOCK_OUT=1 cargo test -p claviger --test it -- guesses_from_elsewhere`. Without,
/// the unit tests of `src/auth/attempts.rs` stand for it.
#[tokio::test]
async fn guesses_from_elsewhere_keep_nobody_out_who_has_signed_in_from_here() {
    if number("CLAVIGER_TEST_LOCK_OUT").is_none() {
        return;
    }
    let (world, server, _clock, nobody) = serve(|_| ()).await;
    nobody.registered("ada").await;
    let from = |n: u8| Client::from_address(nobody.url(), IpAddr::V4(Ipv4Addr::new(127, 0, 0, n)));
    for n in 2..12 {
        for _ in 0..10 {
            login(&from(n), "ada", "wrong").await.data();
        }
    }
    assert_eq!(login(&from(20), "ada", &password("ada")).await.code(), "RATE_LIMITED");
    let here = login(&nobody, "ada", &password("ada")).await.data()["login"].take();
    assert_eq!(here["userErrors"], json!([]));
    server.stop().await;
    world.close().await;
}

#[tokio::test]
async fn behind_a_proxy_registrations_and_sign_ins_of_an_address_are_limited() {
    let (world, server, clock, nobody) = serve(|config| {
        config.trusted_proxies = "127.0.0.1".parse().unwrap();
        config.registrations_per_hour = 2;
        config.sign_ins_per_minute = 3;
    })
    .await;
    let send = async |client: &str, mutation: &str, input: serde_json::Value| {
        let document = with_fragments(&document(mutation));
        let body = json!({ "query": document, "variables": { "input": input } });
        let request = nobody.to_graphql().header("accept", MODERN);
        Answer::of(request.header("x-forwarded-for", client).json(&body)).await
    };
    let register = async |client: &str, name: &str| {
        let email = format!("{name}@example.org");
        let input = json!({ "username": name, "email": email, "password": password(name) });
        send(client, "register", input).await
    };
    let sign_in = async |client: &str| {
        let input = json!({ "usernameOrEmail": "ada", "password": password("ada") });
        send(client, "login", input).await
    };
    for name in ["ada", "bob"] {
        assert_eq!(register("203.0.113.9", name).await.code(), "");
    }
    // A taken name is no account made.
    register("198.51.100.7", "ada").await.data();
    assert_eq!(register("203.0.113.9", "eve").await.code(), "RATE_LIMITED");
    for name in ["zoe", "max"] {
        assert_eq!(register("198.51.100.7", name).await.code(), "", "another address");
    }
    for _ in 0..3 {
        assert_eq!(sign_in("203.0.113.9").await.code(), "");
    }
    let refused = sign_in("203.0.113.9").await;
    assert_eq!(refused.code(), "RATE_LIMITED");
    assert!(refused.message().contains("sign-ins from your network"), "{}", refused.text);
    assert_eq!(sign_in("198.51.100.7").await.code(), "");
    // A proxy that names no client is not a script of this machine.
    for n in 0..3 {
        let answer = nobody
            .send_mutation(
                "register",
                json!({ "username": format!("x{n}x"),
            "email": format!("x{n}@example.org"), "password": "long enough" }),
            )
            .await;
        assert_eq!(answer.code() == "RATE_LIMITED", n == 2, "{n}");
    }
    clock.advance_ms(1_800_000);
    assert_eq!(register("203.0.113.9", "eve").await.code(), "");
    server.stop().await;
    world.close().await;
}

#[tokio::test]
async fn scripts_on_this_machine_make_as_many_accounts_as_they_like() {
    let (world, server, _clock, nobody) = serve(|config| {
        config.registrations_per_hour = 1;
        config.sign_ins_per_minute = 1;
    })
    .await;
    for name in ["ada", "bob", "eve"] {
        nobody.registered(name).await;
        login(&nobody, "ada", &password("ada")).await.data();
    }
    server.stop().await;
    world.close().await;
}
