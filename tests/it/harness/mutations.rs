//! Mutations as the tests send them: the input's type and the fields of the payload, by name.

use super::client::{Answer, Client};
use super::person::password;
use serde_json::{Value, json};

/// Fragments that any document may spread.
const FRAGMENTS: [(&str, &str); 5] = [
    (
        "...K",
        " fragment K on ApiKey { id name preview isActive isDefault defaultFor secretVersion version \
         createdAt updatedAt expiresAt lastTest { at level status authentic hasCredit modelAllowed \
         model rateLimitedUntil organizationId workspaceId upstreamStatus upstreamRequestId \
         durationMs message } }",
    ),
    ("...C", " fragment C on Commit { position stream version eventIds replayed }"),
    (
        "...E",
        " fragment E on UserError { __typename code message path \
         ... on ConflictError { expectedVersion actualVersion existing } \
         ... on CredentialError { candidates { source chosen reason } } \
         ... on UpstreamError { status retryAfterMs requestId } }",
    ),
    ("...P", " fragment P on PageInfo { hasNextPage hasPreviousPage startCursor endCursor }"),
    (
        "...H",
        " fragment H on Event { id position stream version type schema at \
         actor { userId role via } commandId correlationId causationId facts content }",
    ),
];

/// The input of a mutation, and what its payload has beside errors.
fn shape(mutation: &str) -> (&'static str, &'static str) {
    const SESSION: &str = "accessToken refreshToken expiresAt viewer { id username }";
    const KEY: &str = "key { ...K } commit { ...C }";
    const ACCOUNT: &str = "account { id userId username email fullName roles state version } \
        resetToken resetTokenExpiresAt commit { ...C }";
    const RUN: &str = "orchestration { id state } commit { ...C }";
    match mutation {
        "register" => ("RegisterInput", SESSION),
        "login" => ("LoginInput", SESSION),
        "refreshSession" => ("RefreshSessionInput", SESSION),
        "changePassword" => ("ChangePasswordInput", SESSION),
        "logout" => ("LogoutInput", ""),
        "revokeSessions" => ("RevokeSessionsInput", ""),
        "endSession" => ("SessionInput", ""),
        "resetPassword" => ("ResetPasswordInput", SESSION),
        "renameAccount" => ("RenameAccountInput", ACCOUNT),
        "createAccount" => ("CreateAccountInput", ACCOUNT),
        "grantRole" | "revokeRole" => ("AccountRoleInput", ACCOUNT),
        "deactivateAccount"
        | "reactivateAccount"
        | "endAccountSessions"
        | "createPasswordReset" => ("AccountInput", ACCOUNT),
        "addKey" => ("AddKeyInput", KEY),
        "testKey" => ("TestKeyInput", KEY),
        "setDefaultKey" => ("DefaultKeyInput", KEY),
        "clearDefaultKey" => ("ClearDefaultKeyInput", KEY),
        "activateKey" | "deactivateKey" => ("KeyInput", KEY),
        "renameKey" => ("RenameKeyInput", KEY),
        "replaceKeySecret" => ("ReplaceKeySecretInput", KEY),
        "setKeyExpiry" => ("SetKeyExpiryInput", KEY),
        "startOrchestration" => ("StartOrchestrationInput", RUN),
        "cancelOrchestration" | "pauseOrchestration" | "resumeOrchestration" => {
            ("OrchestrationInput", RUN)
        }
        "deleteKey" => ("KeyInput", "deletedId commit { ...C }"),
        other => panic!("no mutation {other}"),
    }
}

/// The document with the fragments that it spreads.
pub(crate) fn with_fragments(query: &str) -> String {
    let spread = FRAGMENTS
        .iter()
        .filter(|(spread, _)| query.contains(spread))
        .map(|(_, fragment)| *fragment);
    std::iter::once(query).chain(spread).collect()
}

/// The document of a mutation whose one variable is its input.
pub(crate) fn document(mutation: &str) -> String {
    let (of_type, fields) = shape(mutation);
    let selection = format!("{fields} userErrors {{ ...E }} clientMutationId");
    format!("mutation($input: {of_type}!) {{ {mutation}(input: $input) {{ {selection} }} }}")
}

impl Client {
    /// Registers, and is signed in.
    pub(crate) async fn register(url: &str, name: &str) -> Self {
        Self::new(url).registered(name).await
    }

    /// The user of this name, registered and signed in.
    pub(crate) async fn registered(&self, name: &str) -> Self {
        let email = format!("{name}@example.org");
        let input = json!({ "username": name, "email": email, "password": password(name) });
        let payload = self.done("register", input).await;
        self.with_token(payload["accessToken"].as_str().unwrap())
    }

    /// The answer to a mutation, or nothing if none came.
    pub(crate) async fn try_mutation(&self, mutation: &str, input: &Value) -> Option<Answer> {
        self.try_send(&document(mutation), &json!({ "input": input })).await
    }

    /// The answer to a mutation.
    pub(crate) async fn send_mutation(&self, mutation: &str, input: Value) -> Answer {
        self.try_mutation(mutation, &input).await.expect("an answer")
    }

    /// The payload of a mutation, done or refused.
    pub(crate) async fn run(&self, mutation: &str, input: Value) -> Value {
        self.send_mutation(mutation, input).await.data()[mutation].take()
    }

    /// The payload of a mutation that must be done.
    pub(crate) async fn done(&self, mutation: &str, input: Value) -> Value {
        let payload = self.run(mutation, input).await;
        assert_eq!(payload["userErrors"], json!([]), "{mutation}");
        payload
    }

    /// Adds a key that is no default; its id.
    pub(crate) async fn add(&self, name: &str, secret: &str) -> String {
        let input = json!({ "name": name, "secret": secret, "makeDefault": false });
        let payload = self.done("addKey", input).await;
        payload["key"]["id"].as_str().unwrap().to_owned()
    }

    /// A key as it is now.
    pub(crate) async fn key(&self, id: &str) -> Value {
        let query = "query($id: ID!) { key(id: $id) { ...K } }";
        self.ask(query, json!({ "id": id })).await["key"].take()
    }

    /// Types of the viewer's last events, newest first.
    pub(crate) async fn last_events(&self, count: usize) -> Vec<String> {
        let query = "query($count: Int) { viewer { history(first: $count) { nodes { type } } } }";
        let data = self.ask(query, json!({ "count": count })).await;
        let nodes = data["viewer"]["history"]["nodes"].as_array().unwrap();
        nodes.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }
}
