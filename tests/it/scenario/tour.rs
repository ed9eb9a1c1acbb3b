//! One user uses every field and argument, and the schema shows at the end whether that was all.

use super::administration::administration;
use super::live::{FEED, runs};
use super::stage::{Stage, on_every_store};
use crate::harness::client::Client;
use crate::harness::person::password;
use async_graphql_parser::types::{Selection, SelectionSet};
use async_graphql_parser::types::{TypeKind, TypeSystemDefinition};
use async_graphql_parser::{parse_query, parse_schema};
use claviger::simulator::keys::{Scenario, key};
use claviger_graphql::limits::SchemaTypes;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Covered over sockets and event streams, by the tests in `live`.
const SUBSCRIPTIONS: [&str; 3] =
    ["subscription { viewerEvents { cursor } }", "subscription { auditEvents { cursor } }", FEED];

#[tokio::test]
async fn a_user_meets_every_field_of_the_schema() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let id = keys(stage, &ada).await;
        defaults(&ada, &id).await;
        tests(&ada, &id).await;
        let session = reads(&ada, &id).await;
        nodes(&ada, &id, &session).await;
        changes(stage, &ada, &id).await;
        runs(stage, &ada).await;
        let others = sessions(stage, &ada).await;
        let of_root = administration(stage).await;
        let bob = stage.user("bob").await;
        let ticket = "mutation { createStreamTicket { ticket expiresAt } }";
        let ticket = bob.ask(ticket, json!({})).await["createStreamTicket"].clone();
        assert!(!ticket["ticket"].as_str().unwrap().is_empty() && ticket["expiresAt"].is_string());
        let sent =
            [ada.sent(), others, bob.sent(), SUBSCRIPTIONS.map(str::to_owned).to_vec(), of_root]
                .concat();
        let missed = not_asked_for(&sent);
        assert!(missed.is_empty(), "no scenario asks for {missed:#?}");
    })
    .await;
}

async fn keys(stage: &Stage, ada: &Client) -> String {
    let expires_at = stage.in_ms(86_400_000);
    let input = json!({
        "name": " work ", "secret": format!("  {}\n", key(Scenario::Good, 1)), "expiresAt": expires_at, "clientMutationId": "c1",
    });
    let payload = ada.done("addKey", input).await;
    assert_eq!(payload["clientMutationId"], "c1");
    let added = &payload["key"];
    assert_eq!(added["name"], "work");
    assert!(
        added["preview"].as_str().unwrap().starts_with("sk-ant-api03-goo...")
            && added["preview"].as_str().unwrap().len() == 23
    );
    assert_eq!(
        (&added["isActive"], &added["isDefault"], &added["defaultFor"]),
        (&json!(true), &json!(true), &json!(["default"]))
    );
    assert_eq!(
        (&added["secretVersion"], &added["version"], &added["lastTest"]),
        (&json!(1), &json!("2"), &Value::Null)
    );
    assert_eq!(added["expiresAt"], json!(expires_at));
    let commit = &payload["commit"];
    assert_eq!(commit["position"], json!(stage.head().await.to_string()));
    assert_eq!(
        (commit["eventIds"].as_array().unwrap().len(), &commit["replayed"]),
        (2, &json!(false))
    );
    assert_eq!(commit["version"], "2");
    assert_eq!(ada.last_events(3).await, ["DefaultSet", "KeyAdded", "SignedIn"]);
    added["id"].as_str().unwrap().to_owned()
}

async fn defaults(ada: &Client, id: &str) {
    let other = ada.add("other", &key(Scenario::Good, 2)).await;
    let payload = ada.done("setDefaultKey", json!({ "id": other, "context": "night" })).await;
    assert_eq!(
        (&payload["key"]["isDefault"], &payload["key"]["defaultFor"]),
        (&json!(false), &json!(["night"]))
    );
    ada.done("setDefaultKey", json!({ "id": other })).await;
    assert_eq!(ada.key(id).await["isDefault"], false, "there is one default of a context");
    assert_eq!(ada.key(&other).await["defaultFor"], json!(["default", "night"]));
    let payload = ada.done("clearDefaultKey", json!({ "context": "night" })).await;
    assert_eq!(
        (&payload["key"]["id"], &payload["key"]["defaultFor"]),
        (&json!(other), &json!(["default"]))
    );
    ada.done("clearDefaultKey", json!({})).await;
    let query = "{ viewer { defaultKey { id } night: defaultKey(context: \"night\", minPosition: \"1\") { ...K } } }";
    assert_eq!(
        ada.ask(query, json!({})).await,
        json!({ "viewer": { "defaultKey": null, "night": null } })
    );
    ada.done("setDefaultKey", json!({ "id": id, "context": "default" })).await;
    assert_eq!(ada.done("deleteKey", json!({ "id": other })).await["deletedId"], json!(other));
    assert_eq!(ada.key(&other).await, Value::Null);
}

