use super::*;
use crate::cli::args::{Arguments, Command};
use crate::cli::run::RunCommand;
use clap::Parser as _;
use clap::error::ErrorKind;

/// The `PatternInput` of a command line, or the error.
fn parsed(line: &[&str]) -> Result<Value, CliError> {
    let arguments =
        Arguments::try_parse_from([&["claviger", "run", "start"], line].concat()).unwrap();
    let Command::Run(RunCommand::Start(args)) = arguments.command else {
        panic!("not a start command")
    };
    from_flags(&args.what, &mut |text| Ok(text.to_owned()))
}

#[test]
fn flags_become_the_input_of_their_pattern() {
    let agents = ["--task", "T", "--agent", "Ann=a", "--agent", " Bob :moderator= b=c"];
    let ann = json!({ "name": "Ann", "systemPrompt": "a" });
    let bob = json!({ "name": "Bob", "systemPrompt": " b=c", "role": "MODERATOR" });
    let cases: [(&[&str], Value); 9] = [
        (
            &["--pattern", "sequential"],
            json!({ "sequential": { "task": "T", "agents": [ann, bob] } }),
        ),
        (&["--pattern", "debate"], json!({ "debate": { "topic": "T", "agents": [ann, bob] } })),
        (
            &["--pattern", "debate", "--rounds", "2"],
            json!({ "debate": { "topic": "T", "agents": [ann, bob], "rounds": 2 } }),
        ),
        (
            &["--pattern", "hierarchical", "--manager", "Max=m"],
            json!({ "hierarchical": {
                "task": "T", "manager": { "name": "Max", "systemPrompt": "m", "role": "MANAGER" }, "workers": [ann, bob],
            } }),
        ),
        (&["--pattern", "parallel"], json!({ "parallel": { "task": "T", "agents": [ann, bob] } })),
        (
            &[
                "--pattern",
                "parallel",
                "--aggregator",
                "Al:reflector=x",
                "--on-failure",
                "quorum:2",
            ],
            json!({ "parallel": {
                "task": "T", "agents": [ann, bob], "onFailure": "QUORUM", "quorum": 2,
                "aggregator": { "name": "Al", "systemPrompt": "x", "role": "REFLECTOR" },
            } }),
        ),
        (
            &["--pattern", "parallel", "--on-failure", "continue"],
            json!({ "parallel": { "task": "T", "agents": [ann, bob], "onFailure": "CONTINUE" } }),
        ),
        (
            &["--pattern", "parallel", "--on-failure", "fail"],
            json!({ "parallel": { "task": "T", "agents": [ann, bob], "onFailure": "FAIL" } }),
        ),
        (
            &["--pattern", "routing", "--router", "Ro=r"],
            json!({ "routing": {
                "task": "T", "router": { "name": "Ro", "systemPrompt": "r", "role": "MANAGER" },
                "specialists": [{ "name": "Ann", "systemPrompt": "a", "role": "SPECIALIST" }, bob],
            } }),
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(parsed(&[line, &agents].concat()).unwrap(), expected, "{line:?}");
    }
    let design = parsed(&["--pattern", "design", "--task", "-a wish"]).unwrap();
    assert_eq!(design, json!({ "design": { "prompt": "-a wish" } }));
}

#[test]
fn contradictory_flags_are_refused_with_a_remedy() {
    let agent = ["--agent", "Ann=a"];
    let cases: [(&[&str], &str); 14] = [
        (&["--pattern", "debate", "--task", " "], "the task is empty"),
        (&["--pattern", "debate", "--task", "T"], "give the agents with --agent"),
        (&["--pattern", "debate", "--task", "T", "--agent", "Ann"], "write an agent as"),
        (&["--pattern", "debate", "--task", "T", "--agent", "=p"], "write an agent as"),
        (
            &["--pattern", "debate", "--task", "T", "--agent", "Ann:boss=p"],
            "no role \"boss\": it must be one of manager, worker",
        ),
        (
            &["--pattern", "debate", "--task", "T", "--manager", "M=m"],
            "--manager does not apply to the pattern debate",
        ),
        (
            &["--pattern", "debate", "--task", "T", "--on-failure", "fail"],
            "--on-failure does not apply",
        ),
        (&["--pattern", "routing", "--task", "T", "--rounds", "2"], "--rounds does not apply"),
        (&["--pattern", "routing", "--task", "T", "--agent", "A=a"], "needs --router"),
        (&["--pattern", "hierarchical", "--task", "T", "--agent", "A=a"], "needs --manager"),
        (
            &["--pattern", "design", "--task", "T", "--agent", "A=a"],
            "--agent does not apply to the pattern design",
        ),
        (
            &[
                "--pattern",
                "parallel",
                "--task",
                "T",
                "--on-failure",
                "quorum:0",
                agent[0],
                agent[1],
            ],
            "quorum:N with the number",
        ),
        (
            &["--pattern", "parallel", "--task", "T", "--on-failure", "quorum", agent[0], agent[1]],
            "fail, continue or quorum:N",
        ),
        (
            &["--pattern", "parallel", "--task", "T", "--on-failure", "never", agent[0], agent[1]],
            "fail, continue or quorum:N",
        ),
    ];
    for (line, words) in cases {
        let error = parsed(line).unwrap_err();
        assert!(
            error.message.contains(words) && error.code == ErrorCode::Validation,
            "{line:?}: {}",
            error.message
        );
    }
}

#[test]
fn a_wrong_command_line_is_wrong_usage() {
    let start: &[&str] = &["run", "start"];
    let cases: [(&[&str], ErrorKind); 8] = [
        (&["run", "start", "--patern", "debate"], ErrorKind::UnknownArgument),
        (&["run", "start", "--pattern", "quarrel", "--task", "T"], ErrorKind::InvalidValue),
        (&["run", "start", "--pattern", "debate"], ErrorKind::MissingRequiredArgument),
        (start, ErrorKind::MissingRequiredArgument),
        (&["run", "start", "--file", "f", "--task", "T"], ErrorKind::ArgumentConflict),
        (&["run", "start", "--file", "f", "--user", "ada"], ErrorKind::MissingRequiredArgument),
        (&["run", "attach"], ErrorKind::MissingRequiredArgument),
        (&["run", "start", "--file", "f", "--password", "p"], ErrorKind::UnknownArgument),
    ];
    for (line, kind) in cases {
        let error = Arguments::try_parse_from([&["claviger"], line].concat()).unwrap_err();
        assert_eq!(error.kind(), kind, "{line:?}: {error}");
    }
}
