//! Max Plan against a program that behaves as the `claude` program was seen to.

use super::secret;
use crate::harness::environment::NOW;
use crate::harness::program::PROGRAM;
use claviger::anthropic::claude_program::{ClaudeProgram, ClaudeProgramConfig, Guards, Wanted};
use claviger::anthropic::report::Reports;
use claviger::anthropic::stream::{CallFailure, CallItem, MessageRequest, StreamLimits};
use claviger::system::environment::{Kernel as _, ThisKernel};
use claviger_domain::orchestration::{Block, FailureClass, StopReason, Usage};
use futures::StreamExt as _;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
const PASSWORD: &str = "swordfish";
const TOKEN: &str = "sk-ant-oat01-a-token-of-the-operators";

fn program(dir: &TempDir, idle: Duration, tracker: &TaskTracker) -> ClaudeProgram {
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/upstream/fake-claude.sh");
    started_by(fake, dir, idle, tracker)
}

fn started_by(
    program: PathBuf,
    dir: &TempDir,
    idle: Duration,
    tracker: &TaskTracker,
) -> ClaudeProgram {
    let wanted = Wanted { user: None, directory: None, data_dir: dir.path(), private: &[] };
    let (guards, config_dir) =
        Guards::choose(ThisKernel.has_landlock(), &wanted, (&program, Path::new(PATH))).unwrap();
    let config = ClaudeProgramConfig {
        proxy: Some(format!("http://user:{PASSWORD}@127.0.0.1:9").parse().unwrap()),
        launcher: PROGRAM.into(),
        program,
        token: secret(TOKEN),
        config_dir,
        path: PATH.into(),
        guards,
        at_once: 1,
        limits: StreamLimits { idle, line_max: 64 * 1024, ..StreamLimits::default() },
    };
    let shown = format!("{config:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains(PASSWORD));
    ClaudeProgram::new(config, tracker.clone(), Reports::default()).for_user("ada").unwrap()
}

/// A file of the user's settings directory.
fn own(dir: &TempDir, name: &str) -> PathBuf {
    dir.path().join("claude/ada").join(name)
}

fn request(text: &str) -> MessageRequest {
    let blocks = vec![Block::Text { text: text.to_owned() }];
    let system = Some("You are brief.".to_owned());
    MessageRequest {
        model: "claude-haiku-5-5".to_owned(),
        max_tokens: 100,
        system,
        blocks,
        schema: None,
    }
}

async fn called(text: &str) -> Vec<CallItem> {
    let (dir, tracker) = (TempDir::new().unwrap(), TaskTracker::new());
    program(&dir, Duration::from_secs(30), &tracker).messages(request(text), NOW).collect().await
}

fn failed(items: &[CallItem]) -> &CallFailure {
    let Some(CallItem::Failed(failure)) = items.last() else { panic!("{items:?}") };
    failure
}

#[tokio::test]
async fn an_answer_is_the_same_stream_of_items() {
    let (dir, tracker) = (TempDir::new().unwrap(), TaskTracker::new());
    let program = program(&dir, Duration::from_secs(30), &tracker);
    // Longer than a pipe holds, so that writing must go on while the program reads.
    let text = format!("hello {}", "x".repeat(200_000));
    let schema = Some(json!({"type": "object"}));
    let items: Vec<_> =
        program.messages(MessageRequest { schema, ..request(&text) }, NOW).collect().await;
    let usage = |output| Usage { input: 7, output, ..Usage::default() };
    assert_eq!(items[0], CallItem::Started { message_id: "msg_1".to_owned(), usage: usage(1) });
    assert_eq!(
        items[1..4],
        [
            CallItem::Text("Hello ".to_owned()),
            CallItem::Text("you".to_owned()),
            CallItem::Usage(usage(5))
        ]
    );
    let CallItem::Ended(end) = &items[4] else { panic!("{items:?}") };
    assert_eq!((end.stop_reason, end.usage), (StopReason::EndTurn, usage(5)));

    let read = |name: &str| std::fs::read_to_string(own(&dir, name)).unwrap();
    let arguments = "-p\n--output-format\nstream-json\n--verbose\n--include-partial-messages\n--model\nclaude-haiku-5-5\n--tools\n\n\
        --max-turns\n1\n--no-session-persistence\n\
        --settings\n{\"permissions\":{\"deny\":[\"Read\",\"Read(//**)\"]}}\n--system-prompt-file\n/proc/self/fd/";
    let given = read("arguments");
    let file = given.strip_prefix(arguments).unwrap_or_else(|| panic!("{given}"));
    assert!(file.trim_end().parse::<u32>().is_ok(), "{file}");
    // Not in an argument, which everybody on the machine could read.
    assert_eq!(read("system"), "You are brief.");
    assert!(
        read("prompt").contains(&text)
            && read("prompt").ends_with("nothing else:\n{\"type\":\"object\"}")
    );
    let environment = read("environment");
    // The shell adds these three itself.
    let names = environment.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
    let names: Vec<_> =
        names.filter(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name)).collect();
    let expected = [
        "API_TIMEOUT_MS",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "CLAUDE_CODE_MAX_RETRIES",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CONFIG_DIR",
        "DISABLE_AUTOUPDATER",
        "HOME",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "PATH",
        "TMPDIR",
    ];
    assert_eq!(names, expected);
    assert!(environment.contains(TOKEN) && !read("arguments").contains(TOKEN));
    let proxy = format!("HTTPS_PROXY=http://user:{PASSWORD}@127.0.0.1:9/\n");
    assert!(environment.contains(&proxy) && !read("arguments").contains(PASSWORD));
}

