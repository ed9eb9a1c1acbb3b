//! `user`: lets the operator manage accounts, directly on the store.

use super::args::{RoleArg, UserAddArgs, UserCommand};
use super::{CliError, accounts, output};
use crate::app::config::Config;
use crate::app::wiring::Core;
use crate::system::environment::Environment;
use claviger_application::{CommandContext, NewAccount, PeerKey, RequestInfo};
use claviger_domain::actor::{Actor, Role, Via};
use claviger_domain::code::ErrorCode;
use claviger_domain::id::{CorrelationId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::text::{Email, FullName, Password, TextError, Username, without_mark};
use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::process::ExitCode;

pub(super) async fn run(
    command: &UserCommand,
    config: &Config,
    json: bool,
) -> Result<ExitCode, CliError> {
    // Standard input is read before the store is opened, because it may take its time.
    let parsed = Parsed::of(command)?;
    // Only a new account may be the first thing in a store.
    let is_new = matches!(command, UserCommand::Add(_));
    let program = if is_new { "claviger user add" } else { "claviger user" };
    let core = Core::open(config, Environment::system(), program).await?;
    let done = match parsed {
        Parsed::Add(new) => add(&core, new).await,
        Parsed::Other(command) => accounts::execute(&core, command).await,
    };
    core.close().await;
    done?.print(json);
    Ok(ExitCode::SUCCESS)
}

/// The command, parsed before anything is opened.
enum Parsed {
    Add(NewAccount),
    Other(accounts::Wanted),
}

#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(super) fn refused(error: TextError) -> CliError {
    CliError::new(ErrorCode::Validation, error.to_string())
}

impl Parsed {
    fn of(command: &UserCommand) -> Result<Self, CliError> {
        match command {
            UserCommand::Add(args) => new_account(args).map(Self::Add),
            UserCommand::List { .. }
            | UserCommand::Show(_)
            | UserCommand::Deactivate(_)
            | UserCommand::Reactivate(_)
            | UserCommand::Role { .. }
            | UserCommand::Password(_)
            | UserCommand::Sessions { .. }
            | UserCommand::Rename { .. } => accounts::Wanted::of(command).map(Self::Other),
        }
    }
}

fn new_account(args: &UserAddArgs) -> Result<NewAccount, CliError> {
    let username = Username::parse(&args.name).map_err(refused)?;
    let email = Email::parse(&args.email).map_err(refused)?;
    let full_name = args.full_name.as_deref().map(FullName::parse).transpose().map_err(refused)?;
    let password = if args.password_stdin {
        Some(Password::parse(read_secret("the password")?).map_err(refused)?)
    } else {
        None
    };
    let roles = [role(args.role)].into();
    Ok(NewAccount { username, email, full_name, roles, password })
}

async fn add(core: &Core, new: NewAccount) -> Result<accounts::Outcome, CliError> {
    let administration = core.ports().administration;
    let created = administration.create(context(core, UserId::default()), new).await?;
    accounts::changed(core, "made the account", created).await
}

pub(super) const fn role(role: RoleArg) -> Role {
    match role {
        RoleArg::User => Role::User,
        RoleArg::Auditor => Role::Auditor,
        RoleArg::Admin => Role::Admin,
    }
}

/// The operator, who acts on this account.
pub(super) fn context(core: &Core, owner: UserId) -> CommandContext {
    CommandContext {
        owner,
        actor: Actor::OPERATOR,
        roles: BTreeSet::new(),
        foreign: None,
        correlation: operator(core).correlation,
        idempotency_key: None,
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
    user.ok_or_else(unknown_user)
}

pub(super) fn unknown_user() -> CliError {
    CliError::new(
        ErrorCode::NotFound,
        "no such user: give the username, e-mail address or id of an account (claviger user list shows them)",
    )
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
    let line = without_mark(&text).lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(CliError::new(
            ErrorCode::Validation,
            format!("{what} must be given on standard input, which is empty"),
        ));
    }
    Ok(SecretText::new(line.to_owned()))
}
