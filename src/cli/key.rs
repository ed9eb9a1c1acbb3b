//! `key`: lets the operator manage a user's keys.

use super::CliError;
use super::args::{KeyCommand as Args, LevelArg};
use super::input::Input;
use super::output::Text;
use super::user::{find, operator};
use crate::app::wiring::Core;
use crate::bus::Commands;
use crate::socket::Answer;
use claviger_application::ids::{IdKind, decode_as, encode};
use claviger_application::{CommandContext, KeyCommand, KeyCommands as _, Reads as _};
use claviger_domain::actor::Actor;
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::code::ErrorCode;
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::key_test::KeyTestLevel;
use claviger_domain::text::{Context, KeyName, ModelId};
use claviger_projections::keys::KeyView;
use claviger_projections::ports::Page;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) async fn execute(
    args: &Args,
    core: &Core,
    input: &mut Input,
    json: bool,
) -> Result<Answer, CliError> {
    let keys = work(core, args, Parsed::of(args, input)?).await?;
    let mut text = Text::default();
    print(&mut text, &keys, args, json);
    let failed = matches!(args, Args::Test { .. })
        && keys
            .iter()
            .any(|key| key.facts.last_test.as_ref().is_none_or(|test| !is_success(&test.verdict)));
    let exit = if failed { ErrorCode::KeyUnavailable.exit_code() } else { 0 };
    Ok(Answer { out: text.into_string(), exit })
}

/// Refuses what can't be right, before anything is opened or asked. Reads the secret that the
/// command needs.
pub(super) fn check(args: &Args, input: &mut Input) -> Result<(), CliError> {
    Parsed::of(args, input).map(drop)
}

fn is_success(verdict: &claviger_domain::key_test::KeyVerdict) -> bool {
    verdict.status == claviger_domain::key_test::KeyTestStatus::Success
}

/// The arguments, parsed.
enum Parsed {
    List,
    Add { name: KeyName, secret: ApiKeySecret, context: Context, make_default: Option<bool> },
    Test { level: KeyTestLevel, model: Option<ModelId> },
    Default { context: Context },
}

fn invalid(error: impl std::fmt::Display) -> CliError {
    CliError::new(ErrorCode::Validation, error.to_string())
}

impl Parsed {
    fn of(args: &Args, input: &mut Input) -> Result<Self, CliError> {
        Ok(match args {
            Args::List(_) => Self::List,
            Args::Add { name, context, default, .. } => Self::Add {
                name: KeyName::parse(name).map_err(invalid)?,
                context: Context::parse(context).map_err(invalid)?,
                secret: ApiKeySecret::parse(&input.read("the API key")?).map_err(invalid)?,
                make_default: default.then_some(true),
            },
            Args::Test { level, with, .. } => Self::Test {
                level: match level {
                    LevelArg::Authentic => KeyTestLevel::Authentic,
                    LevelArg::Model => KeyTestLevel::Model,
                    LevelArg::Full => KeyTestLevel::Full,
                },
                model: with
                    .as_deref()
                    .map(|model| {
                        ModelId::parse(model).ok_or_else(|| invalid("this is not a model id"))
                    })
                    .transpose()?,
            },
            Args::Default { context, .. } => {
                Self::Default { context: Context::parse(context).map_err(invalid)? }
            }
        })
    }
}

async fn work(core: &Core, args: &Args, parsed: Parsed) -> Result<Vec<KeyView>, CliError> {
    let (of, wanted) = match args {
        Args::List(of) | Args::Add { of, .. } => (of, None),
        Args::Test { of, key, .. } | Args::Default { of, key, .. } => (of, Some(key)),
    };
    let owner = find(core, &of.user).await?;
    let key = match wanted {
        Some(wanted) => find_key(core, owner, wanted).await?,
        None => KeyId::default(),
    };
    let command = match parsed {
        Parsed::List => return all_keys(core, owner).await,
        Parsed::Add { name, secret, context, make_default } => {
            KeyCommand::Add { name, secret, make_default, context, expires_at: None }
        }
        Parsed::Test { level, model } => KeyCommand::Test { key, level, model },
        Parsed::Default { context } => KeyCommand::SetDefault { key, context, expected: None },
    };
    let context = CommandContext {
        owner,
        actor: Actor::OPERATOR,
        roles: BTreeSet::new(),
        foreign: None,
        correlation: operator(core).correlation,
        idempotency_key: None,
    };
    let commands = Commands { bus: Arc::clone(&core.bus), limits: Arc::default() };
    let done = commands.run(context, command).await?;
    match done.key {
        Some(key) => Ok(core.reads.key(owner, key).await?.into_iter().collect()),
        None => Ok(Vec::new()),
    }
}

