//! The commands of `user` on accounts that are there, and what all of them print.

use super::CliError;
use super::args::{RoleArg, StateArg, UserCommand};
use super::output::Text;
use super::sanitize::one_line;
use super::user::{context, find, refused, role, unknown_user};
use crate::app::wiring::Core;
use claviger_application::ids::{IdKind, decode_as, encode};
use claviger_application::{
    AccountChange, AccountChanged, AccountDetail, AccountFilter, AccountState, EventView,
    Reads as _, ResetToken, SessionView,
};
use claviger_domain::actor::Role;
use claviger_domain::code::ErrorCode;
use claviger_domain::id::{SessionId, UserId};
use claviger_domain::text::{Email, FullName, Username};
use claviger_projections::ports::Page;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A command, parsed.
pub(super) enum Wanted {
    List(BTreeSet<AccountState>),
    Show(String),
    Sessions(String),
    Change { user: String, change: AccountChange, done: &'static str },
}

/// What a command prints.
pub(super) enum Outcome {
    Accounts(Vec<AccountDetail>),
    Account(Box<AccountDetail>),
    Changed { account: Box<AccountDetail>, done: &'static str, reset: Option<ResetToken> },
    Sessions(Vec<(SessionView, Option<EventView>)>),
}

fn invalid(message: &str) -> CliError {
    CliError::new(ErrorCode::Validation, message)
}

impl Wanted {
    pub(super) fn of(command: &UserCommand) -> Result<Self, CliError> {
        let change =
            |user: &str, done, change| Self::Change { user: user.to_owned(), change, done };
        Ok(match command {
            // `user.rs` handles it: it reads a password.
            UserCommand::Add(args) => Self::Show(args.name.clone()),
            UserCommand::List { state: states } => {
                Self::List(states.iter().copied().map(state).collect())
            }
            UserCommand::Show(of) => Self::Show(of.user.clone()),
            UserCommand::Deactivate(of) => {
                change(&of.user, "deactivated", AccountChange::Deactivate)
            }
            UserCommand::Reactivate(of) => {
                change(&of.user, "reactivated", AccountChange::Reactivate)
            }
            UserCommand::Role { of, grant: Some(grant), .. } => {
                change(&of.user, granted(*grant), AccountChange::Grant(role(*grant)))
            }
            UserCommand::Role { of, revoke: Some(revoke), .. } => {
                change(&of.user, revoked(*revoke), AccountChange::Revoke(role(*revoke)))
            }
            UserCommand::Role { .. } => return Err(invalid("give --grant ROLE or --revoke ROLE")),
            UserCommand::Password(of) => {
                change(&of.user, "voided the password of", AccountChange::CreateReset)
            }
            UserCommand::Sessions { of, end_all: true, .. } => {
                change(&of.user, "ended the sessions of", AccountChange::EndSessions)
            }
            UserCommand::Sessions { of, end: Some(session), .. } => {
                // An invalid id becomes one that no session has.
                let session = SessionId(decode_as(IdKind::Session, session).unwrap_or_default());
                change(&of.user, "ended a session of", AccountChange::EndSession(session))
            }
            UserCommand::Sessions { of, .. } => Self::Sessions(of.user.clone()),
            UserCommand::Rename { of, username, email, full_name } => {
                if username.is_none() && email.is_none() && full_name.is_none() {
                    return Err(invalid("give --username, --email or --full-name"));
                }
                let full_name = full_name.as_deref().map(|name| {
                    if name.is_empty() { Ok(None) } else { FullName::parse(name).map(Some) }
                });
                let rename = AccountChange::Rename {
                    username: username
                        .as_deref()
                        .map(Username::parse)
                        .transpose()
                        .map_err(refused)?,
                    email: email.as_deref().map(Email::parse).transpose().map_err(refused)?,
                    full_name: full_name.transpose().map_err(refused)?,
                };
                change(&of.user, "renamed", rename)
            }
        })
    }
}

const fn granted(role: RoleArg) -> &'static str {
    match role {
        RoleArg::User => "granted the role user to",
        RoleArg::Auditor => "granted the role auditor to",
        RoleArg::Admin => "granted the role admin to",
    }
}

const fn revoked(role: RoleArg) -> &'static str {
    match role {
        RoleArg::User => "revoked the role user of",
        RoleArg::Auditor => "revoked the role auditor of",
        RoleArg::Admin => "revoked the role admin of",
    }
}

const fn state(state: StateArg) -> AccountState {
    match state {
        StateArg::Active => AccountState::Active,
        StateArg::Deactivated => AccountState::Deactivated,
        StateArg::Erased => AccountState::Erased,
    }
}

pub(super) async fn execute(core: &Core, wanted: Wanted) -> Result<Outcome, CliError> {
    let administration = core.ports().administration;
    Ok(match wanted {
        Wanted::List(states) => Outcome::Accounts(all(core, states).await?),
        Wanted::Show(user) => {
            let user = found(core, &user).await?;
            Outcome::Account(Box::new(detail(core, user).await?))
        }
        Wanted::Sessions(user) => {
            let user = found(core, &user).await?;
            let sessions = core.reads.sessions(user).await?;
            let mut events = administration.last_events(user, false).await?;
            let of = |session: SessionView| {
                let at = events.iter().position(|(id, _)| *id == session.id);
                let event = at.map(|at| events.swap_remove(at).1);
                (session, event)
            };
            Outcome::Sessions(sessions.into_iter().map(of).collect())
        }
        Wanted::Change { user, change, done } => {
            let user = found(core, &user).await?;
            let made = administration.change(context(core, user), change, None).await?;
            changed(core, done, made).await?
        }
    })
}

