//! The operator's program reads nothing of the server's, and doesn't outlive it
//! (`ops/docs/adr/0034-the-claude-program-is-confined.md`).
//!
//! The stand-in expands mentions whatever its settings say, and takes the escapes out of a prompt
//! with the word `unescaped`: what holds then is the system.

use crate::harness::client::Client;
use crate::harness::environment::{NOW, system};
use crate::harness::program::{Home, PROGRAM, Server};
use crate::harness::stores::StoreKind;
use crate::harness::upstream::NO_UPSTREAM;
use crate::harness::world::World;
use claviger::anthropic::claude_program::{ClaudeProgram, ClaudeProgramConfig, Guards, Wanted};
use claviger::anthropic::report::Reports;
use claviger::anthropic::stream::{CallItem, MessageRequest, StreamLimits};
use claviger::app::wiring::{Core, NewStore};
use claviger::system::environment::{Environment, Kernel, ThisKernel};
use claviger_application::ids::{IdKind, decode_as};
use claviger_domain::orchestration::Block;
use claviger_domain::secret::SecretText;
use futures::StreamExt as _;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::json;
use std::fs::{self, File, Permissions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

const TOKEN: &str = "sk-ant-oat01-a-token-of-the-operators";
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// How long anything is awaited before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A user and group without rights, by their usual number.
const NOBODY: u32 = 65_534;

/// What the stand-in answers if it got nothing.
const NOTHING: &str = "core 0, 9 closed";

pub(super) fn stand_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/upstream/fake-claude.sh")
}

/// A server's files, and a copy of the programs that any user may run.
pub(super) struct Ground {
    dir: TempDir,
}

impl Ground {
    /// With a program that is a copy of this file.
    pub(super) fn new(program: &Path) -> Self {
        let dir = TempDir::new().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let ground = Self { dir };
        fs::create_dir(ground.path("data")).unwrap();
        fs::set_permissions(ground.path("data"), Permissions::from_mode(0o700)).unwrap();
        for (file, content) in [("data/master.key", "the-master-key"), ("other.key", "a key")] {
            fs::write(ground.path(file), content).unwrap();
            fs::set_permissions(ground.path(file), Permissions::from_mode(0o600)).unwrap();
        }
        let (from, to) = (Path::new(PROGRAM), ground.path("claviger"));
        fs::hard_link(from, &to).or_else(|_| fs::copy(from, &to).map(drop)).unwrap();
        fs::copy(program, ground.path("claude")).unwrap();
        // With a descriptor that a careless parent left open.
        let key = ground.path("other.key");
        let script = format!(
            "#!/bin/sh\nexec 9<'{}'\nexec '{}' \"$@\"\n",
            key.display(),
            ground.path("claviger").display()
        );
        fs::write(ground.path("launcher"), script).unwrap();
        fs::set_permissions(ground.path("launcher"), Permissions::from_mode(0o755)).unwrap();
        ground
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn program(
        &self,
        has_landlock: bool,
        user: Option<u32>,
        launcher: &str,
    ) -> ClaudeProgram {
        let (data, settings, program) =
            (self.path("data"), self.path("settings"), self.path("claude"));
        let wanted = Wanted {
            user: user.map(|user| (user, user)),
            directory: user.is_some().then_some(&*settings),
            data_dir: &data,
            private: &[&self.path("other.key")],
        };
        let (guards, config_dir) =
            Guards::choose(has_landlock, &wanted, (&program, Path::new(PATH))).unwrap();
        let config = ClaudeProgramConfig {
            proxy: None,
            launcher: self.path(launcher),
            program,
            token: SecretText::new(TOKEN.to_owned()),
            config_dir,
            path: PATH.into(),
            guards,
            at_once: 1,
            limits: StreamLimits::default(),
        };
        ClaudeProgram::new(config, TaskTracker::new(), Reports::default()).for_user("ada").unwrap()
    }
}

pub(super) fn request(prompt: &str) -> MessageRequest {
    MessageRequest {
        model: "claude-haiku-5-5".to_owned(),
        max_tokens: 100,
        system: Some("You are brief.".to_owned()),
        blocks: vec![Block::Text { text: prompt.to_owned() }],
        schema: None,
    }
}

pub(super) async fn answer(program: &ClaudeProgram, prompt: &str) -> String {
    let call = program.messages(request(prompt), NOW);
    let items: Vec<_> = tokio::time::timeout(PATIENCE, call.collect()).await.unwrap();
    assert!(matches!(items.last(), Some(CallItem::Ended(_))), "{items:?}");
    let text = |item| if let CallItem::Text(text) = item { Some(text) } else { None };
    items.into_iter().filter_map(text).collect()
}

/// Each guard alone, and both, as far as they are here: whether Landlock, and which user. Another
/// user needs tests that run as root.
pub(super) fn guards() -> Vec<(bool, Option<u32>)> {
    let nobody = geteuid().is_root().then_some(NOBODY);
    let mut guards = Vec::new();
    if ThisKernel.has_landlock() {
        guards.push((true, None));
    }
    if nobody.is_some() {
        guards.push((false, nobody));
    }
    if ThisKernel.has_landlock() && nobody.is_some() {
        guards.push((true, nobody));
    }
    assert!(!guards.is_empty(), "this system has neither Landlock nor root: nothing is shown");
    guards
}

#[tokio::test]
async fn a_mention_gets_nothing_of_the_servers_by_either_guard() {
    let ground = Ground::new(&stand_in());
    for (landlock, user) in guards() {
        // The file that it leaves open only root can open.
        let launcher = if user.is_some() { "claviger" } else { "launcher" };
        let program = ground.program(landlock, user, launcher);
        let own = if user.is_some() { "settings/ada" } else { "data/claude/ada" };
        let mentions = ["data/master.key", "data", "other.key", own].map(|name| ground.path(name));
        let mentions = mentions.map(|path| format!("@{}", path.display())).join(" ");
        let us = std::process::id();
        let prompt = format!(
            "unescaped report {mentions} @/proc/PARENT/environ @/proc/{us}/environ @/proc/{us}/mem @/root @{PROGRAM}"
        );
        let mut expected = format!("{NOTHING}, got {}", ground.path(own).display());
        // Whether others may read this is for their administrator to say.
        if !landlock && File::open(PROGRAM).is_ok() {
            expected = format!("{expected}, got {PROGRAM}");
        }
        let answer = answer(&program, &prompt).await;
        assert!(
            answer == expected || expected.starts_with(&answer),
            "{landlock} {user:?}: {answer}"
        );
        assert!(answer.contains("ada"), "the stand-in reads what it may: {answer}");
    }
}

struct With {
    landlock: bool,
    filter: bool,
}

impl Kernel for With {
    fn has_landlock(&self) -> bool {
        self.landlock
    }

