//! Every command on an account has a face, or a reason why it has none.

/// The command and the mutation, command or reason.
const FACES: &[(&str, &str)] = &[
    ("RegisterAccount", "register, createAccount, user add"),
    ("RegisterExternal", "none: the first token of an external issuer's user"),
    ("RenameAccount", "renameAccount, user rename"),
    ("ChangePassword", "changePassword"),
    ("GrantRole", "grantRole, user role"),
    ("RevokeRole", "revokeRole, user role"),
    ("DeactivateAccount", "deactivateAccount, user deactivate"),
    ("ReactivateAccount", "reactivateAccount, user reactivate"),
    ("SignIn", "login"),
    ("SignOut", "logout"),
    ("RevokeSessions", "revokeSessions, endAccountSessions, user sessions"),
    ("ReportRefreshReuse", "none: follows from a refresh token that is used twice"),
    ("EraseAccount", "none yet: an erasure needs its own confirmation"),
    ("EndSession", "endSession, user sessions"),
    ("CreatePasswordReset", "createPasswordReset, user password"),
    ("ResetPassword", "resetPassword"),
    ("AddKey", "addKey, key add"),
    ("RenameKey", "renameKey"),
    (
        "ChangeKey",
        "none in GraphQL: PATCH /api/anthropic-api-keys/{id} is one change, whole or not",
    ),
    ("ReplaceSecret", "replaceKeySecret"),
    ("SetDefault", "setDefaultKey, key default"),
    ("ClearDefault", "clearDefaultKey"),
    ("ActivateKey", "activateKey"),
    ("DeactivateKey", "deactivateKey"),
    ("SetExpiry", "setKeyExpiry"),
    ("RecordExpiry", "none: a timer records that a key has expired"),
    ("StartKeyTest", "testKey, key test"),
    ("FinishKeyTest", "testKey, key test"),
    ("DeleteKey", "deleteKey"),
    ("RequestRun", "startOrchestration, run start"),
    ("ControlRun", "cancelOrchestration, pauseOrchestration, resumeOrchestration, run cancel"),
];

/// Commands that the engine gives on a run, and nobody else.
const ENGINE: &str = "domain/src/orchestration/commands/mod.rs";

/// The names in the list of a `commands!` macro.
fn commands(file: &str) -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join(file)).unwrap();
    let (_, list) = text.split_once("commands! {").expect("the list of commands");
    let (_, list) = list.split_once("Error {").expect("the names");
    let (list, _) = list.split_once('}').expect("the end of the list");
    let names = list.split(',').map(|name| name.split("=>").next().unwrap().trim().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_command_of_the_domain_has_a_face_or_a_reason_why_not() {
    let sdl = claviger_graphql::sdl();
    let mut listed: Vec<String> = Vec::new();
    for file in ["domain/src/account/commands/mod.rs", "domain/src/key_ring/commands/mod.rs"] {
        listed.extend(commands(file));
    }
    listed.extend(["RequestRun", "ControlRun"].map(str::to_owned));
    assert!(commands(ENGINE).contains(&"RequestRun".to_owned()));
    let known: Vec<String> = FACES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let without: Vec<_> = listed.iter().filter(|name| !known.contains(name)).collect();
    assert!(without.is_empty(), "no face and no reason: {without:?}");
    let stale: Vec<_> = known.iter().filter(|name| !listed.contains(name)).collect();
    assert!(stale.is_empty(), "no command has these names: {stale:?}");
    for (command, faces) in FACES.iter().filter(|(_, faces)| !faces.starts_with("none")) {
        for face in faces.split(", ").filter(|face| !face.contains(' ')) {
            assert!(sdl.contains(&format!("\t{face}(input:")), "{command}: no mutation {face}");
        }
    }
}