async fn tests(ada: &Client, id: &str) {
    for (level, credit, model, name) in [
        ("AUTHENTIC", "UNKNOWN", "UNKNOWN", Value::Null),
        ("MODEL", "UNKNOWN", "YES", json!("claude-haiku-4-5")),
        ("FULL", "YES", "YES", json!("claude-haiku-4-5")),
    ] {
        let before = ada.key(id).await;
        let payload = ada.done("testKey", json!({ "id": id, "level": level, "model": name })).await;
        let test = &payload["key"]["lastTest"];
        assert_eq!(
            (&test["level"], &test["status"], &test["authentic"]),
            (&json!(level), &json!("SUCCESS"), &json!("YES"))
        );
        assert_eq!(
            (&test["hasCredit"], &test["modelAllowed"], &test["model"]),
            (&json!(credit), &json!(model), &name)
        );
        assert_eq!(test["upstreamStatus"], 200);
        assert!(
            test["message"].as_str().unwrap().len() > 10 && test["upstreamRequestId"].is_string()
        );
        assert_eq!(payload["key"]["version"], before["version"], "a test raises no version");
        assert_eq!(payload["commit"]["eventIds"].as_array().unwrap().len(), 2);
        assert_eq!(ada.last_events(2).await, ["KeyTested", "KeyTestStarted"]);
    }
    let unnamed = ada.done("testKey", json!({ "id": id })).await;
    assert_eq!(
        (&unnamed["key"]["lastTest"]["level"], unnamed["key"]["lastTest"]["model"].is_string()),
        (&json!("FULL"), true)
    );
}

async fn reads(ada: &Client, id: &str) -> String {
    let query = "query($id: ID!) { \
        viewer { id username email fullName roles createdAt eventsCursor \
            keys(first: 3) { edges { cursor node { ...K history { edges { cursor node { id } } nodes { type } \
                pageInfo { ...P } } } } nodes { id } pageInfo { ...P } totalCount } \
            defaultKey { ...K } \
            resolution { chosen { source key { id } chosen reason } candidates { source key { id } chosen reason } } \
            named: resolution(keyId: $id) { chosen { source key { id } } } \
            sessions { id createdAt lastSeenAt userAgent isCurrent } \
            history(types: [\"KeyAdded\"]) { edges { cursor node { ...H } } nodes { type } pageInfo { ...P } } } \
        key(id: $id, minPosition: \"1\") { ...K } \
        models { id name isDefault maxInputTokens maxOutputTokens priced } }";
    let data = ada.ask(query, json!({ "id": id })).await;
    let viewer = &data["viewer"];
    assert_eq!(
        (&viewer["username"], &viewer["email"], &viewer["roles"]),
        (&json!("ada"), &json!("ada@example.org"), &json!(["USER"]))
    );
    assert_eq!(
        (&viewer["fullName"], &viewer["createdAt"]),
        (&Value::Null, &json!("2026-11-23T15:00:00.000Z"))
    );
    assert_eq!(viewer["keys"]["totalCount"], 1);
    assert_eq!(
        (&viewer["keys"]["edges"][0]["node"]["id"], &viewer["defaultKey"]["id"]),
        (&json!(id), &json!(id))
    );
    assert_eq!(data["key"], viewer["defaultKey"]);
    assert_eq!(viewer["resolution"]["chosen"]["source"], "DEFAULT_KEY");
    assert_eq!(viewer["resolution"]["chosen"]["key"]["id"], json!(id));
    assert_eq!(viewer["named"]["chosen"], json!({ "source": "NAMED_KEY", "key": { "id": id } }));
    let session = &viewer["sessions"][0];
    assert_eq!(
        (&session["isCurrent"], &session["userAgent"]),
        (&json!(true), &json!("scenario/1"))
    );
    let added = &viewer["history"]["edges"][1]["node"];
    assert_eq!(
        (&added["type"], &added["actor"]["via"], &added["actor"]["userId"]),
        (&json!("KeyAdded"), &json!("graphql"), &viewer["id"])
    );
    assert_eq!((&added["content"]["name"], &added["facts"]["key"]), (&json!("work"), &json!(id)));
    assert!(
        !data.to_string().contains(key(Scenario::Good, 1).get(20..40).unwrap()),
        "a secret can't be read"
    );
    let models = data["models"].as_array().unwrap();
    assert_eq!(models.iter().filter(|model| model["isDefault"] == true).count(), 1);
    session["id"].as_str().unwrap().to_owned()
}

