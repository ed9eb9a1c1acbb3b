//! Commands on runs.

use crate::command::Answer;
use crate::command::Commit;
use crate::command::{CommandContext, CommandGroup, CommandKind};
use claviger_domain::id::KeyId;
use claviger_domain::id::RunId;
use claviger_domain::orchestration::ControlRequest;
use claviger_domain::orchestration::Draft;
use claviger_domain::text::Context;
use claviger_domain::text::ModelId;
use claviger_domain::text::Title;

/// A request to start a run.
#[derive(Clone, Debug)]
pub struct StartRun {
    /// The work to do, not yet validated.
    pub draft: Draft,
    /// The owner's title for the run, if given.
    pub title: Option<Title>,
    /// The model for agents that name none; the configured default if absent.
    pub model: Option<ModelId>,
    /// The only key that may be used; if it is unusable, the request is refused.
    pub key: Option<KeyId>,
    /// The context whose default key is used if no key is named.
    pub context: Context,
    /// Maximum number of calls at the same time.
    pub max_concurrency: Option<u32>,
}

/// A command on runs.
#[derive(Clone, Debug)]
pub enum RunCommand {
    /// Start a run.
    Start(Box<StartRun>),
    /// Request a change of a run's state.
    Ask {
        /// The run to change.
        run: RunId,
        /// The requested change.
        ask: ControlRequest,
    },
}

impl RunCommand {
    /// The command's kind.
    pub const fn kind(&self) -> CommandKind {
        let name = match self {
            Self::Start(_) => "start_run",
            Self::Ask { ask: ControlRequest::Cancel, .. } => "cancel_run",
            Self::Ask { ask: ControlRequest::Pause, .. } => "pause_run",
            Self::Ask { ask: ControlRequest::Resume, .. } => "resume_run",
        };
        CommandKind { group: CommandGroup::Run, name }
    }
}

/// The result of a command on runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDone {
    /// What was committed.
    pub commit: Commit,
    /// The run that the command concerned.
    pub run: RunId,
}

/// The port for commands on runs.
pub trait RunCommands: Send + Sync {
    /// Runs one command. A client that disconnects does not stop it. If no credential is usable,
    /// the failure's detail lists the candidates that were considered.
    fn run(&self, context: CommandContext, command: RunCommand) -> Answer<'_, RunDone>;
}
