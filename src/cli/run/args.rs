//! The arguments of `run`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  export CLAVIGER_TOKEN=...            an access token (mutation login); or log in each time:
                                       --user ada --password-stdin < password
  claviger run start --pattern debate --task 'Tea or coffee?' --rounds 2 \\
    --agent 'Ann=You argue for tea.' --agent 'Bob=You argue for coffee.' \\
    --agent 'Mo:moderator=You weigh what was said and decide.'
  claviger run start --pattern parallel --task @task.txt --on-failure quorum:1 \\
    --agent 'A=@a.txt' --agent 'B=@b.txt' --aggregator 'C=You merge.'
  claviger run start --file tea.toml   the pattern as JSON or TOML: PatternInput of the API,
                                       such as {\"debate\": {\"topic\": ..., \"agents\": [...]}}
  claviger run attach ID               watch a run: what it wrote so far, then the rest
  claviger run list --state running
  claviger run show ID --json
  claviger run cancel ID

Ctrl-C stops watching, and the run goes on.
Exit codes: 0 completed, 3 cancelled, 130 left before its end; a failed run ends with the exit code
of its error (see ops/docs/errors).";

const LIST: &str = "\
Examples:
  claviger run list --state running --state paused
  claviger run list --user ada --password-stdin < password";

const ONE: &str = "\
Examples:
  claviger run attach ID               Ctrl-C stops watching, and the run goes on
  claviger run show ID --json
  claviger run pause ID
  claviger run resume ID
  claviger run cancel ID";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) enum RunCommand {
    /// Start a run and watch it
    #[command(after_help = EXAMPLES)]
    Start(Box<StartArgs>),
    /// Watch a run: its text so far, then the rest as it is written
    #[command(after_help = ONE)]
    Attach(AttachArgs),
    /// List your runs, newest first
    #[command(after_help = LIST)]
    List(ListArgs),
    /// Show a run: its steps and its result
    #[command(after_help = ONE)]
    Show(OfRun),
    /// Stop a run; it cannot be resumed
    #[command(after_help = ONE)]
    Cancel(AskArgs),
    /// Pause a run once its current calls have ended
    #[command(after_help = ONE)]
    Pause(AskArgs),
    /// Resume a paused run
    #[command(after_help = ONE)]
    Resume(AskArgs),
}

