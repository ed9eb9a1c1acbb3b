//! Registration and sign-in: who is refused, how, and how often one may try.

use super::stage::{Stage, on_every_store};
use crate::harness::person::password;
use crate::harness::stores::StoreKind;
use claviger::auth::Registration;
use serde_json::{Value, json};

fn registration(username: &str, email: &str) -> Value {
    json!({ "username": username, "email": email, "password": "long enough" })
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_answered_alike() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let before = stage.state_of(&ada).await;
        let nobody = stage.nobody();
        let input =
            |name: &str, password: &str| json!({ "usernameOrEmail": name, "password": password });
        let wrong = nobody.send_mutation("login", input("ada", "wrong password")).await;
        let error = wrong.data()["login"]["userErrors"][0].clone();
        assert_eq!(
            (&error["__typename"], &error["code"]),
            (&json!("AuthError"), &json!("UNAUTHENTICATED"))
        );
        for (name, password) in
            [("eve", password("ada")), ("ada@example.com", password("ada")), ("", String::new())]
        {
            assert_eq!(
                nobody.send_mutation("login", input(name, &password)).await.text,
                wrong.text,
                "{name:?}"
            );
        }
        let long = "a".repeat(1_000);
        assert_eq!(nobody.send_mutation("login", input(&long, &long)).await.text, wrong.text);
        assert_eq!(
            nobody
                .send_mutation("login", input("ada", &format!("{} ", password("ada"))))
                .await
                .text,
            wrong.text
        );
        assert_eq!(stage.state_of(&ada).await, before);
    })
    .await;
}

#[tokio::test]
async fn ten_wrong_passwords_are_enough_until_the_clock_moves() {
    on_every_store(async |stage: &mut Stage| {
        stage.user("ada").await;
        let nobody = stage.nobody();
        let login = |name: &str, password: &str| {
            let (nobody, input) =
                (nobody.clone(), json!({ "usernameOrEmail": name, "password": password }));
            async move { nobody.send_mutation("login", input).await }
        };
        for _ in 0..10 {
            assert_eq!(
                login("ada", "wrong").await.data()["login"]["userErrors"][0]["code"],
                "UNAUTHENTICATED"
            );
        }
        for name in ["ada", "ADA", " ada "] {
            let answer = login(name, &password("ada")).await;
            assert_eq!(
                answer.code(),
                "RATE_LIMITED",
                "the right password doesn't help: {}",
                answer.text
            );
            let error = &answer.json()["errors"][0];
            assert_eq!(error["extensions"]["retryAfterMs"], 6_000);
            assert!(error["message"].as_str().unwrap().contains("try again in 6 s"));
        }
        assert_eq!(
            login("eve", "wrong").await.data()["login"]["userErrors"][0]["code"],
            "UNAUTHENTICATED",
            "others go on"
        );
        stage.advance_ms(5_999);
        assert_eq!(
            login("ada", &password("ada")).await.json()["errors"][0]["extensions"]["retryAfterMs"],
            1
        );
        stage.advance_ms(1);
        for _ in 0..3 {
            assert_eq!(
                login("ada", &password("ada")).await.data()["login"]["userErrors"],
                json!([]),
                "a good one costs nothing"
            );
        }
        login("ada", "wrong").await.data();
        assert_eq!(login("ada", "wrong").await.code(), "RATE_LIMITED");
    })
    .await;
}

