//! Roles by fields by mutations, from the schema: each root field has a rule, and holds to it for
//! everybody, on what belongs to somebody else.

use super::stage::{Stage, account_of, user_of};
use crate::harness::client::Client;
use crate::harness::stores::StoreKind;
use async_graphql_parser::parse_schema;
use async_graphql_parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition,
};
use claviger::simulator::keys::{Scenario, key};
use claviger_application::ids::{IdKind, encode};
use claviger_domain::actor::Role;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Who may use a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Everybody,
    SignedIn,
    Administrators,
}

use Who::{Administrators, Everybody, SignedIn};

const RULES: &[(&str, Who)] = &[
    ("Query.node", SignedIn),
    ("Query.nodes", SignedIn),
    ("Query.viewer", SignedIn),
    ("Query.key", SignedIn),
    ("Query.orchestration", SignedIn),
    ("Query.models", SignedIn),
    ("Query.server", Everybody),
    ("Query.admin", Administrators),
    ("Mutation.register", Everybody),
    ("Mutation.login", Everybody),
    ("Mutation.refreshSession", Everybody),
    ("Mutation.resetPassword", Everybody),
    ("Mutation.logout", SignedIn),
    ("Mutation.changePassword", SignedIn),
    ("Mutation.revokeSessions", SignedIn),
    ("Mutation.createStreamTicket", SignedIn),
    ("Mutation.endSession", SignedIn),
    // On the viewer's own account; the matrix names another's.
    ("Mutation.renameAccount", Administrators),
    ("Mutation.createAccount", Administrators),
    ("Mutation.deactivateAccount", Administrators),
    ("Mutation.reactivateAccount", Administrators),
    ("Mutation.grantRole", Administrators),
    ("Mutation.revokeRole", Administrators),
    ("Mutation.endAccountSessions", Administrators),
    ("Mutation.createPasswordReset", Administrators),
    ("Mutation.addKey", SignedIn),
    ("Mutation.testKey", SignedIn),
    ("Mutation.setDefaultKey", SignedIn),
    ("Mutation.clearDefaultKey", SignedIn),
    ("Mutation.activateKey", SignedIn),
    ("Mutation.deactivateKey", SignedIn),
    ("Mutation.renameKey", SignedIn),
    ("Mutation.replaceKeySecret", SignedIn),
    ("Mutation.setKeyExpiry", SignedIn),
    ("Mutation.deleteKey", SignedIn),
    ("Mutation.startOrchestration", SignedIn),
    ("Mutation.cancelOrchestration", SignedIn),
    ("Mutation.pauseOrchestration", SignedIn),
    ("Mutation.resumeOrchestration", SignedIn),
    ("Subscription.viewerEvents", SignedIn),
    ("Subscription.orchestration", SignedIn),
    // Auditors too: `scenario::live::revocation`.
    ("Subscription.auditEvents", Administrators),
];

/// The schema, as far as the matrix needs it.
struct Schema {
    /// The fields of the root types.
    roots: BTreeMap<String, Vec<FieldDefinition>>,
    inputs: BTreeMap<String, Vec<InputValueDefinition>>,
}

impl Schema {
    fn read() -> Self {
        let (mut roots, mut inputs) = (BTreeMap::new(), BTreeMap::new());
        for definition in parse_schema(claviger_graphql::sdl()).unwrap().definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.to_string();
            if let TypeKind::Object(object) = &definition.node.kind {
                let fields = object.fields.iter().map(|field| field.node.clone()).collect();
                if ["Query", "Mutation", "Subscription"].contains(&name.as_str()) {
                    roots.insert(name, fields);
                }
            } else if let TypeKind::InputObject(input) = &definition.node.kind {
                inputs.insert(name, input.fields.iter().map(|field| field.node.clone()).collect());
            }
        }
        Self { roots, inputs }
    }

    fn fields(&self) -> BTreeSet<String> {
        let of = |(root, fields): (&String, &Vec<FieldDefinition>)| {
            fields.iter().map(|field| format!("{root}.{}", field.name.node)).collect::<Vec<_>>()
        };
        self.roots.iter().flat_map(of).collect()
    }

    /// The least input of a type that is valid, about somebody else's things.
    fn input(&self, name: &str, victim: &Victim) -> Value {
        let mut input = Map::new();
        for field in &self.inputs[name] {
            let (at, ty) = (field.name.node.as_str(), &field.ty.node);
            if !ty.nullable || at == "id" {
                input.insert(at.to_owned(), self.value(&ty.base, (name, at), victim));
            }
        }
        input.into()
    }

    fn value(&self, base: &BaseType, (of, at): (&str, &str), victim: &Victim) -> Value {
        let BaseType::Named(name) = base else { return json!([]) };
        match (name.as_str(), of, at) {
            ("ID", _, _) if of.contains("Account") => json!(victim.account),
            ("ID", _, _) if of.contains("Session") => json!(victim.session),
            ("ID", _, _) => json!(victim.key),
            (_, "StartOrchestrationInput", "pattern") => {
                json!({ "sequential": { "task": "Wait.", "agents": [] } })
            }
            ("Role", ..) => json!("AUDITOR"),
            ("Secret", "AddKeyInput" | "ReplaceKeySecretInput", _) => {
                json!(key(Scenario::Good, 77))
            }
            ("Secret", ..) => json!("a long password"),
            ("String", _, "email") => json!("somebody.new@example.org"),
            ("String", ..) => json!("somebody new"),
            (input, ..) => self.input(input, victim),
        }
    }
}

