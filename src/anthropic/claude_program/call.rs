//! One call to a model through the operator's `claude` program.

use super::super::error::Malformed;
use super::super::report::Reports;
use super::super::stream::{
    CallEnd, CallFailure, CallItem, CallStream, MessageRequest, StreamLimits,
};
use super::child::{Group, Running};
use super::guards::Guards;
use super::lines::{Said, Talk};
use crate::anthropic::error::{Origin, RateLimits};
use crate::anthropic::proxy::UpstreamProxy;
use crate::confined::{COMMAND, Launch, Refusal, readable_for};
use crate::sse::decode::Lines;
use claviger_domain::orchestration::{Block, FailureClass};
use claviger_domain::secret::SecretText;
use claviger_domain::timestamp::Timestamp;
use futures::{StreamExt as _, stream};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::{fmt, io};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::Sender;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

/// Upper bound of one read, in bytes.
const READ_MAX: usize = 16 * 1024;

/// The program expands a mention (`@/path`) in a prompt by itself, although it has no tools, and
/// sends the file to the model: a user could read this server's key files. These rules forbid it to
/// read any, beside the system's own guards ([`Guards`]).
const DENY_FILES: &str = r#"{"permissions":{"deny":["Read","Read(//**)"]}}"#;

/// The program's working directory, below its settings: empty, so that a relative mention finds
/// nothing.
const WORK: &str = "work";

/// Its temporary directory, below its settings.
const TEMPORARY: &str = "tmp";

/// Variables by which it knows a proxy.
const PROXY: [&str; 2] = ["HTTPS_PROXY", "HTTP_PROXY"];

/// U+2060: takes no room, and keeps the program from taking what follows for a mention or a
/// command.
const WORD_JOINER: char = '\u{2060}';

/// Where the program is, and the environment it runs in.
#[derive(Clone)]
pub struct ClaudeProgramConfig {
    /// This program, which starts the other one: [`crate::confined::ITSELF`], except in tests.
    pub launcher: PathBuf,
    /// Absolute.
    pub program: PathBuf,
    /// The operator's own login token. It goes into the program's environment and nowhere else.
    pub token: SecretText,
    /// The directory of the program's settings, absolute. Each user has one below it, which is
    /// `HOME` as well: [`ClaudeProgram::for_user`].
    pub config_dir: PathBuf,
    /// `PATH` of the program.
    pub path: OsString,
    /// Through which it calls Anthropic; no socks proxy, which it does not know.
    pub proxy: Option<UpstreamProxy>,
    /// What keeps the program from this server's files.
    pub guards: Guards,
    /// Maximum number of concurrent processes; each takes about 195 MB of memory.
    pub at_once: usize,
    /// Time and size limits of a call.
    pub limits: StreamLimits,
}

impl fmt::Debug for ClaudeProgramConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaudeProgramConfig")
            .field("program", &self.program)
            .field("guards", &self.guards)
            .field("at_once", &self.at_once)
            .finish_non_exhaustive()
    }
}

/// The operator's program. Cheap to clone; clones share the process limit.
#[derive(Clone, Debug)]
pub struct ClaudeProgram {
    config: Arc<ClaudeProgramConfig>,
    free: Arc<Semaphore>,
    tracker: TaskTracker,
    reports: Reports,
}

impl ClaudeProgram {
    /// Starts nothing yet. `tracker` tracks the tasks that reap processes, so that shutdown waits
    /// for them.
    pub fn new(config: ClaudeProgramConfig, tracker: TaskTracker, reports: Reports) -> Self {
        let free = Arc::new(Semaphore::new(config.at_once.clamp(1, Semaphore::MAX_PERMITS)));
        Self { config: Arc::new(config), free, tracker, reports }
    }

    /// Sends the request. The process starts when the stream is polled and a process slot is free;
    /// dropping the stream kills it.
    pub fn messages(&self, request: MessageRequest, now: Timestamp) -> CallStream {
        let call = Call {
            program: self.clone(),
            now,
            phase: Phase::Before(request),
            ready: VecDeque::new(),
        };
        let reports = self.reports.clone();
        stream::unfold(call, |mut call| async move { call.next().await.map(|item| (item, call)) })
            .inspect(move |item| reports.item(item))
            .boxed()
    }

