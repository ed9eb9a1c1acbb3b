//! Commands on runs.

use crate::command::Answer;
use crate::command::Call;
use crate::command::Commit;
use crate::principal::Caller;
use claviger_domain::id::KeyId;
use claviger_domain::id::RunId;
use claviger_domain::orchestration::Ask;
use claviger_domain::orchestration::Draft;
use claviger_domain::text::Context;
use claviger_domain::text::ModelId;
use claviger_domain::text::Title;

/// A run that is asked for.
#[derive(Clone, Debug)]
pub struct StartRun {
    /// What it is to do, not yet checked.
    pub draft: Draft,
    /// What its owner calls it.
    pub title: Option<Title>,
    /// The model where an agent names none; the configured one without it.
    pub model: Option<ModelId>,
    /// The key that is used, or the request is refused.
    pub key: Option<KeyId>,
    /// Whose default key is looked for otherwise.
    pub context: Context,
    /// Most calls at once.
    pub max_concurrency: Option<u32>,
}

/// A command on runs.
#[derive(Clone, Debug)]
pub enum RunCommand {
    /// Start one.
    Start(Box<StartRun>),
    /// Ask something of one.
    Ask {
        /// The run.
        run: RunId,
        /// What.
        ask: Ask,
    },
}

/// A command done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDone {
    /// What was committed.
    pub commit: Commit,
    /// The run it was about.
    pub run: RunId,
}

/// Commands on runs.
pub trait RunCommands: Send + Sync {
    /// Does one; `caller` is who the call's owner is and what they may do. A caller that goes away stops nothing. Without a credential the
    /// failure's detail holds all that was looked at.
    fn run(&self, call: Call, caller: Caller, command: RunCommand) -> Answer<'_, RunDone>;
}
