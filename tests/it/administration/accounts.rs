//! What administrators see and change, and users of their own.

use super::stage::{Stage, account_of, refusal, signed_in, user_of};
use crate::harness::person::password;
use crate::harness::stores::StoreKind;
use claviger_application::ids::{IdKind, encode};
use claviger_domain::actor::Role;
use serde_json::{Value, json};

const LIST: &str = "query($search: String, $states: [AccountState!], $first: Int, $after: Cursor) { \
    admin { accounts(search: $search, states: $states, first: $first, after: $after) { \
    totalCount nodes { username state roles } pageInfo { hasNextPage endCursor } } } }";

fn names(data: &Value) -> Vec<&str> {
    let nodes = data["admin"]["accounts"]["nodes"].as_array().unwrap();
    nodes.iter().map(|node| node["username"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn accounts_are_listed_newest_first_and_found_by_a_whole_name_or_id_only() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let admin = stage.with_role("root", Role::Admin).await;
        let ada = stage.user("ada").await;
        let bob = stage.user("bob").await;
        let (of_ada, of_bob) = (account_of(&ada).await, account_of(&bob).await);
        admin.done("deactivateAccount", json!({ "id": of_bob })).await;

        let all = admin.ask(LIST, json!({})).await;
        assert_eq!(names(&all), ["bob", "ada", "root"]);
        assert_eq!(all["admin"]["accounts"]["totalCount"], 3);
        let first = admin.ask(LIST, json!({ "first": 2 })).await;
        assert_eq!(names(&first), ["bob", "ada"]);
        let after = &first["admin"]["accounts"]["pageInfo"]["endCursor"];
        assert_eq!(names(&admin.ask(LIST, json!({ "first": 2, "after": after })).await), ["root"]);

        let of_states = async |states: Value| {
            let found = admin.ask(LIST, json!({ "states": states })).await;
            names(&found).join(" ")
        };
        assert_eq!(of_states(json!(["DEACTIVATED"])).await, "bob");
        assert_eq!(of_states(json!(["ACTIVE"])).await, "ada root");
        assert_eq!(of_states(json!(["ERASED"])).await, "");

        let user = encode(IdKind::User, user_of(&ada).await.0);
        for (search, found) in [
            ("ada", "ada"),
            ("ADA", "ada"),
            ("ada@example.org", "ada"),
            (&of_ada, "ada"),
            (&user, "ada"),
            ("ad", ""),
            ("example.org", ""),
            ("nobody", ""),
        ] {
            let data = admin.ask(LIST, json!({ "search": search })).await;
            assert_eq!(names(&data).join(" "), found, "{search}");
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn roles_and_states_change_once_and_expected_versions_count_no_sign_ins() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let admin = stage.with_role("root", Role::Admin).await;
    let ada = stage.user("ada").await;
    let id = account_of(&ada).await;
    let version = async || {
        let query = "query($id: ID!) { admin { account(id: $id) { version } } }";
        admin.ask(query, json!({ "id": id })).await["admin"]["account"]["version"].clone()
    };
    let seen = version().await;
    stage.login("ada").await;
    assert_eq!(version().await, seen, "a sign-in is no change");

    let grant = json!({ "id": id, "role": "AUDITOR", "expectedVersion": seen });
    let granted = admin.done("grantRole", grant.clone()).await;
    assert_eq!(granted["account"]["roles"], json!(["USER", "AUDITOR"]));
    assert_eq!(granted["commit"]["eventIds"].as_array().unwrap().len(), 1);
    let outdated = admin.run("revokeRole", grant.clone()).await;
    assert_eq!(refusal(&outdated), "CONFLICT");
    assert_eq!(outdated["userErrors"][0]["actualVersion"], granted["account"]["version"]);
    let again = admin.done("grantRole", json!({ "id": id, "role": "AUDITOR" })).await;
    assert_eq!(again["commit"]["eventIds"], json!([]), "nothing had to be done");
    let fixed = admin.run("grantRole", json!({ "id": id, "role": "USER" })).await;
    assert_eq!(refusal(&fixed), "VALIDATION");

    // The event says who did it, and by which credential.
    let history = "{ viewer { history(first: 1, types: [\"RoleGranted\"]) { nodes { actor { userId role via } } } } }";
    let data = ada.ask(history, json!({})).await;
    let actor = &data["viewer"]["history"]["nodes"][0]["actor"];
    let by = encode(IdKind::User, user_of(&admin).await.0);
    assert_eq!(actor, &json!({ "userId": by, "role": "ADMIN", "via": "graphql" }));
    let events = stage.servers[0].store.read(0, 1000).await.unwrap();
    let event = events
        .iter()
        .find(|event| event.envelope.kind == "RoleGranted" && event.envelope.actor.user.is_some());
    assert!(event.unwrap().envelope.actor.credential.is_some());
    stage.close().await;
}

#[tokio::test]
async fn an_administrators_command_repeated_with_its_key_is_answered_by_the_first() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let admin = stage.with_role("root", Role::Admin).await;
    let new = json!({ "username": "ada", "email": "ada@example.org", "idempotencyKey": "one" });
    let first = admin.done("createAccount", new.clone()).await;
    assert!(first["resetToken"].is_string() && first["resetTokenExpiresAt"].is_string());
    let again = stage.elsewhere(&admin).done("createAccount", new.clone()).await;
    assert_eq!(again["account"], first["account"]);
    assert_eq!(again["commit"]["replayed"], true);
    assert_eq!((&again["resetToken"], &again["resetTokenExpiresAt"]), (&json!(null), &json!(null)));
    let other = json!({ "username": "eve", "email": "eve@example.org", "idempotencyKey": "one" });
    assert_eq!(refusal(&admin.run("createAccount", other).await), "IDEMPOTENCY_KEY_REUSED");

    let reset = json!({ "id": first["account"]["id"], "idempotencyKey": "two" });
    assert!(admin.done("createPasswordReset", reset.clone()).await["resetToken"].is_string());
    assert_eq!(admin.done("createPasswordReset", reset).await["resetToken"], json!(null));
    stage.close().await;
}

#[tokio::test]
async fn users_rename_themselves_and_their_old_names_are_free_again() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let ada = stage.user("ada").await;
        stage.user("bob").await;
        let taken = ada.run("renameAccount", json!({ "username": "BOB" })).await;
        assert_eq!(
            (refusal(&taken), &taken["userErrors"][0]["path"]),
            ("DUPLICATE", &json!(["input", "username"]))
        );
        let taken = ada.run("renameAccount", json!({ "email": "bob@example.org" })).await;
        assert_eq!(refusal(&taken), "DUPLICATE");

        let input = json!({ "username": "Countess", "email": "Ada.King@example.org", "fullName": "Ada King" });
        let renamed = ada.done("renameAccount", input).await;
        let account = &renamed["account"];
        assert_eq!(account["username"], "Countess");
        assert_eq!(account["email"], "ada.king@example.org");
        assert_eq!(account["fullName"], "Ada King");
        let spelled =
            ada.done("renameAccount", json!({ "username": "COUNTESS", "fullName": null })).await;
        assert_eq!(spelled["account"]["username"], "COUNTESS");
        assert_eq!(spelled["account"]["fullName"], json!(null));

        // The password is that of the old name.
        for (name, code) in
            [("countess", ""), ("ada.king@example.org", ""), ("ada", "UNAUTHENTICATED")]
        {
            let input = json!({ "usernameOrEmail": name, "password": password("ada") });
            let payload = stage.nobody().run("login", input).await;
            assert_eq!(refusal(&payload), code, "{name}");
        }
        stage.user("ada").await;
        stage.close().await;
    }
}