async fn all_keys(core: &Core, owner: UserId) -> Result<Vec<KeyView>, CliError> {
    let mut keys: Vec<KeyView> = Vec::new();
    loop {
        let after = keys.last().map(|key| (key.facts.created_at.0, key.id.0));
        let page = core.reads.keys(owner, Page { after, limit: 100, ..Page::default() }).await?;
        keys.extend(page.keys);
        if !page.more {
            return Ok(keys);
        }
    }
}

/// Finds a key by its id, or by its name if the name is unique.
async fn find_key(core: &Core, owner: UserId, wanted: &str) -> Result<KeyId, CliError> {
    let keys = all_keys(core, owner).await?;
    let id = decode_as(IdKind::ApiKey, wanted).map(KeyId);
    let named = |key: &&KeyView| key.content.as_ref().is_some_and(|content| content.name == wanted);
    let mut found = keys.iter().filter(|key| Some(key.id) == id || named(key));
    match (found.next(), found.next()) {
        (Some(key), None) => Ok(key.id),
        (Some(_), Some(_)) => Err(CliError::new(
            ErrorCode::Conflict,
            "several keys have this name: give the id (claviger key list)",
        )),
        (None, _) => Err(CliError::new(
            ErrorCode::NotFound,
            "no such key: list the user's keys with claviger key list",
        )),
    }
}

fn print(text: &mut Text, keys: &[KeyView], args: &Args, json: bool) {
    let is_list = matches!(args, Args::List(_));
    if json {
        let values: Vec<_> = keys.iter().map(as_json).collect();
        match values.first() {
            Some(value) if !is_list => text.json(value),
            _ => text.json(&values),
        }
        return;
    }
    if keys.is_empty() {
        text.line("no keys yet: add one with claviger key add --user NAME --name work < key.txt");
        return;
    }
    let rows: Vec<Vec<String>> = keys.iter().map(as_row).collect();
    text.table(&["ID", "NAME", "KEY", "STATE", "DEFAULT FOR", "LAST TEST"], &rows);
    if matches!(args, Args::Test { .. })
        && let Some(notes) = keys.first().and_then(|key| key.content.as_ref()?.test_notes.as_ref())
    {
        text.line(&notes.message);
    }
}

fn as_row(key: &KeyView) -> Vec<String> {
    let content = key.content.clone().unwrap_or_default();
    let contexts: Vec<String> = content.default_for.into_values().collect();
    let status = key
        .facts
        .last_test
        .as_ref()
        .map_or("never".to_owned(), |test| format!("{:?}", test.verdict.status).to_lowercase());
    vec![
        encode(IdKind::ApiKey, key.id.0),
        content.name,
        content.preview,
        if key.facts.is_active { "active".to_owned() } else { "inactive".to_owned() },
        contexts.join(", "),
        status,
    ]
}

fn as_json(key: &KeyView) -> serde_json::Value {
    let content = key.content.clone().unwrap_or_default();
    json!({
        "id": encode(IdKind::ApiKey, key.id.0),
        "name": content.name,
        "preview": content.preview,
        "isActive": key.facts.is_active,
        "defaultFor": content.default_for.into_values().collect::<Vec<_>>(),
        "secretVersion": key.facts.secret_version,
        "version": key.facts.version.to_string(),
        "createdAt": key.facts.created_at.to_string(),
        "expiresAt": key.facts.expires_at.map(|at| at.to_string()),
        "lastTest": key.facts.last_test.as_ref().map(|test| json!({
            "at": test.at.to_string(),
            "level": test.level,
            "status": test.verdict.status,
            "authentic": test.verdict.authentic,
            "hasCredit": test.verdict.has_credit,
            "modelAllowed": test.verdict.model_allowed,
            "model": test.model,
            "message": content.test_notes.as_ref().map(|notes| notes.message.clone()),
        })),
    })
}