    fn has_call_filter(&self) -> bool {
        self.filter
    }
}

/// With Max Plan and this program on such a kernel, a server is refused by these words.
async fn refused(program: &Path, kernel: With) -> String {
    let mut world = World::open(StoreKind::Sqlite).await;
    world.config.max_plan = true;
    world.config.claude_bin = program.to_owned();
    world.config.path = PATH.into();
    world.config.claude_token = Some(SecretText::new(TOKEN.to_owned()));
    let env = Environment { kernel: Arc::new(kernel), ..system() };
    let refused =
        Core::open(&world.config, env, "claviger test", NewStore::Made).await.err().unwrap();
    world.close().await;
    refused.to_string()
}

#[tokio::test]
async fn without_a_guard_the_server_does_not_start() {
    let words = refused(&stand_in(), With { landlock: false, filter: true }).await;
    assert!(words.contains("Landlock") && words.contains("max_plan_user"), "{words}");
    let words = refused(&stand_in(), With { landlock: true, filter: false }).await;
    assert!(words.contains("seccomp"), "{words}");
}

#[tokio::test]
async fn without_its_program_the_server_does_not_start() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("claude");
    fs::write(&file, "").unwrap();
    for (program, word) in [
        (Path::new("claude-that-is-nowhere"), "in no directory of this server's PATH"),
        (Path::new("/nowhere/claude"), "is not there"),
        (&file, "may be executed"),
        (dir.path(), "may be executed"),
    ] {
        let words = refused(program, With { landlock: true, filter: true }).await;
        let program = program.display().to_string();
        let all = [word, &program, "install it", "claude_bin", "switch max_plan off"];
        assert!(all.iter().all(|word| words.contains(word)), "{words}");
    }
}

/// A server whose runs go through the stand-in, and a user.
pub(super) struct Stage {
    pub(super) home: Home,
    pub(super) server: Server,
    pub(super) ada: Client,
    settings: PathBuf,
}

