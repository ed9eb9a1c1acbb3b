//! The canonical form of a command's input, from which its request hash is computed: the same
//! request has the same hash on every face.

use claviger_application::KeyCommand;
use claviger_domain::key_test::KeyTestLevel;
use claviger_domain::secret::WipedBytes;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// The mutation's name, and its input as JSON with sorted keys, without spaces, and including the
/// secret. The caller hashes it under the user's key, and it is wiped when dropped.
pub(crate) fn canonical(command: &KeyCommand) -> (&'static str, Zeroizing<Vec<u8>>) {
    let (mutation, mut input) = describe(command);
    let mut text = WipedBytes::default();
    // serde_json keeps object keys sorted. Writing to memory can't fail.
    let _ = serde_json::to_writer(&mut text, &input);
    wipe(&mut input);
    (mutation, text.into_inner())
}

fn describe(command: &KeyCommand) -> (&'static str, Value) {
    match command {
        KeyCommand::Add { name, secret, make_default, context, expires_at } => (
            "addKey",
            json!({
                "name": name.as_str(),
                "secret": secret.expose(),
                "makeDefault": make_default,
                "context": context.as_str(),
                "expiresAt": expires_at.map(|at| at.0),
            }),
        ),
        KeyCommand::Test { key, level, model } => (
            "testKey",
            json!({ "id": key, "level": level_name(*level), "model": model.as_ref().map(claviger_domain::text::ModelId::as_str) }),
        ),
        KeyCommand::SetDefault { key, context, expected } => (
            "setDefaultKey",
            json!({ "id": key, "context": context.as_str(), "expectedVersion": expected }),
        ),
        KeyCommand::ClearDefault { context, expected } => {
            ("clearDefaultKey", json!({ "context": context.as_str(), "expectedVersion": expected }))
        }
        KeyCommand::Activate { key, expected } => {
            ("activateKey", json!({ "id": key, "expectedVersion": expected }))
        }
        KeyCommand::Deactivate { key, expected } => {
            ("deactivateKey", json!({ "id": key, "expectedVersion": expected }))
        }
        KeyCommand::Rename { key, name, expected } => {
            ("renameKey", json!({ "id": key, "name": name.as_str(), "expectedVersion": expected }))
        }
        KeyCommand::Change { key, name, is_active, is_default, context, expected } => (
            "changeKey",
            json!({
                "id": key,
                "name": name.as_ref().map(claviger_domain::text::KeyName::as_str),
                "isActive": is_active,
                "isDefault": is_default,
                "context": context.as_str(),
                "expectedVersion": expected,
            }),
        ),
        KeyCommand::ReplaceSecret { key, secret, expected } => (
            "replaceKeySecret",
            json!({ "id": key, "secret": secret.expose(), "expectedVersion": expected }),
        ),
        KeyCommand::SetExpiry { key, expires_at, expected } => (
            "setKeyExpiry",
            json!({ "id": key, "expiresAt": expires_at.map(|at| at.0), "expectedVersion": expected }),
        ),
        KeyCommand::Delete { key, expected } => {
            ("deleteKey", json!({ "id": key, "expectedVersion": expected }))
        }
    }
}

const fn level_name(level: KeyTestLevel) -> &'static str {
    match level {
        KeyTestLevel::Authentic => "AUTHENTIC",
        KeyTestLevel::Model => "MODEL",
        KeyTestLevel::Full => "FULL",
    }
}

/// Overwrites the copy of the secret.
fn wipe(input: &mut Value) {
    if let Some(Value::String(secret)) = input.get_mut("secret") {
        zeroize::Zeroize::zeroize(secret);
    }
}
