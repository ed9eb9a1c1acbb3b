//! The commands of the operator on a store. Each is run in one place, over a [`Core`]: that of this
//! process, or that of a server which was asked by its socket.

use super::args::{KeyCommand, RotateArgs, UserCommand};
use super::input::Input;
use super::serve::on_signals;
use super::{CliError, desk, key, output, replay, rotate, user, vault, verify};
use crate::app::config::Config;
use crate::app::wiring::{Core, NewStore};
use crate::socket::Answer;
use crate::system::environment::Environment;
use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// A command, as it was typed.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Operation {
    User(UserCommand),
    Key(KeyCommand),
    VaultStatus,
    VaultRotate(RotateArgs),
    Verify {
        /// A server may do it.
        live: bool,
    },
    Replay(replay::Wanted),
}

/// What reaches a command while it runs, and what it tells before its end.
pub(super) struct Control<'a> {
    /// A line for standard error.
    pub(super) note: &'a (dyn Fn(&str) + Send + Sync),
    /// Cancelled when no more is wanted.
    pub(super) stop: &'a CancellationToken,
}

impl Operation {
    /// For logs, and for another program that finds the store in use.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::User(UserCommand::Add(_)) => "claviger user add",
            Self::User(_) => "claviger user",
            Self::Key(_) => "claviger key",
            Self::VaultStatus => "claviger vault status",
            Self::VaultRotate(_) => "claviger vault rotate",
            Self::Verify { .. } => "claviger verify",
            Self::Replay(_) => "claviger replay",
        }
    }

    /// Only a new account may be the first thing in a store.
    const fn new_store(&self) -> NewStore {
        match self {
            Self::User(UserCommand::Add(_)) => NewStore::Made,
            Self::User(_)
            | Self::Key(_)
            | Self::VaultStatus
            | Self::VaultRotate(_)
            | Self::Verify { .. }
            | Self::Replay(_) => NewStore::Refused,
        }
    }

    /// Whether a server does it in the place of this process.
    pub(super) const fn is_for_servers(&self) -> bool {
        // Who verifies the files trusts no process that has them open.
        !matches!(self, Self::Verify { live: false })
    }

    /// Whether it may end anywhere, with whoever asked for it: it only reads, or each of its steps
    /// is whole.
    pub(super) const fn ends_with_its_reader(&self) -> bool {
        match self {
            Self::User(
                UserCommand::List { .. }
                | UserCommand::Show(_)
                | UserCommand::Sessions { end: None, end_all: false, .. },
            )
            | Self::Key(KeyCommand::List(_))
            | Self::VaultStatus
            | Self::Verify { .. }
            | Self::Replay(_) => true,
            // A rotation stops in order, with its batch.
            Self::User(_) | Self::Key(_) | Self::VaultRotate(_) => false,
        }
    }

    /// Refuses what can't be right, before anything is opened or asked. Standard input is read
    /// here, because it may take its time.
    fn check(&self, input: &mut Input) -> Result<(), CliError> {
        match self {
            Self::User(command) => user::check(command, input),
            Self::Key(command) => key::check(command, input),
            Self::VaultStatus | Self::VaultRotate(_) | Self::Verify { .. } | Self::Replay(_) => {
                Ok(())
            }
        }
    }

    /// Does it.
    pub(super) async fn execute(
        &self,
        core: &Core,
        input: &mut Input,
        json: bool,
        control: &Control<'_>,
    ) -> Result<Answer, CliError> {
        match self {
            Self::User(command) => user::execute(command, core, input, json).await,
            Self::Key(command) => key::execute(command, core, input, json).await,
            Self::VaultStatus => vault::status(core, json).await,
            Self::VaultRotate(args) => rotate::execute(args, core, json, control).await,
            Self::Verify { .. } => verify::execute(core, json).await,
            Self::Replay(wanted) => replay::execute(wanted, core, json).await,
        }
    }
}

/// Runs a command: by the server of the data directory if there is one, else in this process.
pub(super) async fn run(
    operation: Operation,
    config: &Config,
    json: bool,
) -> Result<ExitCode, CliError> {
    let mut input = Input::Standard;
    operation.check(&mut input)?;
    let stops_in_order = matches!(operation, Operation::VaultRotate(_));
    let stop = if stops_in_order { on_signals()? } else { CancellationToken::new() };
    let control = Control { note: &output::note, stop: &stop };
    let answer = match desk::reach(config, &operation).await? {
        Some(server) => desk::ask(server, (operation, config, json), &input, &control).await?,
        None => alone(&operation, config, (&mut input, json), &control).await?,
    };
    output::whole(&answer.out);
    Ok(ExitCode::from(answer.exit))
}

async fn alone(
    operation: &Operation,
    config: &Config,
    (input, json): (&mut Input, bool),
    control: &Control<'_>,
) -> Result<Answer, CliError> {
    let opened = Core::open(config, Environment::system(), operation.name(), operation.new_store());
    let core = match opened.await {
        Err(error) if error.is_in_use() && !operation.is_for_servers() => {
            let mut error = CliError::from(error);
            error
                .message
                .push_str("; or have a server verify its store itself: `claviger verify --live`");
            return Err(error);
        }
        opened => opened?,
    };
    let done = operation.execute(&core, input, json, control).await;
    core.close().await;
    done
}
