//! Dispatches a `run` command.

use super::args::{AttachArgs, RunCommand, ServerArgs, WatchArgs};
use super::control::{self, Control};
use super::face::{Face, Manner};
use super::message::{RunState, WireRun};
use super::watch::{Left, Watch, watch};
use super::{list, show, start};
use crate::app::config;
use crate::cli::client::{Client, Trouble, code_of};
use crate::cli::input::read_secret;
use crate::cli::{CliError, output};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::timeout;

/// Exit code of a cancelled run: neither completed nor failed.
const CANCELLED: u8 = 3;

/// Exit code after detaching before the run's end, as shells report an interrupted program.
const DETACHED: u8 = 130;

/// How long to wait for the session to end.
const LOG_OUT: Duration = Duration::from_secs(3);

pub(in crate::cli) async fn run(
    command: &RunCommand,
    model: Option<&str>,
    json: bool,
) -> Result<ExitCode, CliError> {
    let server = match command {
        RunCommand::Start(args) => &args.server,
        RunCommand::Attach(args) => &args.server,
        RunCommand::List(args) => &args.server,
        RunCommand::Show(args) => &args.server,
        RunCommand::Cancel(args) | RunCommand::Pause(args) | RunCommand::Resume(args) => {
            &args.of.server
        }
    };
    // Errors in a pattern are reported before anything is sent.
    let input = match command {
        RunCommand::Start(args) => Some(super::input::input(args, model)?),
        RunCommand::Attach(_)
        | RunCommand::List(_)
        | RunCommand::Show(_)
        | RunCommand::Cancel(_)
        | RunCommand::Pause(_)
        | RunCommand::Resume(_) => None,
    };
    let mut client = signed_in(server).await?;
    let done = match (command, input) {
        (RunCommand::Start(args), input) => {
            start::run(args, input.unwrap_or_default(), &mut client, json).await
        }
        (RunCommand::Attach(args), _) => attach(args, &mut client, json).await,
        (RunCommand::List(args), _) => list::run(args, &mut client, json).await,
        (RunCommand::Show(args), _) => show::run(&args.id, &mut client, json).await,
        (RunCommand::Cancel(args), _) => {
            control::run(Control::Cancel, args, &mut client, json).await
        }
        (RunCommand::Pause(args), _) => control::run(Control::Pause, args, &mut client, json).await,
        (RunCommand::Resume(args), _) => {
            control::run(Control::Resume, args, &mut client, json).await
        }
    };
    drop(timeout(LOG_OUT, client.log_out()).await);
    done
}

async fn signed_in(server: &ServerArgs) -> Result<Client, CliError> {
    let mut client = Client::new(&server.url, server.allow_http)?;
    match (&server.user, config::client_token()) {
        (Some(user), _) => {
            let password = read_secret("the password")?;
            client.log_in(user, &password).await?;
        }
        (None, Some(token)) => client.sign_in(token),
        (None, None) => {
            let message = "nobody is signed in";
            return Err(Trouble::Refused {
                code: code_of("UNAUTHENTICATED"),
                message: message.to_owned(),
            }
            .into());
        }
    }
    Ok(client)
}

async fn attach(args: &AttachArgs, client: &mut Client, json: bool) -> Result<ExitCode, CliError> {
    follow(&args.id, &args.watch, client, json).await
}

/// Watches a run, and reports how it ended.
pub(super) async fn follow(
    id: &str,
    args: &WatchArgs,
    client: &mut Client,
    json: bool,
) -> Result<ExitCode, CliError> {
    let mut face = Face::new(Manner::Of { show: args.show, json });
    let how = Watch {
        client,
        id,
        patience: args.patience(),
        cancel_on_interrupt: args.cancel_on_interrupt,
    };
    match watch(how, &mut face).await? {
        Left::Ended(run) => Ok(ended(&run)),
        Left::Detached => {
            output::note(&format!(
                "detached; the run goes on. Watch it again: claviger run attach {id}"
            ));
            Ok(ExitCode::from(DETACHED))
        }
        Left::Unread => Ok(ExitCode::SUCCESS),
        Left::Killed => Ok(ExitCode::from(DETACHED)),
    }
}

fn ended(run: &WireRun) -> ExitCode {
    match run.state {
        RunState::Cancelled => ExitCode::from(CANCELLED),
        RunState::Failed => {
            ExitCode::from(code_of(run.error.as_ref().map_or("", |error| &error.code)).exit_code())
        }
        RunState::Queued | RunState::Running | RunState::Paused | RunState::Completed => {
            ExitCode::SUCCESS
        }
    }
}