    /// The same program with a user's own settings directory, which is made if need be. The process
    /// limit is shared.
    ///
    /// # Errors
    /// The directory can't be made.
    pub fn for_user(&self, user: &str) -> io::Result<Self> {
        let config_dir = self.config.config_dir.join(user);
        self.config.guards.make_private(&config_dir, &[WORK, TEMPORARY])?;
        let config = ClaudeProgramConfig { config_dir, ..(*self.config).clone() };
        Ok(Self {
            config: Arc::new(config),
            free: Arc::clone(&self.free),
            tracker: self.tracker.clone(),
            reports: self.reports.clone(),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.config.launcher);
        // Nothing of this process's environment, and a directory that tells nothing.
        command.arg(COMMAND).env_clear().current_dir("/");
        self.config.guards.apply(&mut command);
        command
    }

    fn launch(&self, request: &MessageRequest, input_bytes: usize) -> io::Result<Launch> {
        let config = &self.config;
        let text =
            |path: &Path| path.to_str().map(str::to_owned).ok_or(io::ErrorKind::InvalidInput);
        let (own, proxy) = (text(&config.config_dir)?, config.proxy.iter());
        let arguments = [
            "-p",
            "--output-format",
            "stream-json",
            "--verbose",
            "--include-partial-messages",
            "--model",
            &request.model,
            "--tools",
            "",
            "--max-turns",
            "1",
            "--no-session-persistence",
            "--settings",
            DENY_FILES,
            // The name of the file follows. In an argument everybody could read the prompt.
            "--system-prompt-file",
        ];
        // Inherited variables could change what the program does; an API key would even take
        // precedence over the token.
        let environment = [
            ("PATH", text(Path::new(&config.path))?),
            ("HOME", own.clone()),
            ("TMPDIR", text(&config.config_dir.join(TEMPORARY))?),
            ("CLAUDE_CONFIG_DIR", own),
            ("CLAUDE_CODE_OAUTH_TOKEN", config.token.expose().trim().to_owned()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
            ("DISABLE_AUTOUPDATER", "1".to_owned()),
            ("CLAUDE_CODE_MAX_RETRIES", "0".to_owned()),
            ("API_TIMEOUT_MS", config.limits.whole.as_millis().to_string()),
        ];
        Ok(Launch {
            program: config.program.clone(),
            arguments: arguments.map(str::to_owned).to_vec(),
            environment: environment
                .into_iter()
                .chain(proxy.flat_map(|proxy| PROXY.map(|name| (name, proxy.expose().to_owned()))))
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            directory: config.config_dir.join(WORK),
            readable: readable_for(&config.program, Path::new(&config.path)),
            writable: vec![config.config_dir.clone()],
            landlock: config.guards.has_landlock(),
            file: request.system.clone().unwrap_or_default(),
            input_bytes: u64::try_from(input_bytes).unwrap_or(u64::MAX),
        })
    }
}

/// The program's standard input; `None` if the request has images, which the program does not take.
fn prompt(request: &MessageRequest) -> Option<Vec<u8>> {
    let mut texts = Vec::with_capacity(request.blocks.len());
    for block in &request.blocks {
        match block {
            Block::Text { text } => texts.push(text.clone()),
            Block::Image { .. } => return None,
        }
    }
    if let Some(schema) = &request.schema {
        texts
            .push(format!("Answer with one JSON value of this schema and nothing else:\n{schema}"));
    }
    Some(inert(&texts.join("\n\n")).into_bytes())
}

/// The prompt with nothing in it that the program would act on: no mention of a file anywhere, and
/// no command (`/cost`), shell line (`!`) or memory line (`#`) at its beginning. Beside
/// [`DENY_FILES`], because either guard alone would be one release of that program away from none.
fn inert(prompt: &str) -> String {
    let mut inert = String::with_capacity(prompt.len() + 16);
    // Whatever comes first: which characters the program trims before it looks is not ours to know.
    inert.push(WORD_JOINER);
    for c in prompt.chars() {
        inert.push(c);
        if matches!(c, '@' | '\u{ff20}' | '\u{fe6b}') {
            inert.push(WORD_JOINER);
        }
    }
    inert
}

/// A program that can't be started is the operator's concern; a prompt that is too long for it, the
/// user's.
const fn class_of(refusal: Refusal) -> FailureClass {
    match refusal {
        Refusal::TooLong => FailureClass::TooLarge,
        Refusal::NotFound | Refusal::NotPermitted | Refusal::Unguarded | Refusal::Other => {
            FailureClass::Between
        }
    }
}

const fn not_started(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotFound => {
            "the claude program, or its settings directory, does not exist: check the server's settings"
        }
        Refusal::NotPermitted => {
            "this server may not run the claude program: check the permissions of its file and of the settings directory"
        }
        Refusal::TooLong => "the prompt is too long for the claude program: shorten it",
        Refusal::Unguarded => {
            "the claude program was not started: it could not be kept from this server's files"
        }
        Refusal::Other => "the claude program cannot be started",
    }
}

struct Call {
    program: ClaudeProgram,
    now: Timestamp,
    phase: Phase,
    ready: VecDeque<CallItem>,
}

/// How the program ended.
#[derive(Clone, Copy)]
enum Ending {
    Answered,
    Failed,
    NotStarted(Refusal),
}

enum Phase {
    Before(MessageRequest),
    Under(Box<Talking>),
    Over,
}

struct Talking {
    /// The lifeline, too: without it the processes end. So it goes first.
    stdin: Sender,
    stdout: tokio::net::unix::pipe::Receiver,
    /// Sees to it that they end, and reaps the first of them.
    _group: Group,
    /// What is still to be written.
    input: VecDeque<u8>,
    started: Instant,
    lines: Lines,
    talk: Talk,
    result: Option<Ending>,
}

impl Call {
    async fn next(&mut self) -> Option<CallItem> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Over => return None,
                Phase::Before(request) => match self.begin(&request).await {
                    Ok(talking) => self.phase = Phase::Under(Box::new(talking)),
                    Err(failure) => return Some(CallItem::Failed(Box::new(failure))),
                },
                Phase::Under(talking) => self.go_on(*talking).await,
            }
        }
    }

    async fn begin(&self, request: &MessageRequest) -> Result<Talking, CallFailure> {
        let refused = |refusal| CallFailure::bare(class_of(refusal), not_started(refusal));
        let prompt = prompt(request).ok_or_else(|| {
            let message = "the claude program takes no images: use an API key for this run";
            CallFailure::bare(FailureClass::Request, message)
        })?;
        let free = Arc::clone(&self.program.free);
        let permit = free.acquire_owned().await.map_err(|_| refused(Refusal::Other))?;
        let limits = self.program.config.limits;
        let started = Instant::now();
        let message = self.program.launch(request, prompt.len()).and_then(|it| it.message());
        let mut input = VecDeque::from(message.map_err(|error| refused(error.into()))?);
        input.extend(prompt);
        let running = Group::start(&mut self.program.command(), permit, &self.program.tracker);
        let running = running.map_err(|error| refused(error.into()));
        let Running { group, stdin, stdout } = running?;
        Ok(Talking {
            stdin,
            stdout,
            _group: group,
            input,
            started,
            lines: Lines::new(limits.line_max, limits.total_max),
            talk: Talk::default(),
            result: None,
        })
    }

    async fn go_on(&mut self, mut talking: Talking) {
        let limits = self.program.config.limits;
        let by = (Instant::now() + limits.idle).min(talking.started + limits.whole);
        let read = timeout_at(by, talking.exchange(&mut self.ready)).await;
        let failure = match read {
            Err(_) => {
                talking.broken(FailureClass::Timeout, "the claude program did not answer in time")
            }
            Ok(Err(Malformed::Cut)) => talking.broken(
                FailureClass::Connection,
                "the claude program ended before its answer was complete",
            ),
            Ok(Err(_)) => talking.broken(
                FailureClass::Protocol,
                "the claude program wrote output that cannot be read",
            ),
            Ok(Ok(())) => match talking.result {
                None => {
                    self.phase = Phase::Under(Box::new(talking));
                    return;
                }
                Some(Ending::NotStarted(refusal)) => {
                    CallFailure::bare(class_of(refusal), not_started(refusal))
                }
                Some(Ending::Failed) => talking.talk.failure(self.now),
                Some(Ending::Answered) => {
                    self.ready.push_back(talking.end());
                    return;
                }
            },
        };
        self.ready.push_back(CallItem::Failed(Box::new(failure)));
    }
}