#[tokio::test]
async fn a_user_ends_one_session_and_sees_what_each_did_last() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let other = signed_in(&stage.nobody(), &stage.login("ada").await);
    other.done("renameAccount", json!({ "fullName": "Ada King" })).await;
    let query = "{ viewer { sessions { id isCurrent lastEvent { type content } } } }";
    let data = ada.ask(query, json!({})).await;
    let sessions = data["viewer"]["sessions"].as_array().unwrap();
    let last: Vec<&Value> = sessions.iter().map(|session| &session["lastEvent"]["type"]).collect();
    assert_eq!(last, ["AccountRenamed", "SignedIn"]);
    assert_eq!(sessions[0]["lastEvent"]["content"]["full_name"], "Ada King");

    let end = json!({ "id": sessions[0]["id"], "idempotencyKey": "once" });
    ada.done("endSession", end.clone()).await;
    assert_eq!(other.send("{ viewer { id } }", json!({})).await.code(), "UNAUTHENTICATED");
    ada.done("endSession", end.clone()).await;
    let gone = ada.run("endSession", json!({ "id": sessions[0]["id"] })).await;
    assert_eq!(refusal(&gone), "NOT_FOUND");
    let foreign =
        stage.user("bob").await.run("endSession", json!({ "id": sessions[1]["id"] })).await;
    assert_eq!(foreign["userErrors"], gone["userErrors"], "foreign and ended alike");
    assert!(ada.ask("{ viewer { id } }", json!({})).await["viewer"].is_object());
    stage.close().await;
}

#[tokio::test]
async fn an_administrator_sees_a_users_sessions_and_no_content_of_theirs() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let (admin, ada) = (stage.with_role("root", Role::Admin).await, stage.user("ada").await);
    ada.done("renameAccount", json!({ "fullName": "Ada King" })).await;
    let query = "query($id: ID!) { admin { account(id: $id) { fullName keyCount openRuns \
        sessions { isCurrent lastEvent { type content facts } } } } }";
    let data = admin.ask(query, json!({ "id": account_of(&ada).await })).await;
    let account = &data["admin"]["account"];
    assert_eq!(
        (&account["fullName"], &account["keyCount"], &account["openRuns"]),
        (&json!("Ada King"), &json!(0), &json!(0))
    );
    let event = &account["sessions"][0]["lastEvent"];
    assert_eq!((&event["type"], &event["content"]), (&json!("AccountRenamed"), &json!(null)));
    stage.close().await;
}

#[tokio::test]
async fn the_server_tells_everybody_what_it_offers() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let data =
        stage.nobody().ask("{ server { version registrationOpen features } }", json!({})).await;
    let server =
        json!({ "version": env!("CARGO_PKG_VERSION"), "registrationOpen": true, "features": [] });
    assert_eq!(data["server"], server);
    stage.close().await;
}
