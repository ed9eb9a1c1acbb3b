//! `--help` of a command lists its own options, and no other's.

use crate::harness::program::Home;
use std::collections::BTreeSet;

/// What somebody scrolls through without losing the thread; `serve` has more settings than any other.
const MAX_LINES: usize = 130;

/// Taken by every command.
const EVERYWHERE: [&str; 4] = ["--help", "--json", "--log", "--log-json"];

const STORE: [&str; 6] = [
    "--config",
    "--data-dir",
    "--lease-ms",
    "--master-keys-file",
    "--mongodb-uri",
    "--token-key-file",
];

const SERVE: [&str; 42] = [
    "--anthropic-base-url",
    "--calls-per-key",
    "--claude-bin",
    "--drain-ms",
    "--env-keys-for",
    "--heartbeat-ms",
    "--hosts",
    "--introspection",
    "--jwks-audience",
    "--jwks-issuer",
    "--jwks-role-claim",
    "--jwks-url",
    "--keep-alive-ms",
    "--key-commands-per-minute",
    "--key-tests-per-minute",
    "--listen",
    "--max-keys",
    "--max-plan",
    "--max-plan-dir",
    "--max-plan-for",
    "--max-plan-user",
    "--metrics-listen",
    "--model",
    "--origins",
    "--prices",
    "--registration",
    "--registrations-per-hour",
    "--request-memory-mib",
    "--retry-budget-ms",
    "--run-bytes-per-day",
    "--run-commands-per-minute",
    "--runs-at-once",
    "--sign-ins-per-minute",
    "--stall-ms",
    "--stream-memory-mib",
    "--streams-per-user",
    "--test-timeout-ms",
    "--trusted-proxies",
    "--upstream-call-ms",
    "--upstream-idle-ms",
    "--upstream-proxy",
    "--view-wait-ms",
];

const SERVER: [&str; 4] = ["--allow-http", "--password-stdin", "--url", "--user"];

const WATCH: [&str; 3] = ["--cancel-on-interrupt", "--patience", "--show"];

const START: [&str; 16] = [
    "--agent",
    "--aggregator",
    "--context",
    "--detach",
    "--file",
    "--idempotency-key",
    "--key",
    "--manager",
    "--max-concurrency",
    "--model",
    "--on-failure",
    "--pattern",
    "--rounds",
    "--router",
    "--task",
    "--title",
];

const CALLS: [&str; 5] =
    ["--anthropic-base-url", "--model", "--prices", "--test-timeout-ms", "--upstream-proxy"];

/// Each command with the options that are its own, in groups.
const COMMANDS: [(&[&str], &[&[&str]]); 33] = [
    (&[], &[&["--version"]]),
    (&["serve"], &[&STORE, &SERVE]),
    (&["demo"], &[&["--config", "--exit", "--listen", "--metrics-listen"]]),
    (&["simulate"], &[&["--at", "--keys", "--pace-ms"]]),
    (&["user"], &[]),
    (&["user", "add"], &[&STORE, &["--email", "--full-name", "--password-stdin", "--role"]]),
    (&["user", "list"], &[&STORE, &["--state"]]),
    (&["user", "show"], &[&STORE]),
    (&["user", "deactivate"], &[&STORE]),
    (&["user", "reactivate"], &[&STORE]),
    (&["user", "role"], &[&STORE, &["--grant", "--revoke"]]),
    (&["user", "password"], &[&STORE]),
    (&["user", "sessions"], &[&STORE, &["--end", "--end-all"]]),
    (&["user", "rename"], &[&STORE, &["--email", "--full-name", "--username"]]),
    (&["key"], &[]),
    (&["key", "list"], &[&STORE, &["--user"]]),
    (&["key", "add"], &[&STORE, &["--context", "--default", "--max-keys", "--name", "--user"]]),
    (&["key", "test"], &[&STORE, &CALLS, &["--level", "--user", "--with"]]),
    (&["key", "default"], &[&STORE, &["--context", "--user"]]),
    (&["run"], &[]),
    (&["run", "start"], &[&SERVER, &WATCH, &START]),
    (&["run", "attach"], &[&SERVER, &WATCH]),
    (&["run", "list"], &[&SERVER, &["--first", "--pattern", "--state"]]),
    (&["run", "show"], &[&SERVER]),
    (&["run", "cancel"], &[&SERVER, &["--idempotency-key"]]),
    (&["run", "pause"], &[&SERVER, &["--idempotency-key"]]),
    (&["run", "resume"], &[&SERVER, &["--idempotency-key"]]),
    (&["verify"], &[&STORE, &["--live"]]),
    (&["replay"], &[&STORE, &["--all", "--check"]]),
    (&["vault"], &[]),
    (&["vault", "status"], &[&STORE]),
    (&["vault", "rotate"], &[&STORE, &["--drop-old"]]),
    (&["schema"], &[]),
];

