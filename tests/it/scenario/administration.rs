//! An administrator uses every field and argument of the administration, for `tour`.

use super::stage::Stage;
use crate::harness::client::Client;
use claviger::bus::AccountRequest;
use claviger_application::ids::{IdKind, decode_as};
use claviger_domain::account::GrantRole;
use claviger_domain::actor::{Actor, Role};
use claviger_domain::id::{CorrelationId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

const ACCOUNTS: &str = "query($search: String, $states: [AccountState!]) { \
    server { version registrationOpen features } \
    admin { accounts(first: 5, search: $search, states: $states) { totalCount pageInfo { ...P } \
    edges { cursor node { id } } nodes { id userId username email fullName roles state createdAt \
    lastSignInAt keyCount openRuns version sessions { id createdAt lastSeenAt userAgent isCurrent \
    lastEvent { type } } } } } }";

async fn administrator(stage: &Stage, name: &str) -> Client {
    let client = stage.user(name).await;
    let data = client.ask("{ viewer { id } }", json!({})).await;
    let user = decode_as(IdKind::User, data["viewer"]["id"].as_str().unwrap()).unwrap();
    let grant = AccountRequest {
        owner: UserId(user),
        actor: Actor::OPERATOR,
        correlation: CorrelationId(Uuid::from_u128(8)),
        command: GrantRole { role: Role::Admin }.into(),
        phc: None,
    };
    stage.bus().run_account_command(grant).await.unwrap();
    client
}

/// The documents that were sent.
pub(super) async fn administration(stage: &Stage) -> Vec<String> {
    let root = administrator(stage, "root").await;
    let new = json!({ "username": "grace", "email": "grace@example.org", "fullName": "Grace",
        "roles": ["AUDITOR"], "idempotencyKey": "new", "clientMutationId": "c" });
    let made = root.done("createAccount", new).await;
    assert_eq!(
        (&made["clientMutationId"], &made["account"]["state"]),
        (&json!("c"), &json!("ACTIVE"))
    );
    let id = made["account"]["id"].clone();
    let nobody = stage.nobody();
    let reset = json!({ "token": made["resetToken"], "newPassword": "a long password", "clientMutationId": "c" });
    let grace = nobody.done("resetPassword", reset).await;
    let grace = nobody.with_token(grace["accessToken"].as_str().unwrap());

    let found = root.ask(ACCOUNTS, json!({ "search": "grace", "states": ["ACTIVE"] })).await;
    let node = &found["admin"]["accounts"]["nodes"][0];
    assert_eq!((&node["id"], &node["roles"]), (&id, &json!(["USER", "AUDITOR"])));
    assert_eq!(node["sessions"][0]["lastEvent"]["type"], "SignedIn");
    let by_id =
        "query($id: ID!) { node(id: $id) { __typename id } admin { account(id: $id) { id } } }";
    let data = root.ask(by_id, json!({ "id": id })).await;
    assert_eq!(
        (&data["node"]["__typename"], &data["admin"]["account"]["id"]),
        (&json!("Account"), &id)
    );

    let of =
        |version: &Value| json!({ "id": id, "expectedVersion": version, "clientMutationId": "c" });
    let mut version = node["version"].clone();
    for mutation in
        ["deactivateAccount", "reactivateAccount", "endAccountSessions", "createPasswordReset"]
    {
        let done = root.done(mutation, of(&version)).await;
        version = done["account"]["version"].clone();
    }
    for mutation in ["revokeRole", "grantRole"] {
        let mut input = of(&version);
        input["role"] = json!("AUDITOR");
        version = root.done(mutation, input).await["account"]["version"].clone();
    }
    let mut rename = of(&version);
    rename["username"] = json!("hopper");
    root.done("renameAccount", rename).await;
    assert_eq!(grace.send("{ viewer { id } }", json!({})).await.code(), "UNAUTHENTICATED");
    let sessions = root.ask("{ viewer { sessions { id } } }", json!({})).await;
    let own = sessions["viewer"]["sessions"][0]["id"].clone();
    root.done("endSession", json!({ "id": own, "clientMutationId": "c" })).await;
    [root.sent(), nobody.sent()].concat()
}