#[tokio::test]
async fn a_wrong_current_password_changes_nothing() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let input =
            |current: &str, new: &str| json!({ "currentPassword": current, "newPassword": new });
        let error = stage.refused(&ada, "changePassword", input("wrong", "long enough")).await;
        assert_eq!(
            (&error["__typename"], &error["path"]),
            (&json!("AuthError"), &json!(["input", "currentPassword"]))
        );
        for new in ["short", "", &"p".repeat(257)] {
            let error = stage.refused(&ada, "changePassword", input(&password("ada"), new)).await;
            assert_eq!(
                (&error["__typename"], &error["path"]),
                (&json!("ValidationError"), &json!(["input", "newPassword"]))
            );
        }
        stage
            .nobody()
            .done("login", json!({ "usernameOrEmail": "ada", "password": password("ada") }))
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_name_or_address_can_be_taken_once_however_it_is_written() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("Straße").await;
        let names = [
            ("Straße", "taken"),
            ("STRASSE", "folded"),
            ("strasse", "folded"),
            ("\u{ff33}trasse", "wide"),
            (" Straße ", "spaces"),
        ];
        for (name, how) in names {
            let error =
                stage.refused(&ada, "register", registration(name, "other@example.org")).await;
            assert_eq!(
                (&error["__typename"], &error["code"]),
                (&json!("ConflictError"), &json!("DUPLICATE")),
                "{how}"
            );
            assert_eq!(
                (&error["path"], &error["existing"]),
                (&json!(["input", "username"]), &Value::Null),
                "{how}"
            );
        }
        for email in ["straße@example.org", " STRAßE@EXAMPLE.ORG"] {
            let error = stage.refused(&ada, "register", registration("other", email)).await;
            assert_eq!(
                (&error["code"], &error["path"]),
                (&json!("DUPLICATE"), &json!(["input", "email"])),
                "{email}"
            );
        }
        stage.nobody().done("register", registration("other", "other@example.org")).await;
        let input = json!({ "usernameOrEmail": "strasse", "password": password("Straße") });
        assert_eq!(
            stage.nobody().done("login", input).await["viewer"]["username"],
            "Straße",
            "shown as typed"
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_no_name_address_or_password_is_refused_without_echo() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let (long, wide) = ("u".repeat(51), "a\u{fe0f}da");
        for (field, value) in [
            ("username", ""),
            ("username", "ab"),
            ("username", &long),
            ("username", "a@b"),
            ("username", "zeb\u{200b}ra"),
            ("username", "sk-ant-api03-zebra"),
            ("username", wide),
            ("email", ""),
            ("email", "zebra"),
            ("email", "zebra@stripes"),
            ("email", "@zebra.org"),
            ("email", "ze bra@example.org"),
            ("email", "zebra@-.org"),
            ("password", ""),
            ("password", "zebra12"),
            ("fullName", ""),
            ("fullName", "zebra\nstripes"),
            ("fullName", "sk-ant-api03-zebra"),
        ] {
            let mut input = registration("zoe", "zoe@example.org");
            input[field] = Value::from(value);
            let error = stage.refused(&ada, "register", input).await;
            assert_eq!(
                (&error["__typename"], &error["code"]),
                (&json!("ValidationError"), &json!("VALIDATION")),
                "{field} {value:?}"
            );
            assert_eq!(error["path"], json!(["input", field]), "{value:?}");
            assert!(!error["message"].as_str().unwrap().contains("zebra"), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn ten_failed_registrations_are_enough_until_the_clock_moves() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        for _ in 0..10 {
            stage.refused(&ada, "register", registration("ada", "other@example.org")).await;
        }
        let answer =
            stage.nobody().send_mutation("register", registration("zoe", "zoe@example.org")).await;
        assert_eq!(answer.code(), "RATE_LIMITED", "{}", answer.text);
        let elsewhere = stage.nobody_from([127, 0, 0, 2].into());
        elsewhere.done("register", registration("eve", "eve@example.org")).await;
        stage.advance_ms(6_000);
        stage.nobody().done("register", registration("zoe", "zoe@example.org")).await;
    })
    .await;
}

#[tokio::test]
async fn a_closed_registration_is_refused_as_such_and_users_still_sign_in() {
    for kind in StoreKind::available().await {
        let stage = Stage::with(*kind, |config| config.registration = Registration::Closed).await;
        let payload = stage.nobody().run("register", registration("zoe", "zoe@example.org")).await;
        let error = &payload["userErrors"][0];
        assert_eq!(
            (&error["__typename"], &error["code"]),
            (&json!("AuthError"), &json!("FORBIDDEN"))
        );
        assert!(error["message"].as_str().unwrap().contains("operator"));
        assert_eq!((&payload["accessToken"], stage.head().await), (&Value::Null, 0));
        stage.close().await;
    }
}