/// The server, and the user.
#[derive(Args, Debug)]
pub(in crate::cli) struct ServerArgs {
    /// Address of the server; also `CLAVIGER_URL`
    #[arg(
        long,
        env = "CLAVIGER_URL",
        hide_env = true,
        default_value = "http://127.0.0.1:8005",
        value_name = "URL"
    )]
    pub(in crate::cli) url: String,
    /// Send the password or token to another machine by http://, where everybody on the way can read
    /// it
    #[arg(long)]
    pub(in crate::cli) allow_http: bool,
    /// Log in with this username or e-mail address, instead of the token in `CLAVIGER_TOKEN`
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    pub(in crate::cli) user: Option<String>,
    /// Read the password from standard input, one line (everybody on the machine could read a flag)
    #[arg(long, requires = "user")]
    pub(in crate::cli) password_stdin: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ShowArg {
    /// A live screen on a terminal, else as steps
    #[default]
    Auto,
    /// The text of each step when the step ends
    Steps,
    /// Lines of all steps as they are written, each after its agent's name
    Lines,
    /// The result alone
    Result,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct WatchArgs {
    /// auto (a live screen on a terminal, else steps), steps (the text of each when it ends), lines
    /// (of all steps, as they are written) or result; with --json, one JSON line per message
    #[arg(long, value_enum, hide_possible_values = true, default_value_t, value_name = "HOW")]
    pub(in crate::cli) show: ShowArg,
    /// Ctrl-C cancels the run and waits for its end; a second one leaves at once
    #[arg(long)]
    pub(in crate::cli) cancel_on_interrupt: bool,
    /// How long to wait for a server that is unreachable, in seconds
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(in crate::cli) patience: u64,
}

impl WatchArgs {
    pub(in crate::cli) const fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PatternArg {
    /// One agent after another
    Sequential,
    /// In rounds, the moderators last in each
    Debate,
    /// A manager splits the task among workers
    Hierarchical,
    /// All at once; an aggregator merges the replies
    Parallel,
    /// A router chooses the agents
    Routing,
    /// An agent designs an orchestration
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
    /// Title of the run
    #[arg(long)]
    pub(in crate::cli) title: Option<String>,
    /// Use this key (id or name) and no other credential
    #[arg(long, value_name = "KEY")]
    pub(in crate::cli) key: Option<String>,
    /// Use the default key of this context [default: default]
    #[arg(long)]
    pub(in crate::cli) context: Option<String>,
    /// Concurrent calls of the run
    #[arg(long, value_name = "N")]
    pub(in crate::cli) max_concurrency: Option<u32>,
    /// A repeat with the same key starts no second run [default: a random one, for retries of a
    /// lost response]
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) idempotency_key: Option<String>,
    /// Start it, print its id, and do not watch
    #[arg(long)]
    pub(in crate::cli) detach: bool,
}

/// A pattern, from a file or from flags. The setting `--model` names the model.
#[derive(Args, Debug, Default)]
pub(in crate::cli) struct PatternArgs {
    /// `PatternInput` or `StartOrchestrationInput` of the API, as JSON or TOML; - for standard
    /// input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pattern", "task", "agent", "manager", "router", "aggregator", "rounds", "on_failure"])]
    pub(in crate::cli) file: Option<PathBuf>,
    /// sequential, debate (in rounds), hierarchical (a manager splits the task), parallel (all at
    /// once), routing (a router chooses the agents) or design (of an orchestration)
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        required_unless_present = "file",
        requires = "task"
    )]
    pub(in crate::cli) pattern: Option<PatternArg>,
    /// The task, topic or request; @FILE reads a file, - standard input
    #[arg(long, value_name = "TEXT", required_unless_present = "file", allow_hyphen_values = true)]
    pub(in crate::cli) task: Option<String>,
    /// An agent, worker or specialist: name=system prompt or name:role=@FILE; repeat for each
    #[arg(long, value_name = "NAME[:ROLE]=PROMPT")]
    pub(in crate::cli) agent: Vec<String>,
    /// The manager (hierarchical)
    #[arg(long, value_name = "NAME=PROMPT")]
    pub(in crate::cli) manager: Option<String>,
    /// The router (routing)
    #[arg(long, value_name = "NAME=PROMPT")]
    pub(in crate::cli) router: Option<String>,
    /// The aggregator (parallel)
    #[arg(long, value_name = "NAME=PROMPT")]
    pub(in crate::cli) aggregator: Option<String>,
    /// Number of rounds (debate) [default: 3]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) rounds: Option<u32>,
    /// After an agent failed (parallel): fail, continue or quorum:N [default: fail]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum StateArg {
    /// Not claimed by an engine yet
    Queued,
    /// An engine works on it
    Running,
    /// Paused by the user, or until the user acts
    Paused,
    /// Ended with a result
    Completed,
    /// Ended with an error
    Failed,
    /// Stopped by the user
    Cancelled,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    pub(in crate::cli) server: ServerArgs,
    /// Only runs in this state: queued, running, paused, completed, failed or cancelled; repeat for
    /// several
    #[arg(long, value_enum, hide_possible_values = true)]
    pub(in crate::cli) state: Vec<StateArg>,
    /// Only runs of this pattern, as of `run start`; repeat for several
    #[arg(long, value_enum, hide_possible_values = true)]
    pub(in crate::cli) pattern: Vec<PatternArg>,
    /// Maximum number of runs
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
    /// A repeat with the same key does nothing a second time
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) idempotency_key: Option<String>,
}