impl Stage {
    pub(super) async fn open(program: &Path) -> Self {
        let home = Home::new();
        let server = home.serve_with(NO_UPSTREAM, |command| {
            command
                .env("PATH", PATH)
                .env("CLAVIGER_MAX_PLAN", "true")
                .env("CLAVIGER_CLAUDE_BIN", program)
                .env("CLAUDE_CODE_OAUTH_TOKEN", TOKEN)
                .env("CLAVIGER_DATA_DIR", "../data");
        });
        let ada = Client::register(server.url(), "ada").await;
        let viewer = ada.ask("{ viewer { id } }", json!({})).await;
        let id = decode_as(IdKind::User, viewer["viewer"]["id"].as_str().unwrap()).unwrap();
        let settings = home.data().join("claude").join(id.to_string());
        fs::create_dir_all(&settings).unwrap();
        Self { home, server, ada, settings }
    }

    /// The id of a run with this task.
    pub(super) async fn run(&self, task: &str) -> String {
        let agents = json!([{ "name": "Ann", "systemPrompt": "You are Ann." }]);
        let pattern = json!({ "sequential": { "task": task, "agents": agents } });
        let started = self.ada.done("startOrchestration", json!({ "pattern": pattern })).await;
        started["orchestration"]["id"].as_str().unwrap().to_owned()
    }

    /// Lines from the pipe that the program and all that it starts hold open, then their end.
    pub(super) fn alive(&self) -> Receiver<Option<String>> {
        alive(&self.settings)
    }
}

/// See [`Stage::alive`], for a program with these settings.
pub(super) fn alive(settings: &Path) -> Receiver<Option<String>> {
    let pipe = settings.join("alive");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let (sender, lines) = channel();
    // Not of the runtime, which would wait for it after a failed test.
    std::thread::spawn(move || {
        let lines = BufReader::new(File::open(pipe).unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            drop(sender.send(Some(line)));
        }
        drop(sender.send(None));
    });
    lines
}

pub(super) fn next(lines: &Receiver<Option<String>>) -> Option<String> {
    lines.recv_timeout(PATIENCE).expect("the program, or one that it started, lives on")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_leaves_no_program_and_nothing_that_it_started() {
    let mut stage = Stage::open(&stand_in()).await;
    let alive = stage.alive();
    stage.run("linger").await;
    assert_eq!(next(&alive).as_deref(), Some("here"));
    stage.server.kill();
    assert_eq!(next(&alive), None, "the last holder of the pipe is gone");
    drop(stage.home);
}

/// By the signal that the program gets when its parent dies.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_does_not_outlive_its_supervisor() {
    let ground = Ground::new(&stand_in());
    if !ThisKernel.has_landlock() {
        return;
    }
    let program = ground.program(true, None, "claviger");
    let pids = ground.path("data/claude/ada/pids");
    let mut call = program.messages(request("alone"), NOW);
    while !matches!(call.next().await, Some(CallItem::Text(_))) {}
    let supervisor = fs::read_to_string(pids).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(supervisor).unwrap(), Signal::KILL).unwrap();
    // The program alone holds the other end of its output.
    let rest = tokio::time::timeout(PATIENCE, call.collect::<Vec<_>>()).await.unwrap();
    assert!(matches!(rest.last(), Some(CallItem::Failed(_))), "{rest:?}");
}

/// `/proc/<pid>` of such a process belongs to root, whoever runs it.
#[test]
fn a_servers_memory_is_not_for_other_processes_of_its_user() {
    let ground = Ground::new(&stand_in());
    let mut command = Command::new(ground.path("claviger"));
    command.args(["simulate", "--at", "127.0.0.1:0"]).env_clear().current_dir("/");
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut server =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = [0; 1];
    server.stdout.take().unwrap().read_exact(&mut line).unwrap();
    let environ = fs::metadata(format!("/proc/{}/environ", server.id())).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(environ.uid(), 0);
}

/// By the whole path of a run: a relative data directory, the engine, the file of the system prompt.
#[tokio::test(flavor = "multi_thread")]
async fn a_users_run_gets_nothing_of_the_server() {
    let stage = Stage::open(&stand_in()).await;
    let (data, server) = (stage.home.data(), stage.server.id());
    let data = data.display();
    let task = format!(
        "unescaped report @{data} @{data}/master.key @{data}/token.key @/proc/{server}/environ @/proc/PARENT/environ @../../../master.key"
    );
    let alive = stage.alive();
    stage.run(&task).await;
    assert_eq!(next(&alive).as_deref(), Some(NOTHING));
    assert_eq!(fs::read_to_string(stage.settings.join("system")).unwrap(), "You are Ann.");
    stage.server.stop().await;
}
