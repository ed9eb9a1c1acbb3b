//! A name has one bucket of attempts, however it is spelled, and says nothing of other names.

use crate::harness::client::{Answer, Client, MODERN};
use crate::harness::dice::{Dice, number};
use crate::harness::environment::{TestClock, by};
use crate::harness::mutations::{document, with_fragments};
use crate::harness::person::password;
use crate::harness::process::Process;
use crate::harness::stores::{StoreKind, TempPlace};
use crate::harness::world::World;
use claviger::app::config::Config;
use serde_json::{Value, json};
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
async fn every_spelling_of_a_name_counts_as_one() {
    let (world, server, clock, nobody) = serve(|_| ()).await;
    nobody.registered("ada").await;
    let mut dice = Dice::new(1);
    let address = |n: u64| [" ADA@example.ORG", "ada@example.org"][usize::from(n == 0)].to_owned();
    for n in 0..10 {
        for name in [spelling("ada", &mut dice), address(n)] {
            let answer = login(&nobody, &name, "wrong").await.data()["login"].take();
            assert_eq!(answer["userErrors"][0]["code"], "UNAUTHENTICATED", "{name:?}");
        }
    }
    let many = number("CLAVIGER_TEST_SPELLINGS").unwrap_or(40);
    for n in 0..many {
        let name = if n < 2 { address(n) } else { spelling("ada", &mut dice) };
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

fn from(nobody: &Client, n: u8) -> Client {
    Client::from_address(nobody.url(), IpAddr::V4(Ipv4Addr::new(127, 0, 0, n)))
}

/// The codes of wrong sign-ins by one name until it is limited, and by another name then.
async fn codes(from: &Client, first: &str, then: &str) -> Vec<String> {
    let mut codes = Vec::new();
    for name in std::iter::repeat_n(first, 12).chain([then; 12]) {
        let answer = login(from, name, "wrong").await;
        let json = answer.json();
        let error = json.pointer("/data/login/userErrors/0/code").and_then(Value::as_str);
        codes.push(error.map_or_else(|| answer.code(), ToOwned::to_owned));
    }
    codes
}

#[tokio::test]
async fn wrong_sign_ins_do_not_tell_which_names_are_one_account() {
    let (world, server, _clock, nobody) = serve(|_| ()).await;
    for name in ["ada", "bob", "eve"] {
        nobody.registered(name).await;
    }
    let of_one = codes(&from(&nobody, 2), "ada", "ada@example.org").await;
    assert_eq!(
        of_one[9..14],
        ["UNAUTHENTICATED", "RATE_LIMITED", "RATE_LIMITED", "UNAUTHENTICATED", "UNAUTHENTICATED"]
    );
    for (n, first, then) in [
        (3, "ada@example.org", "ada"),
        (4, "bob", "eve@example.org"),
        (5, "nobody", "nobody@example.org"),
        (6, "eve", "nobody@example.org"),
    ] {
        assert_eq!(codes(&from(&nobody, n), first, then).await, of_one, "{first} and {then}");
    }
    server.stop().await;
    world.close().await;
}

/// A thief of a token has few guesses, and none of them keeps the owner out.
#[tokio::test]
async fn the_current_password_is_guessed_from_a_bucket_of_its_own() {
    let (world, server, _clock, nobody) = serve(|_| ()).await;
    let ada = nobody.registered("ada").await;
    let guess = json!({ "currentPassword": "wrong", "newPassword": "long enough" });
    for n in 2..5 {
        let thief = from(&nobody, n).with_token(ada.token());
        for m in 0..12 {
            let limited = thief.send_mutation("changePassword", guess.clone()).await.code();
            let passes = m < 10 && n < 4;
            assert_eq!(limited == "RATE_LIMITED", !passes, "{n} {m}");
        }
    }
    let input = json!({ "currentPassword": password("ada"), "newPassword": "long enough" });
    assert_eq!(ada.send_mutation("changePassword", input).await.code(), "RATE_LIMITED");
    let answer = login(&nobody, "ada", &password("ada")).await.data()["login"].take();
    assert_eq!(answer["userErrors"], json!([]), "signing in is another matter");
    server.stop().await;
    world.close().await;
}

/// A thief who signed in once is not known any more when the password was changed.
#[tokio::test]
async fn an_address_is_known_only_as_long_as_the_password_that_was_right_there() {
    let (world, server, _clock, nobody) = serve(|config| {
        config.trusted_proxies = "127.0.0.1".parse().unwrap();
    })
    .await;
    let ada = nobody.registered("ada").await;
    let send = async |client: String, secret: &str| {
        let input = json!({ "usernameOrEmail": "ada", "password": secret });
        let body =
            json!({ "query": with_fragments(&document("login")), "variables": { "input": input } });
        let request = nobody.to_graphql().header("accept", MODERN);
        Answer::of(request.header("x-forwarded-for", client).json(&body)).await.code()
    };
    let thief = || "203.0.113.9".to_owned();
    assert_eq!(send(thief(), &password("ada")).await, "");
    let guess_from_elsewhere = async || {
        for n in 0..40 {
            if send(format!("198.51.100.{}", n / 10), "wrong").await == "RATE_LIMITED" {
                break;
            }
        }
        assert_eq!(send("192.0.2.1".to_owned(), "wrong").await, "RATE_LIMITED");
    };
    guess_from_elsewhere().await;
    assert_eq!(send(thief(), "wrong").await, "", "known there, where the password was right");
    let change = json!({ "currentPassword": password("ada"), "newPassword": "long enough" });
    ada.done("changePassword", change).await;
    assert_eq!(send(thief(), "wrong").await, "RATE_LIMITED");
    server.stop().await;
    world.close().await;
}

#[tokio::test]
async fn guesses_from_elsewhere_keep_nobody_out_who_has_signed_in_from_here() {
    let (world, server, _clock, nobody) = serve(|_| ()).await;
    nobody.registered("ada").await;
    for n in 2..6 {
        for _ in 0..10 {
            login(&from(&nobody, n), "ada", "wrong").await.data();
        }
    }
    let elsewhere = login(&from(&nobody, 20), "ada", &password("ada")).await;
    assert_eq!(elsewhere.code(), "RATE_LIMITED");
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