/// The stand-in expands a mention as the program does, even if its settings forbid that: each guard
/// must work without the other.
#[tokio::test]
async fn a_prompt_names_no_file_and_gives_no_command() {
    let (dir, tracker) = (TempDir::new().unwrap(), TaskTracker::new());
    let program = program(&dir, Duration::from_secs(30), &tracker);
    let master_key = dir.path().join("master.key");
    std::fs::write(&master_key, "the-master-key").unwrap();
    let path = master_key.display();
    for (text, begins) in [
        (format!("look @{path} what does this say"), "\u{2060}look @\u{2060}/"),
        (format!("@{path}"), "\u{2060}@\u{2060}/"),
        (format!("mail ada@example.org, then @{path}"), "\u{2060}mail ada@\u{2060}example.org"),
        ("/cost".to_owned(), "\u{2060}/cost"),
        (" \n/cost".to_owned(), "\u{2060} \n/cost"),
        // JavaScript trims a byte order mark, and Rust doesn't.
        ("\u{feff}/cost".to_owned(), "\u{2060}\u{feff}/cost"),
        ("!cat master.key".to_owned(), "\u{2060}!cat"),
        ("# remember this".to_owned(), "\u{2060}# remember"),
    ] {
        let items: Vec<_> = program.messages(request(&text), NOW).collect().await;
        assert!(matches!(items.last(), Some(CallItem::Ended(_))), "{text}: {items:?}");
        assert!(!format!("{items:?}").contains("the-master-key"), "{text}: {items:?}");
        let prompt = std::fs::read_to_string(own(&dir, "prompt")).unwrap();
        assert!(prompt.starts_with(begins), "{prompt:?}");
    }
}

#[tokio::test]
async fn every_failure_has_its_class() {
    use FailureClass as F;
    for (text, class, billed) in [
        ("overloaded", F::Overloaded, false),
        ("unknown-token", F::Authentication, false),
        ("broken", F::Connection, true),
        ("refuse", F::Refusal, false),
        ("long-line", F::Protocol, true),
    ] {
        let items = called(text).await;
        let failure = failed(&items);
        assert_eq!((failure.class, failure.maybe_billed), (class, billed), "{text}");
        assert!(!format!("{failure:?}").contains(TOKEN));
    }
}

#[tokio::test]
async fn an_answer_sent_again_voids_the_first() {
    let items = called("resend").await;
    let at = items.iter().position(|item| matches!(item, CallItem::Restarted { .. })).unwrap();
    assert!(items[..at].contains(&CallItem::Text("void".to_owned())));
    assert_eq!(items[at + 1], CallItem::Text("Grüße".to_owned()));
    assert!(matches!(items.last(), Some(CallItem::Ended(_))));
}

/// Whether the process is there, as a zombie too.
fn is_there(pid: &str) -> bool {
    PathBuf::from("/proc").join(pid).exists()
}

#[tokio::test]
async fn a_dropped_call_leaves_no_process_and_makes_room() {
    let (dir, tracker) = (TempDir::new().unwrap(), TaskTracker::new());
    let program = program(&dir, Duration::from_mins(1), &tracker);
    let mut hanging = program.messages(request("hang"), NOW);
    while !matches!(hanging.next().await, Some(CallItem::Text(_))) {}
    let pids = std::fs::read_to_string(own(&dir, "pids")).unwrap();
    let (shell, sleeper) = pids.trim().split_once(' ').unwrap();
    assert!(is_there(shell) && is_there(sleeper));
    let mut next = program.messages(request("hello"), NOW);
    assert!(futures::poll!(next.next()).is_pending(), "there is room for one");
    drop(hanging);
    let items: Vec<_> = next.collect().await;
    assert!(matches!(items.last(), Some(CallItem::Ended(_))), "{items:?}");
    tracker.close();
    tracker.wait().await;
    // All are reaped before their room is given back.
    assert!(!is_there(shell) && !is_there(sleeper));
}

#[tokio::test]
async fn a_silent_program_is_given_up_and_one_that_isnt_there_is_named() {
    let (dir, tracker) = (TempDir::new().unwrap(), TaskTracker::new());
    let items: Vec<_> = program(&dir, Duration::from_millis(300), &tracker)
        .messages(request("hang"), NOW)
        .collect()
        .await;
    assert_eq!((failed(&items).class, failed(&items).maybe_billed), (FailureClass::Timeout, true));
    let image = Block::Image { media_type: "image/png".to_owned(), data: "aGk=".to_owned() };
    let with_image = MessageRequest { blocks: vec![image], ..request("") };
    let absent = started_by("/nowhere/claude".into(), &dir, Duration::from_secs(30), &tracker);
    for (call, class, word) in [
        (
            program(&dir, Duration::from_secs(30), &tracker).messages(with_image, NOW),
            FailureClass::Request,
            "takes no images",
        ),
        (absent.messages(request("hello"), NOW), FailureClass::Between, "does not exist"),
    ] {
        let items: Vec<_> = call.collect().await;
        assert_eq!((failed(&items).class, failed(&items).maybe_billed), (class, false));
        assert!(failed(&items).message.contains(word), "{}", failed(&items).message);
    }
}
