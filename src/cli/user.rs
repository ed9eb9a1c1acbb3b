//! `user`: lets the operator manage accounts, directly on the store.

use super::args::{RoleArg, UserAddArgs, UserCommand};
use super::{CliError, output};
use crate::app::config::Config;
use crate::app::wiring::Core;
use crate::system::environment::Environment;
use claviger_application::ids::{IdKind, encode};
use claviger_application::{PeerKey, RequestInfo};
use claviger_domain::actor::{Role, Via};
use claviger_domain::code::ErrorCode;
use claviger_domain::id::{CorrelationId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::text::{Email, FullName, Password, TextError, Username};
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::process::ExitCode;

pub(super) async fn run(
    command: &UserCommand,
    config: &Config,
    json: bool,
) -> Result<ExitCode, CliError> {
    let UserCommand::Add(args) = command;
    let refused = |error: TextError| CliError::new(ErrorCode::Validation, error.to_string());
    let username = Username::parse(&args.name).map_err(refused)?;
    let email = Email::parse(&args.email).map_err(refused)?;
    let full_name = args.full_name.as_deref().map(FullName::parse).transpose().map_err(refused)?;
    let password = Password::parse(read_secret("the password")?).map_err(refused)?;
    let core = Core::open(config, Environment::system(), "claviger user add").await?;
    let info = operator(&core);
    let added =
        core.auth.add_user(&info, (username, email, full_name), &password, role(args)).await;
    core.close().await;
    let user = added?;
    if json {
        output::json(
            &serde_json::json!({ "id": encode(IdKind::User, user.0), "username": args.name, "role": role(args) }),
        );
    } else {
        output::line(&format!(
            "made the account {} ({})",
            args.name.trim(),
            encode(IdKind::User, user.0)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

const fn role(args: &UserAddArgs) -> Role {
    match args.role {
        RoleArg::User => Role::User,
        RoleArg::Auditor => Role::Auditor,
        RoleArg::Admin => Role::Admin,
    }
}

/// The operator at the command line.
pub(super) fn operator(core: &Core) -> RequestInfo {
    RequestInfo {
        correlation: CorrelationId(core.env.ids.next()),
        user_agent: None,
        peer: PeerKey::default(),
        via: Via::Cli,
    }
}

/// Finds the user with this name.
pub(super) async fn find(core: &Core, name: &str) -> Result<UserId, CliError> {
    let user = core.reads.find_user(name).await?;
    user.ok_or_else(|| {
        CliError::new(
            ErrorCode::NotFound,
            "no such user: give a registered username or e-mail address",
        )
    })
}

/// Reads a secret from standard input: one line, without its line end.
pub(super) fn read_secret(what: &str) -> Result<SecretText, CliError> {
    let mut text = zeroize::Zeroizing::new(String::new());
    let unreadable = |_| {
        CliError::new(ErrorCode::Validation, format!("{what} on standard input is not UTF-8 text"))
    };
    let input = std::io::stdin();
    if input.is_terminal() {
        output::prompt(&format!(
            "{what}, then Enter (it shows as you type; from a file: < FILE): "
        ));
    }
    input.lock().take(64 * 1024).read_line(&mut text).map_err(unreadable)?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(CliError::new(
            ErrorCode::Validation,
            format!("{what} must be given on standard input, which is empty"),
        ));
    }
    Ok(SecretText::new(line.to_owned()))
}