async fn nodes(ada: &Client, id: &str, session: &str) {
    let data = ada
        .ask(
            "{ viewer { id history(first: 1) { nodes { id correlationId commandId } } } }",
            json!({}),
        )
        .await;
    let (user, event) = (&data["viewer"]["id"], &data["viewer"]["history"]["nodes"][0]);
    let ids = json!([
        user,
        id,
        session,
        event["id"],
        event["correlationId"],
        event["commandId"],
        "garbage",
        ""
    ]);
    let query = "query($ids: [ID!]!, $id: ID!) { nodes(ids: $ids) { __typename id } node(id: $id) { id ... on ApiKey { name } } }";
    let data = ada.ask(query, json!({ "ids": ids, "id": id })).await;
    let found: Vec<_> = data["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["__typename"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(found, ["Viewer", "ApiKey", "Session", "Event", "", "", "", ""]);
    for (place, asked) in ids.as_array().unwrap().iter().enumerate().take(4) {
        assert_eq!(&data["nodes"][place]["id"], asked);
    }
    assert_eq!(data["node"], json!({ "id": id, "name": "work" }));
}

async fn changes(stage: &Stage, ada: &Client, id: &str) {
    stage.advance_ms(1_000);
    let renamed = ada.done("renameKey", json!({ "id": id, "name": "labour" })).await;
    assert_eq!(
        (&renamed["key"]["name"], &renamed["key"]["updatedAt"]),
        (&json!("labour"), &json!("2026-11-23T15:00:01.000Z"))
    );
    assert_eq!(renamed["key"]["version"], renamed["commit"]["version"]);
    let replaced = ada
        .done("replaceKeySecret", json!({ "id": id, "secret": key(Scenario::Revoked, 3) }))
        .await;
    assert_eq!(
        (&replaced["key"]["secretVersion"], &replaced["key"]["lastTest"]),
        (&json!(2), &Value::Null)
    );
    assert!(replaced["key"]["preview"].as_str().unwrap().starts_with("sk-ant-api03-rev..."));
    assert_eq!(
        ada.done("setKeyExpiry", json!({ "id": id, "expiresAt": null })).await["key"]["expiresAt"],
        Value::Null
    );
    let off = ada.done("deactivateKey", json!({ "id": id })).await;
    assert_eq!((&off["key"]["isActive"], &off["key"]["defaultFor"]), (&json!(false), &json!([])));
    let data = ada
        .ask(
            "query($id: ID!) { viewer { resolution(keyId: $id) { chosen { reason } candidates { reason } } } }",
            json!({ "id": id }),
        )
        .await;
    assert_eq!(
        data["viewer"]["resolution"],
        json!({ "chosen": null, "candidates": [{ "reason": "it is inactive" }] })
    );
    let on = ada.done("activateKey", json!({ "id": id })).await;
    assert_eq!(
        (&on["key"]["isActive"], &on["key"]["isDefault"]),
        (&json!(true), &json!(false)),
        "nothing is promoted silently"
    );
    let history = ada
        .ask(
            "query($id: ID!) { key(id: $id) { history(first: 6) { nodes { type } } } }",
            json!({ "id": id }),
        )
        .await;
    let activity = "query($id: ID!) { key(id: $id) { activity { lastCallAt lastSuccessAt lastFaultAt lastFault rateLimitedUntil \
        callsByDay { day calls } } } }";
    ada.ask(activity, json!({ "id": id })).await;
    let types: Vec<_> = history["key"]["history"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].clone())
        .collect();
    assert_eq!(
        types,
        [
            "KeyActivated",
            "KeyDeactivated",
            "DefaultCleared",
            "KeyExpirySet",
            "KeySecretReplaced",
            "KeyRenamed"
        ]
        .map(Value::from)
    );
}