/// The options that a help lists; by their indentation, so that those of the examples don't count.
fn listed(help: &str) -> BTreeSet<&str> {
    let is_option = |line: &&str| {
        ["      --", "  -h, --", "  -V, --"].iter().any(|start| line.starts_with(start))
    };
    help.lines()
        .filter(is_option)
        .filter_map(|line| line.split([' ', ',', '.']).find(|part| part.starts_with("--")))
        .collect()
}

#[test]
fn the_help_of_a_command_lists_its_own_options_on_two_screens() {
    let home = Home::new();
    for (command, options) in COMMANDS {
        let ran = home.run(&[command, &["--help"]].concat());
        let help = &ran.assert_code(0).stdout;
        let expected: BTreeSet<&str> =
            options.iter().copied().flatten().copied().chain(EVERYWHERE).collect();
        assert_eq!(listed(help), expected, "{command:?}");
        let lines = help.lines().count();
        assert!(lines <= MAX_LINES, "the help of {command:?} has {lines} lines");
        assert!(help.contains("\nExample"), "the help of {command:?} has no example");
    }
}

#[test]
fn a_setting_stands_before_or_after_its_command_and_nowhere_else() {
    let home = Home::new();
    let before = home.work().join("before");
    let dir = before.to_str().unwrap();
    for arguments in [
        &["--data-dir", dir, "vault", "status"][..],
        &["vault", "--data-dir", dir, "status"],
        &["vault", "status", "--data-dir", dir],
    ] {
        // There is no store, and the refusal names the place.
        home.run(arguments).assert_refused(12, &[dir]);
    }
    for arguments in [
        &["verify", "--listen", "127.0.0.1:0"][..],
        &["--listen", "127.0.0.1:0", "verify"],
        &["key", "--prices", "prices.json", "list", "--user", "ada"],
        &["schema", "--data-dir", dir],
        &["run", "list", "--model", "claude-haiku-5-5"],
    ] {
        let flag = arguments.iter().find(|argument| argument.starts_with("--")).unwrap();
        let flag = if arguments[0] == "run" { "--model" } else { flag };
        home.run(arguments).assert_refused(2, &[flag, "--help"]);
    }
    assert!(!home.data().exists());
}

#[test]
fn a_number_out_of_its_bounds_is_refused_with_both() {
    let home = Home::new();
    for (flag, value, message) in [
        ("--lease-ms", "50", "lease_ms must be 100 to 600000, got 50"),
        ("--test-timeout-ms", "0", "test_timeout_ms must be 1 to 600000, got 0"),
        ("--calls-per-key", "1001", "calls_per_key must be 1 to 1000, got 1001"),
        ("--run-bytes-per-day", "1", "run_bytes_per_day must be 16777216 to 1099511627776, got 1"),
        ("--key-tests-per-minute", "60001", "key_tests_per_minute must be 0 to 60000, got 60001"),
        ("--stall-ms", "0", "stall_ms must be at least 1, got 0"),
    ] {
        home.run(&["serve", flag, value]).assert_refused(13, &[message, "VALIDATION"]);
    }
    // Another command doesn't read it, so it doesn't matter there.
    std::fs::write(home.work().join("claviger.toml"), "calls_per_key = 0\n").unwrap();
    home.run(&["vault", "status"]).assert_refused(12, &["NOT_FOUND"]);
    home.run(&["serve"]).assert_refused(13, &["calls_per_key must be 1 to 1000, got 0"]);
}