/// Somebody whose things others name.
struct Victim {
    account: String,
    key: String,
    session: String,
}

/// Sends a field of a root with everything that it requires; the code of its top-level error.
async fn code(client: &Client, schema: &Schema, place: &str, victim: &Victim) -> String {
    let (root, name) = place.split_once('.').unwrap();
    let field = schema.roots[root].iter().find(|field| field.name.node == name).unwrap();
    let (mut variables, mut heads, mut arguments) = (Map::new(), Vec::new(), Vec::new());
    for argument in field.arguments.iter().map(|argument| &argument.node) {
        let (at, ty) = (argument.name.node.as_str(), &argument.ty.node);
        if ty.nullable {
            continue;
        }
        let value = match &ty.base {
            BaseType::Named(input) if schema.inputs.contains_key(input.as_str()) => {
                schema.input(input, victim)
            }
            BaseType::Named(_) => json!(victim.key),
            BaseType::List(_) => json!([victim.key, victim.account]),
        };
        variables.insert(at.to_owned(), value);
        heads.push(format!("${at}: {ty}"));
        arguments.push(format!("{at}: ${at}"));
    }
    let of = |parts: &[String]| {
        if parts.is_empty() { String::new() } else { format!("({})", parts.join(", ")) }
    };
    let kind = root.to_lowercase();
    let (heads, arguments) = (of(&heads), of(&arguments));
    let query = format!("{kind} Q{heads} {{ {name}{arguments} {{ __typename }} }}");
    client.send(&query, variables.into()).await.code()
}

#[test]
fn every_root_field_of_the_schema_has_a_rule() {
    let there = Schema::read().fields();
    let ruled: BTreeSet<String> = RULES.iter().map(|(place, _)| (*place).to_owned()).collect();
    let without: Vec<_> = there.difference(&ruled).collect();
    assert!(without.is_empty(), "who may use these? {without:?}");
    let stale: Vec<_> = ruled.difference(&there).collect();
    assert!(stale.is_empty(), "the schema has no {stale:?}");
}

#[tokio::test]
async fn every_field_holds_to_its_rule_for_every_role() {
    let schema = Schema::read();
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let ada = stage.user("ada").await;
        let victim = Victim {
            account: account_of(&ada).await,
            key: ada.add("work", &key(Scenario::Good, 1)).await,
            session: {
                let data = ada.ask("{ viewer { sessions { id } } }", json!({})).await;
                data["viewer"]["sessions"][0]["id"].as_str().unwrap().to_owned()
            },
        };
        // A removed administrator keeps the sign-in, but not the role.
        let former = stage.with_role("former", Role::Admin).await;
        stage.with_role("root", Role::Admin).await;
        let revoke = claviger_application::AccountChange::Revoke(Role::Admin);
        stage.by_operator(user_of(&former).await, revoke).await;
        let auditor = stage.with_role("audit", Role::Auditor).await;
        let user = stage.user("bob").await;
        let nobody = stage.nobody();
        let watched =
            [("nobody", &nobody), ("user", &user), ("auditor", &auditor), ("former", &former)];
        let of_victim = async || {
            let query = "{ viewer { username roles keys { nodes { ...K } } sessions { id } } }";
            ada.ask(query, json!({})).await
        };
        let before = of_victim().await;
        for (place, who) in RULES.iter().filter(|(place, _)| !place.starts_with("Subscription")) {
            // They end the sessions by which the others are asked.
            let ends = ["Mutation.logout", "Mutation.revokeSessions"].contains(place);
            for (name, client) in &watched {
                if ends && *name != "nobody" {
                    continue;
                }
                let code = code(client, &schema, place, &victim).await;
                match (who, *name) {
                    (SignedIn | Administrators, "nobody") => {
                        assert_eq!(code, "UNAUTHENTICATED", "{place} for {name}");
                    }
                    (Administrators, _) => assert_eq!(code, "FORBIDDEN", "{place} for {name}"),
                    (Everybody | SignedIn, _) => assert_eq!(code, "", "{place} for {name}"),
                }
            }
            assert_eq!(of_victim().await, before, "{place} changed what is ada's");
        }
        if *kind == StoreKind::Sqlite {
            administrators_may(&stage, &schema).await;
        }
        stage.close().await;
    }
}

/// An administrator may use each field, and gets nothing but the account of another.
async fn administrators_may(stage: &Stage, schema: &Schema) {
    let (admin, victim) = (stage.with_role("admin", Role::Admin).await, stage.user("eve").await);
    let key = victim.add("work", &key(Scenario::Good, 1)).await;
    let account = account_of(&victim).await;
    let foreign = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename } }";
    let user = encode(IdKind::User, user_of(&victim).await.0);
    let nodes = admin.ask(foreign, json!({ "ids": [key, account, user] })).await["nodes"].clone();
    assert_eq!(nodes, json!([null, { "__typename": "Account" }, null]));
    let victim = Victim { account, key, session: String::new() };
    let theirs = RULES.iter().filter(|(_, who)| *who == Administrators);
    for (place, _) in theirs.filter(|(place, _)| !place.starts_with("Subscription")) {
        assert_eq!(code(&admin, schema, place, &victim).await, "", "{place}");
    }
}
