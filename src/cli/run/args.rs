//! What can be typed after `run`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  export CLAVIGER_TOKEN=...            an access token (mutation login); or name yourself:
                                       --user ada --password-stdin < password
  claviger run start --pattern debate --task 'Tea or coffee?' --rounds 2 \
    --agent 'Ann=You argue for tea.' --agent 'Bob=You argue for coffee.' \
    --agent 'Mo:moderator=You weigh what was said and decide.'
  claviger run start --pattern parallel --task @task.txt --on-failure quorum:1 \
    --agent 'A=@a.txt' --agent 'B=@b.txt' --aggregator 'C=You merge.'
  claviger run start --file tea.toml   the pattern as JSON or TOML: PatternInput of the API,
                                       such as {\"debate\": {\"topic\": ..., \"agents\": [...]}}
  claviger run attach ID               watch a run, from wherever it is
  claviger run list --state running
  claviger run show ID --json
  claviger run cancel ID

Ctrl-C leaves a run that is watched, and the run goes on.
Exit codes: 0 completed, 3 cancelled, 130 left before its end; a failed run ends with the code
of what failed it (see ops/docs/errors).";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) enum RunCommand {
    /// Start a run and watch it
    #[command(after_help = EXAMPLES)]
    Start(Box<StartArgs>),
    /// Watch a run: its text so far, then what comes
    Attach(AttachArgs),
    /// List your runs, newest first
    List(ListArgs),
    /// Show a run: its steps and its result
    Show(OfRun),
    /// Stop a run for good
    Cancel(AskArgs),
    /// Let a run stand still once the calls under way have ended
    Pause(AskArgs),
    /// Let a run go on that stands still
    Resume(AskArgs),
}

/// Which server, and who asks.
#[derive(Args, Debug)]
pub(in crate::cli) struct ServerArgs {
    /// Address of the server
    #[arg(long, env = "CLAVIGER_URL", default_value = "http://127.0.0.1:8005", value_name = "URL")]
    pub(in crate::cli) url: String,
    /// Log in by this username or e-mail address; without it, the token in `CLAVIGER_TOKEN` says who you are
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    pub(in crate::cli) user: Option<String>,
    /// Read the password from standard input, one line (a flag could be read by everybody on the machine)
    #[arg(long, requires = "user")]
    pub(in crate::cli) password_stdin: bool,
}

/// How a run is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ShowArg {
    /// A screen on a terminal, else each step's text when it ends
    #[default]
    Auto,
    /// Each step's text when it ends
    Steps,
    /// Lines of all steps as they come, each behind its agent's name
    Lines,
    /// The result and nothing else
    Result,
}

/// How a run is watched.
#[derive(Args, Debug)]
pub(in crate::cli) struct WatchArgs {
    /// How to show it; with --json one JSON line for each message instead
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(in crate::cli) show: ShowArg,
    /// Ctrl-C cancels the run and waits for its end; a second leaves at once
    #[arg(long)]
    pub(in crate::cli) cancel_on_interrupt: bool,
    /// How long to go on looking for a server that went away, in seconds
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(in crate::cli) patience: u64,
}

impl WatchArgs {
    /// How long to go on looking for a server that went away.
    pub(in crate::cli) const fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }
}

/// The patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PatternArg {
    /// One agent after another
    Sequential,
    /// In rounds, moderators last
    Debate,
    /// A manager, and workers side by side
    Hierarchical,
    /// All at once, and somebody who puts it together
    Parallel,
    /// A router chooses who works
    Routing,
    /// A design of an orchestration
    Design,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct StartArgs {
    #[command(flatten)]
    pub(in crate::cli) server: ServerArgs,
    #[command(flatten)]
    pub(in crate::cli) watch: WatchArgs,
    #[command(flatten)]
    pub(in crate::cli) what: PatternArgs,
    /// What to call the run
    #[arg(long)]
    pub(in crate::cli) title: Option<String>,
    /// Use this key of yours (id or name), or refuse
    #[arg(long, value_name = "KEY")]
    pub(in crate::cli) key: Option<String>,
    /// Use the default key of this context [default: default]
    #[arg(long)]
    pub(in crate::cli) context: Option<String>,
    /// Most calls at once
    #[arg(long, value_name = "N")]
    pub(in crate::cli) max_concurrency: Option<u32>,
    /// A repeat with the same key starts nothing anew [default: one of its own, so that a lost answer can be asked for again]
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) idempotency_key: Option<String>,
    /// Start it, print its id, and don't watch
    #[arg(long)]
    pub(in crate::cli) detach: bool,
}

/// A pattern, from a file or from flags. `--model`, which every command takes, names the model.
#[derive(Args, Debug, Default)]
pub(in crate::cli) struct PatternArgs {
    /// The pattern as JSON or TOML, as `PatternInput` or `StartOrchestrationInput` of the API has it; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pattern", "task", "agent", "manager", "router", "aggregator", "rounds", "on_failure"])]
    pub(in crate::cli) file: Option<PathBuf>,
    /// How the agents work together
    #[arg(long, value_enum, required_unless_present = "file", requires = "task")]
    pub(in crate::cli) pattern: Option<PatternArg>,
    /// The task, topic or wish; @FILE reads a file, - standard input
    #[arg(long, value_name = "TEXT", required_unless_present = "file", allow_hyphen_values = true)]
    pub(in crate::cli) task: Option<String>,
    /// An agent, `name=system prompt` or `name:role=@FILE`; again for each (workers, specialists)
    #[arg(long, value_name = "NAME[:ROLE]=PROMPT")]
    pub(in crate::cli) agent: Vec<String>,
    /// Who splits the task (hierarchical)
    #[arg(long, value_name = "NAME=PROMPT")]
    pub(in crate::cli) manager: Option<String>,
    /// Who chooses (routing)
    #[arg(long, value_name = "NAME=PROMPT")]
    pub(in crate::cli) router: Option<String>,
    /// Who puts the replies together (parallel)
    #[arg(long, value_name = "NAME=PROMPT")]
    pub(in crate::cli) aggregator: Option<String>,
    /// How many rounds (debate) [default: 3]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) rounds: Option<u32>,
    /// What a failed agent means (parallel): fail, continue, quorum:N [default: fail]
    #[arg(long, value_name = "POLICY")]
    pub(in crate::cli) on_failure: Option<String>,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct AttachArgs {
    #[command(flatten)]
    pub(in crate::cli) server: ServerArgs,
    #[command(flatten)]
    pub(in crate::cli) watch: WatchArgs,
    /// Id of the run
    pub(in crate::cli) id: String,
}

/// The states a list can be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum StateArg {
    /// Nobody works on it yet
    Queued,
    /// Somebody works on it
    Running,
    /// It stands still
    Paused,
    /// It is done
    Completed,
    /// It came to nothing
    Failed,
    /// It was stopped for good
    Cancelled,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    pub(in crate::cli) server: ServerArgs,
    /// Only runs in this state; again for several
    #[arg(long, value_enum)]
    pub(in crate::cli) state: Vec<StateArg>,
    /// Only runs of this pattern; again for several
    #[arg(long, value_enum)]
    pub(in crate::cli) pattern: Vec<PatternArg>,
    /// How many at most
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(in crate::cli) first: u32,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct OfRun {
    #[command(flatten)]
    pub(in crate::cli) server: ServerArgs,
    /// Id of the run
    pub(in crate::cli) id: String,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct AskArgs {
    #[command(flatten)]
    pub(in crate::cli) of: OfRun,
    /// A repeat with the same key asks nothing anew
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) idempotency_key: Option<String>,
}
