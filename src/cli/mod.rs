//! The command line. Results go to standard output, the log to standard error; `--json` makes the
//! result one JSON value.

mod accounts;
mod args;
mod client;
mod demo;
mod desk;
mod help;
mod input;
mod key;
mod operation;
pub mod output;
mod replay;
mod rotate;
mod run;
mod sanitize;
mod schema;
mod serve;
mod settings;
mod simulate;
mod user;
mod vault;
mod verify;

use args::{Command, VaultCommand};
use claviger_domain::api_key::contains_secret;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_projections::ports::StoreError;
use operation::Operation;
use settings::Typed;
use std::process::ExitCode;

use crate::app::config::{Config, ConfigError};
use crate::app::key_files::KeyFileError;
use crate::app::lifecycle::ServeError;
use crate::app::wiring::StartError;
use crate::keychain::RotationError;

/// A command that failed: what a person reads, and the code a script reads.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    code: ErrorCode,
    message: String,
}

impl CliError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Prints the error to standard error and gives its exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        output::error(self.code.as_str(), &self.message, json);
        ExitCode::from(self.code.exit_code())
    }
}

/// A message with its causes.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        Self::new(error.code(), with_causes(&error))
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::new(ErrorCode::Validation, with_causes(&error))
    }
}

impl From<RotationError> for CliError {
    fn from(error: RotationError) -> Self {
        let code = match &error {
            RotationError::Store(StoreError::Corrupt(_) | StoreError::Gap { .. }) => {
                ErrorCode::Internal
            }
            RotationError::Store(StoreError::Unavailable(_) | StoreError::Closed)
            | RotationError::Unrecorded(_) => ErrorCode::StoreUnavailable,
            RotationError::StoreKeys(_) | RotationError::Users { .. } => ErrorCode::KeyUnavailable,
            RotationError::Stopped { .. } => ErrorCode::ShuttingDown,
            RotationError::NothingToDo { .. } | RotationError::UsedBefore { .. } => {
                ErrorCode::Validation
            }
            RotationError::Overtaken { .. } => ErrorCode::Conflict,
        };
        Self::new(code, with_causes(&error))
    }
}

impl From<KeyFileError> for CliError {
    fn from(error: KeyFileError) -> Self {
        Self::new(ErrorCode::KeyUnavailable, with_causes(&error))
    }
}

impl From<ServeError> for CliError {
    fn from(error: ServeError) -> Self {
        let code = match error {
            ServeError::Bind(_) => ErrorCode::Validation,
            ServeError::Schema(_) => ErrorCode::Internal,
            ServeError::StoreFailed => ErrorCode::StoreUnavailable,
        };
        Self::new(code, with_causes(&error))
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        Self::new(failure.code, failure.message)
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::new(ErrorCode::Internal, error.to_string())
    }
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    // Before anything else: that process starts a foreign program with fewer rights.
    if let Some(code) = crate::confined::main(std::env::args_os()) {
        return code;
    }
    crate::system::panics::report_location_only();
    let typed = match settings::parse(std::env::args_os()) {
        Ok(typed) => typed,
        Err(error) => return wrong_usage(&error),
    };
    crate::system::process::keep_memory_private();
    let (arguments, json) = (&typed.arguments, typed.arguments.json);
    let quiet = !matches!(arguments.command, Command::Serve | Command::Simulate(_));
    crate::system::telemetry::start(arguments.log.as_deref(), quiet, arguments.log_json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return CliError::from(error).report(json),
    };
    match runtime.block_on(dispatch(typed)) {
        Ok(code) => code,
        Err(error) => error.report(json),
    }
}

/// Prints help, or what is wrong with the arguments. A key pasted in the wrong place isn't
/// repeated.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    if contains_secret(&error.to_string()) {
        let message = "an argument contains sk-ant-, which looks like a secret: give secrets on standard input (see claviger \
                       --help), and revoke this one, for it is now in your shell's history";
        output::error(ErrorCode::Validation.as_str(), message, false);
    } else {
        // A reader that went away is no error.
        drop(error.print());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

async fn dispatch(Typed { arguments, command, settings }: Typed) -> Result<ExitCode, CliError> {
    let json = arguments.json;
    // Read only by the commands that use it, so that no other depends on a valid configuration.
    let config = || Config::load_for(&command, settings.clone());
    let operation = match arguments.command {
        Command::Serve => return serve::run(&config()?).await,
        Command::Demo(demo) => return demo::run(&demo, config()?).await,
        Command::Simulate(simulate) => return simulate::run(&simulate, json).await,
        Command::Run(run) => return run::run(&run, settings.model.as_deref(), json).await,
        Command::Schema => return schema::run(),
        Command::ConfigReference => {
            output::line(crate::app::config::reference().trim_end());
            return Ok(ExitCode::SUCCESS);
        }
        Command::User(user) => Operation::User(user),
        Command::Key(key) => Operation::Key(key),
        Command::Verify(verify) => Operation::Verify { live: verify.live },
        Command::Replay(replay) => Operation::Replay((&replay).into()),
        Command::Vault(VaultCommand::Status) => Operation::VaultStatus,
        Command::Vault(VaultCommand::Rotate(rotate)) => Operation::VaultRotate(rotate),
    };
    operation::run(operation, &config()?, json).await
}
