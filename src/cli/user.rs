//! `user`: lets the operator manage accounts.

use super::args::{RoleArg, UserAddArgs, UserCommand};
use super::input::Input;
use super::output::Text;
use super::{CliError, accounts};
use crate::app::wiring::Core;
use crate::socket::Answer;
use claviger_application::{CommandContext, NewAccount, PeerKey, RequestInfo};
use claviger_domain::actor::{Actor, Role, Via};
use claviger_domain::code::ErrorCode;
use claviger_domain::id::{CorrelationId, UserId};
use claviger_domain::text::{Email, FullName, Password, TextError, Username};
use std::collections::BTreeSet;

pub(super) async fn execute(
    command: &UserCommand,
    core: &Core,
    input: &mut Input,
    json: bool,
) -> Result<Answer, CliError> {
    let done = match Parsed::of(command, input)? {
        Parsed::Add(new) => add(core, new).await?,
        Parsed::Other(command) => accounts::execute(core, command).await?,
    };
    let mut text = Text::default();
    done.print(&mut text, json);
    Ok(Answer { out: text.into_string(), exit: 0 })
}

/// Refuses what can't be right, before anything is opened or asked. Reads the secret that the
/// command needs.
pub(super) fn check(command: &UserCommand, input: &mut Input) -> Result<(), CliError> {
    Parsed::of(command, input).map(drop)
}

/// The command, parsed.
enum Parsed {
    Add(NewAccount),
    Other(accounts::Wanted),
}

#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(super) fn refused(error: TextError) -> CliError {
    CliError::new(ErrorCode::Validation, error.to_string())
}

impl Parsed {
    fn of(command: &UserCommand, input: &mut Input) -> Result<Self, CliError> {
        match command {
            UserCommand::Add(args) => new_account(args, input).map(Self::Add),
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

fn new_account(args: &UserAddArgs, input: &mut Input) -> Result<NewAccount, CliError> {
    let username = Username::parse(&args.name).map_err(refused)?;
    let email = Email::parse(&args.email).map_err(refused)?;
    let full_name = args.full_name.as_deref().map(FullName::parse).transpose().map_err(refused)?;
    let password = if args.password_stdin {
        Some(Password::parse(input.read("the password")?).map_err(refused)?)
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