impl Talking {
    /// Reads once, and writes the rest of the prompt until then. Both happen at once: with a long
    /// prompt and a long answer, each side would otherwise wait for the other.
    async fn exchange(&mut self, ready: &mut VecDeque<CallItem>) -> Result<(), Malformed> {
        let mut buffer = vec![0; READ_MAX];
        let count = loop {
            if self.input.is_empty() {
                break self.stdout.read(&mut buffer).await;
            }
            tokio::select! {
                count = self.stdout.read(&mut buffer) => break count,
                written = self.stdin.write(self.input.make_contiguous()) => match written {
                    Ok(count) => drop(self.input.drain(..count)),
                    // Nobody reads: the end of the output shows it.
                    Err(_) => self.input.clear(),
                },
            }
        };
        let count = count.map_err(|_| Malformed::Cut)?;
        if count == 0 {
            return Err(Malformed::Cut);
        }
        let Self { lines, talk, result, .. } = self;
        lines.push(buffer.get(..count).unwrap_or_default(), |line| {
            if result.is_none() {
                match talk.take(line)? {
                    Said::Items(items) => ready.extend(items),
                    Said::Nothing => {}
                    Said::Result { is_error: true } => *result = Some(Ending::Failed),
                    Said::Result { is_error: false } => *result = Some(Ending::Answered),
                    Said::NotStarted(refusal) => *result = Some(Ending::NotStarted(refusal)),
                }
            }
            Ok(())
        })
    }

    fn end(&self) -> CallItem {
        let message = &self.talk.message;
        let (usage, terms) = message.bill();
        let failure = match message.refusal() {
            Some(words) => {
                CallFailure { usage, terms, ..CallFailure::bare(FailureClass::Refusal, &words) }
            }
            None if message.is_whole() => {
                return CallItem::Ended(Box::new(CallEnd {
                    stop_reason: message.stop_reason(),
                    usage,
                    terms,
                    thinking_bytes: message.thinking_bytes,
                    origin: Origin::default(),
                    limits: RateLimits::default(),
                }));
            }
            None => self.broken(
                FailureClass::Connection,
                "the claude program ended before its answer was complete",
            ),
        };
        CallItem::Failed(Box::new(failure))
    }

    /// What an interrupted call used is never known for certain.
    fn broken(&self, class: FailureClass, message: &str) -> CallFailure {
        CallFailure {
            usage: self.talk.message.usage(),
            maybe_billed: true,
            ..CallFailure::bare(class, message)
        }
    }
}