/// What a change led to, with the account as it is now.
pub(super) async fn changed(
    core: &Core,
    done: &'static str,
    changed: AccountChanged,
) -> Result<Outcome, CliError> {
    let account = Box::new(detail(core, changed.user).await?);
    let is_new = !changed.commit.event_ids.is_empty();
    let done = if is_new { done } else { "nothing was to be changed for" };
    Ok(Outcome::Changed { account, done, reset: changed.reset })
}

async fn detail(core: &Core, user: UserId) -> Result<AccountDetail, CliError> {
    core.ports().administration.account(user).await?.ok_or_else(unknown_user)
}

/// Finds a user by an id of theirs, or by a name.
async fn found(core: &Core, text: &str) -> Result<UserId, CliError> {
    let id = decode_as(IdKind::User, text).or_else(|| decode_as(IdKind::Account, text));
    match id {
        Some(id) => Ok(UserId(id)),
        None => find(core, text).await,
    }
}

async fn all(core: &Core, states: BTreeSet<AccountState>) -> Result<Vec<AccountDetail>, CliError> {
    // One page: a page reads all rows anyway.
    let filter = AccountFilter { search: None, states };
    let page = Page { limit: usize::MAX, ..Page::default() };
    Ok(core.ports().administration.accounts(filter, page).await?.accounts)
}

impl Outcome {
    pub(super) fn print(&self, text: &mut Text, json: bool) {
        match self {
            Self::Accounts(accounts) if json => {
                text.json(&accounts.iter().map(as_json).collect::<Vec<_>>());
            }
            Self::Accounts(accounts) if accounts.is_empty() => text.line("no such accounts"),
            Self::Accounts(accounts) => table(text, accounts),
            Self::Account(account) if json => text.json(&as_json(account)),
            Self::Account(account) => table(text, std::slice::from_ref(account)),
            Self::Changed { account, reset, .. } if json => {
                text.json(&changed_json(account, reset.as_ref()));
            }
            Self::Changed { account, done, reset } => {
                let id = encode(IdKind::User, account.user.0);
                text.line(&format!("{done} {} ({id})", one_line(name(account))));
                if let Some(reset) = reset {
                    let until = reset.expires_at;
                    text.line(&format!("this token sets a new password, once, until {until}:"));
                    text.line(reset.token.expose());
                }
            }
            Self::Sessions(sessions) if json => {
                text.json(&sessions.iter().map(session_json).collect::<Vec<_>>());
            }
            Self::Sessions(sessions) if sessions.is_empty() => text.line("no sessions"),
            Self::Sessions(sessions) => {
                let rows: Vec<Vec<String>> = sessions.iter().map(session_row).collect();
                text.table(&["ID", "SINCE", "LAST USED", "LAST EVENT", "CLIENT"], &rows);
            }
        }
    }
}

fn name(account: &AccountDetail) -> &str {
    account.view.content.as_ref().map_or("an erased account", |content| &content.username)
}

fn table(text: &mut Text, accounts: &[AccountDetail]) {
    let rows: Vec<Vec<String>> = accounts.iter().map(as_row).collect();
    text.table(&["ID", "USERNAME", "E-MAIL", "ROLES", "STATE", "CREATED", "SIGNED IN"], &rows);
}

fn as_row(account: &AccountDetail) -> Vec<String> {
    let content = account.view.content.clone().unwrap_or_default();
    let facts = &account.view.facts;
    vec![
        encode(IdKind::User, account.user.0),
        one_line(&content.username),
        one_line(&content.email),
        facts.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", "),
        word(account.state).to_owned(),
        facts.created_at.to_string(),
        facts.last_sign_in_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
    ]
}

const fn word(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "active",
        AccountState::Deactivated => "deactivated",
        AccountState::Erased => "erased",
    }
}

fn as_json(account: &AccountDetail) -> Value {
    let (content, facts) = (account.view.content.as_ref(), &account.view.facts);
    json!({
        "id": encode(IdKind::User, account.user.0),
        "accountId": encode(IdKind::Account, account.user.0),
        "username": content.map(|content| &content.username),
        "email": content.map(|content| &content.email),
        "fullName": content.and_then(|content| content.full_name.as_ref()),
        "role": facts.roles.last().copied().map(Role::as_str),
        "roles": facts.roles.iter().copied().map(Role::as_str).collect::<Vec<_>>(),
        "state": word(account.state),
        "createdAt": facts.created_at.to_string(),
        "lastSignInAt": facts.last_sign_in_at.map(|at| at.to_string()),
        "version": account.version.to_string(),
    })
}

/// The account, and the token if there is one.
fn changed_json(account: &AccountDetail, reset: Option<&ResetToken>) -> Value {
    let mut json = as_json(account);
    if let (Value::Object(fields), Some(reset)) = (&mut json, reset) {
        fields.insert("resetToken".to_owned(), reset.token.expose().into());
        fields.insert("resetTokenExpiresAt".to_owned(), reset.expires_at.to_string().into());
    }
    json
}

fn session_row((session, event): &(SessionView, Option<EventView>)) -> Vec<String> {
    vec![
        encode(IdKind::Session, session.id.0),
        session.created_at.to_string(),
        session.last_seen_at.to_string(),
        event.as_ref().map_or("-", |event| &event.envelope.kind).to_owned(),
        session.user_agent.as_deref().map(one_line).unwrap_or_default(),
    ]
}

fn session_json((session, event): &(SessionView, Option<EventView>)) -> Value {
    json!({
        "id": encode(IdKind::Session, session.id.0),
        "createdAt": session.created_at.to_string(),
        "lastSeenAt": session.last_seen_at.to_string(),
        "userAgent": session.user_agent,
        "lastEvent": event.as_ref().map(|event| json!({
            "type": event.envelope.kind,
            "at": event.envelope.at.to_string(),
        })),
    })
}