/// The documents that the new sessions sent.
async fn sessions(stage: &Stage, ada: &Client) -> Vec<String> {
    let nobody = stage.nobody();
    for name in ["ada", "ADA ", "ada@example.org", " Ada@Example.ORG"] {
        let payload = nobody
            .done("login", json!({ "usernameOrEmail": name, "password": password("ada") }))
            .await;
        assert_eq!(payload["viewer"]["username"], "ada", "{name:?}");
    }
    let first = nobody
        .done("login", json!({ "usernameOrEmail": "ada", "password": password("ada") }))
        .await;
    let next =
        nobody.done("refreshSession", json!({ "refreshToken": first["refreshToken"] })).await;
    let second = nobody.with_token(next["accessToken"].as_str().unwrap());
    second.ask("{ viewer { id } }", json!({})).await;
    second.done("logout", json!({ "clientMutationId": "bye" })).await;
    assert_eq!(
        second.send("{ viewer { id } }", json!({})).await.code(),
        "UNAUTHENTICATED",
        "the session has ended"
    );
    let input = json!({ "currentPassword": password("ada"), "newPassword": "another password" });
    let changed = ada.done("changePassword", input).await;
    assert_eq!(
        ada.send("{ viewer { id } }", json!({})).await.code(),
        "UNAUTHENTICATED",
        "every session has ended"
    );
    let third = nobody.with_token(changed["accessToken"].as_str().unwrap());
    let input = json!({ "usernameOrEmail": "ada", "password": "another password" });
    let fourth = nobody.done("login", input).await;
    let fourth = nobody.with_token(fourth["accessToken"].as_str().unwrap());
    third.done("revokeSessions", json!({})).await;
    assert_eq!(fourth.send("{ viewer { id } }", json!({})).await.code(), "UNAUTHENTICATED");
    let data = third.ask("{ viewer { sessions { isCurrent } } }", json!({})).await;
    assert_eq!(data["viewer"]["sessions"], json!([{ "isCurrent": true }]));
    nobody.sent()
}

/// Fields of the schema that no document selects. User errors are selected through their interface.
fn not_asked_for(documents: &[String]) -> BTreeSet<String> {
    let sdl = claviger_graphql::sdl();
    let types = SchemaTypes::from_sdl(&sdl).unwrap();
    let mut asked = BTreeSet::new();
    for document in documents {
        let document = parse_query(document).unwrap();
        for (_, operation) in document.operations.iter() {
            walk(
                &operation.node.selection_set.node,
                types.root(operation.node.ty),
                &types,
                &mut asked,
            );
        }
        for fragment in document.fragments.values() {
            walk(
                &fragment.node.selection_set.node,
                &fragment.node.type_condition.node.on.node,
                &types,
                &mut asked,
            );
        }
    }
    let mut missed = BTreeSet::new();
    for definition in parse_schema(&sdl).unwrap().definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let TypeKind::Object(object) = &definition.node.kind else { continue };
        if object.implements.iter().any(|interface| interface.node == "UserError") {
            continue;
        }
        let of_type = &definition.node.name.node;
        missed.extend(
            object.fields.iter().map(|field| format!("{of_type}.{}", field.node.name.node)),
        );
    }
    &missed - &asked
}

fn walk(set: &SelectionSet, parent: &str, types: &SchemaTypes, asked: &mut BTreeSet<String>) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => {
                let name = &field.node.name.node;
                asked.insert(format!("{parent}.{name}"));
                if let Some(shape) = types.field(parent, name) {
                    walk(&field.node.selection_set.node, &shape.output, types, asked);
                }
            }
            Selection::InlineFragment(inline) => {
                let on = inline
                    .node
                    .type_condition
                    .as_ref()
                    .map_or(parent, |on| on.node.on.node.as_str());
                walk(&inline.node.selection_set.node, on, types, asked);
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}
